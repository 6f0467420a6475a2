//! `hub cache verify`

use std::path::PathBuf;

use hub_cache::{Cache, HubCache};

use super::CacheDir;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::row;
use crate::repo_args::{RevisionArg, TypeArg};

/// Compare the checksums of one revision's files on this disk with the Hub's
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id
    repo_id: String,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    revision: RevisionArg,
    #[command(flatten)]
    cache_dir: CacheDir,
    /// Look at this folder in place of the cache
    #[arg(long, value_name = "DIR")]
    local_dir: Option<PathBuf>,
    /// Fail if files of the Hub are not here
    #[arg(long)]
    fail_on_missing_files: bool,
    /// Fail if files here are not on the Hub
    #[arg(long)]
    fail_on_extra_files: bool,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.local_dir.is_some() && self.cache_dir.cache_dir.is_some() {
            return Err(Failure::usage("Cannot pass both --local-dir and --cache-dir. Use one or the other.").into());
        }
        let out = &context.out;
        let repo = self.repo_type.repo(&self.repo_id)?;
        let revision = self.revision.get()?;
        let cache = HubCache::with_cache(context.api()?.clone(), Cache::from_env(&context.settings.env));
        let verify = cache
            .verify_repo_checksums(&repo)
            .revision(revision)
            .cache_dir(self.cache_dir.cache_dir)
            .local_dir(self.local_dir);
        let found = context.block_on(async move { Ok(verify.await?) })?;
        let mut failed = false;
        if !found.mismatches.is_empty() {
            failed = true;
            let lines: Vec<String> = found
                .mismatches
                .iter()
                .map(|bad| {
                    let (path, expected, actual) = (&bad.path, &bad.expected, &bad.actual);
                    format!("  - {path}: expected {expected} ({}), got {actual}", bad.algorithm)
                })
                .collect();
            let lines = lines.join("\n");
            out.text(&format!(
                "❌ Checksum verification failed for the following file(s):\n{lines}"
            ))?;
        }
        for (paths, strict, title, warning) in [
            (
                &found.missing,
                self.fail_on_missing_files,
                "Missing files (present remotely, absent locally)",
                "remote file(s) are missing locally. Use --fail-on-missing-files for details.",
            ),
            (
                &found.extra,
                self.fail_on_extra_files,
                "Extra files (present locally, absent remotely)",
                "local file(s) do not exist on the remote repo. Use --fail-on-extra-files for details.",
            ),
        ] {
            if paths.is_empty() {
                continue;
            }
            if strict {
                failed = true;
                let lines: Vec<String> = paths.iter().map(|path| format!("  - {path}")).collect();
                out.text(&format!("❌ {title}:\n{}", lines.join("\n")))?;
            } else {
                out.warning(&format!("{} {warning}", paths.len()));
            }
        }
        let (kind, id, root) = (repo.repo_type(), repo.id(), found.root.display());
        if failed {
            let message = format!("Verification failed for '{id}' ({kind}) in {root}.");
            let hint = format!("hub download {} --force-download", repo.url_path());
            return Err(Failure::new(Class::Failed, message).hint(hint).into());
        }
        out.result(
            &format!(
                "Verified {} file(s) for {kind} '{id}'. All checksums match.",
                found.checked
            ),
            row! { "repo_id": id, "repo_type": kind.as_str(), "checked": found.checked, "path": root.to_string() },
        )
    }
}
