//! `hub cache unshare`

use hub_cache::{Unshared, unshare};

use super::CacheDir;
use crate::cli::switch;
use crate::context::Context;
use crate::output::{row, size};

/// Give every repository files of its own in place of links to shared ones
///
/// Python clients before 1.32 take shared files away when they delete; a cache that they use as well is safe after this.
/// Set HF_HUB_DISABLE_SHARED_BLOBS so that nothing is shared anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cache_dir: CacheDir,
    #[command(flatten)]
    dry_run: DryRun,
}

switch!(
    DryRun,
    "dry-run",
    "no-dry-run",
    "Show what would be copied, and copy nothing"
);

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let out = &context.out;
        let planned = Unshared::planned(&self.cache_dir.scan(context)?);
        if planned.contents == 0 {
            return out.text("No file of this cache is shared. Nothing to do.");
        }
        let (contents, copied) = (planned.contents, size(planned.copied));
        out.text(&format!("About to copy {contents} shared file(s) ({copied} total)."))?;
        if self.dry_run.get() {
            let values = row! { "dry_run": true, "files": contents, "size": copied };
            return out.result("Dry run: no files were copied.", values);
        }
        out.confirm("Proceed?")?;
        let done = unshare(&self.cache_dir.get(context))?;
        if done.kept > 0 {
            out.warning(&format!(
                "{} file(s) are shared still: another process uses them now",
                done.kept
            ));
        }
        let (contents, copied) = (done.contents, size(done.copied));
        out.result(
            &format!(
                "Copied {contents} file(s) ({copied}); deleted {} shared blob(s).",
                done.payloads
            ),
            row! {
                "files_copied": contents,
                "copied": copied,
                "shared_blobs_deleted": done.payloads,
                "kept": done.kept,
            },
        )
    }
}
