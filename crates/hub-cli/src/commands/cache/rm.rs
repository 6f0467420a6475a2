//! `hub cache rm`

use hub_cache::{CacheReport, DeletionPlan, Target};
use hub_types::{HubUri, RepoType};

use super::{CacheDir, DryRun, joined, show};
use crate::context::Context;
use crate::error::Failure;
use crate::output::{row, size};

/// Delete repositories, revisions or single files from the cache
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Repositories such as model/ada/demo or hf://ada/demo, commits, or files such as hf://ada/demo/weights.bin
    #[arg(required = true)]
    targets: Vec<String>,
    #[command(flatten)]
    cache_dir: CacheDir,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let out = &context.out;
        let report = self.cache_dir.scan(context)?;
        let (targets, mut missing) = resolve(&report, &self.targets)?;
        let plan = DeletionPlan::delete(&report, &targets);
        missing.extend(plan.unknown.iter().map(described));
        if !missing.is_empty() {
            let lines: Vec<String> = missing.iter().map(|target| format!("  - {target}")).collect();
            out.warning(&format!("Could not find in cache:\n{}", lines.join("\n")));
        }
        if plan.is_empty() {
            return out.text("Nothing to delete.");
        }
        let freed = size(plan.freed);
        if !plan.files.is_empty() {
            let files = plan.files.len();
            out.text(&format!("About to delete {files} file(s) totalling {freed}."))?;
            let mut paths: Vec<String> = plan
                .files
                .iter()
                .map(|file| file.file_path.display().to_string())
                .collect();
            paths.sort_unstable();
            for path in paths {
                out.text(&format!("  - {path}"))?;
            }
            if self.dry_run.get() {
                let values = row! { "dry_run": true, "files": files, "size": freed };
                return out.result("Dry run: no files were deleted.", values);
            }
            out.confirm("Proceed with deletion?")?;
            plan.execute()?;
            let values = row! { "files_deleted": files, "freed": freed };
            return out.result(&format!("Deleted {files} file(s); freed {freed}."), values);
        }
        let (repos, revisions) = (plan.repos.len(), plan.revisions.len());
        let whole: usize = plan.repos.iter().map(|repo| repo.revisions).sum();
        let parts: Vec<String> = [(repos, "repo(s)"), (revisions - whole.min(revisions), "revision(s)")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        out.text(&format!("About to delete {} totalling {freed}.", joined(&parts)))?;
        show(context, &report, &plan)?;
        if self.dry_run.get() {
            let values = row! { "dry_run": true, "repos": repos, "revisions": revisions, "size": freed };
            return out.result("Dry run: no files were deleted.", values);
        }
        out.confirm("Proceed with deletion?")?;
        let deleted = plan.execute()?;
        if deleted.kept > 0 {
            out.warning(&format!(
                "{} file(s) were kept: another process uses them now",
                deleted.kept
            ));
        }
        out.result(
            &format!("Deleted {repos} repo(s) and {revisions} revision(s); freed {freed}."),
            row! { "repos_deleted": repos, "revisions_deleted": revisions, "freed": freed },
        )
    }
}

/// What the words name in this cache, and the words that name nothing.
fn resolve(report: &CacheReport, words: &[String]) -> anyhow::Result<(Vec<Target>, Vec<String>)> {
    let mut targets = Vec::new();
    let mut missing = Vec::new();
    for word in words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
        match target(report, word)? {
            Some(target) => targets.push(target),
            None => missing.push(word.to_owned()),
        }
    }
    let files = targets
        .iter()
        .filter(|target| matches!(target, Target::File(..)))
        .count();
    if files > 0 && files < targets.len() {
        return Err(Failure::usage("File targets cannot be mixed with repository or revision targets.").into());
    }
    Ok((targets, missing))
}

fn target(report: &CacheReport, word: &str) -> anyhow::Result<Option<Target>> {
    if word.starts_with("hf://") {
        let uri: HubUri = word.parse()?;
        let Some(repo) = uri.repo_id() else {
            return Err(Failure::usage("Only repository hf:// URIs are supported by `hub cache rm`.").into());
        };
        let (repo_type, id) = (repo.repo_type(), repo.id().to_owned());
        let commit = uri.revision().map(|revision| revision.as_commit_hash());
        return match (commit, uri.path()) {
            (None, "") => Ok(Some(Target::Repo(repo_type, id))),
            (None, path) => Ok(Some(Target::File(repo_type, id, path.to_owned()))),
            (Some(Some(commit)), "") => Ok(Some(Target::Revision(repo_type, id, commit.to_string()))),
            (Some(_), "") => Err(Failure::usage(format!(
                "'{word}': a revision must be a full commit hash, as `hub cache ls --revisions` shows it"
            ))
            .into()),
            (Some(_), _) => Err(Failure::usage(format!(
                "'{word}': drop '@<revision>' to delete the file from all cached revisions"
            ))
            .into()),
        };
    }
    if word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
        // Copies of a repository have the same commits: a hash alone may not decide which of them is meant.
        let holders: Vec<_> = report.revisions(word).collect();
        return match holders.as_slice() {
            [] => Ok(None),
            [(repo, revision)] => Ok(Some(Target::Revision(
                repo.repo_type,
                repo.repo_id.clone(),
                revision.commit.clone(),
            ))),
            several => {
                let names: Vec<String> = several.iter().map(|(repo, _)| repo.cache_id()).collect();
                let (repo, _) = several[0];
                let hint = format!("hub cache rm hf://{}/{}@{word}", repo.repo_type.plural(), repo.repo_id);
                let message = format!("{word} is a commit of {}: say of which to delete it", joined(&names));
                Err(Failure::usage(message).hint(hint).into())
            }
        };
    }
    let found = word.split_once('/').and_then(|(kind, id)| {
        let repo_type: RepoType = kind.to_lowercase().parse().ok()?;
        let repo = report.repo(repo_type, id)?;
        Some(Target::Repo(repo_type, repo.repo_id.clone()))
    });
    Ok(found)
}

fn described(target: &Target) -> String {
    match target {
        Target::Repo(repo_type, id) => format!("{repo_type}/{id}"),
        Target::Revision(repo_type, id, commit) => format!("{repo_type}/{id}@{commit}"),
        Target::File(repo_type, id, path) => format!("{repo_type}/{id}/{path}"),
    }
}
