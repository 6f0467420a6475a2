//! `hub cache`: what lies in the cache on this disk.

mod filter;
mod list;
mod prune;
mod rm;
mod unshare;
mod verify;

use std::path::PathBuf;

use hub_cache::{CacheReport, DeletionPlan, scan};
use hub_types::RepoType;

use super::{commands, group};
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::size;

group! {
    /// Look after the cache on this disk
    Args
}

commands! {
    #[command(visible_alias = "ls")]
    List => list::Args,
    Rm => rm::Args,
    Prune => prune::Args,
    Verify => verify::Args,
    Unshare => unshare::Args,
}

crate::cli::switch!(
    DryRun,
    "dry-run",
    "no-dry-run",
    "Show what would be deleted, and delete nothing"
);

/// `--cache-dir`, as every command about the cache has it.
#[derive(Debug, Clone, Default, clap::Args)]
struct CacheDir {
    /// The cache's folder
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl CacheDir {
    fn get(&self, context: &Context) -> PathBuf {
        match &self.cache_dir {
            Some(dir) => dir.clone(),
            None => context.settings.env.hub_cache(),
        }
    }

    /// What is in it, as the Python client sees it. A cache that does not exist yet is an empty one, but a folder that
    /// was named must be there.
    fn scan(&self, context: &Context) -> anyhow::Result<CacheReport> {
        match scan(&self.get(context)) {
            Ok(report) => Ok(report.strict()),
            Err(hub_cache::Error::CacheNotFound { path }) => match &self.cache_dir {
                Some(_) => {
                    let message = format!("Cache directory not found: {}", path.display());
                    Err(Failure::new(Class::Failed, message).into())
                }
                None => Ok(CacheReport::default()),
            },
            Err(err) => Err(err.into()),
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Lists the repositories and revisions that a plan deletes.
fn show(context: &Context, report: &CacheReport, plan: &DeletionPlan) -> anyhow::Result<()> {
    let mut shown: Option<(RepoType, &str)> = None;
    let mut revisions: Vec<_> = plan.revisions.iter().collect();
    revisions.sort_by_key(|revision| {
        (
            revision.repo_type.as_str(),
            revision.repo_id.to_lowercase(),
            revision.commit.as_str(),
        )
    });
    for revision in revisions {
        let repo = (revision.repo_type, revision.repo_id.as_str());
        let is_whole = plan.repos.iter().any(|whole| whole.path == revision.repo_path);
        if shown != Some(repo) {
            shown = Some(repo);
            let end = if is_whole { " (entire repo)" } else { ":" };
            context.out.text(&format!("  - {}/{}{end}", repo.0, repo.1))?;
        }
        if !is_whole {
            let refs = match revision.refs.as_slice() {
                [] => "(detached)".to_owned(),
                refs => refs.join(" "),
            };
            let bytes = report
                .repo(revision.repo_type, &revision.repo_id)
                .and_then(|repo| repo.revisions.iter().find(|other| other.commit == revision.commit))
                .map_or(0, |revision| revision.size);
            context
                .out
                .text(&format!("      {} [{refs}] {}", revision.commit, size(bytes)))?;
        }
    }
    // A repository of which nothing but leftovers was there has no revision to show it.
    for whole in plan.repos.iter().filter(|whole| whole.revisions == 0) {
        context
            .out
            .text(&format!("  - {}/{} (entire repo)", whole.repo_type, whole.repo_id))?;
    }
    Ok(())
}
