//! `hub cache prune`

use hub_cache::{DeletionPlan, PruneOptions};

use super::{CacheDir, DryRun, joined, show};
use crate::context::Context;
use crate::output::{row, size};

/// Delete revisions that no branch or tag names, downloads that were broken off, and shared files that nothing uses
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cache_dir: CacheDir,
    #[command(flatten)]
    dry_run: DryRun,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let out = &context.out;
        let report = self.cache_dir.scan(context)?;
        let plan = DeletionPlan::prune(&report, &PruneOptions::default());
        if plan.is_empty() {
            return out
                .text("No unreferenced revisions, incomplete downloads or shared blobs found. Nothing to prune.");
        }
        let incomplete = plan.partials.len() + plan.leftovers.len();
        let (revisions, shared) = (plan.revisions.len(), plan.shared.len());
        let parts: Vec<String> = [
            (revisions, "unreferenced revision(s)"),
            (incomplete, "incomplete download(s)"),
            (shared, "unreferenced shared blob(s)"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        let summary = joined(&parts);
        let freed = size(plan.freed);
        out.text(&format!("About to delete {summary} ({freed} total)."))?;
        show(context, &report, &plan)?;
        if self.dry_run.get() {
            let values = row! {
                "dry_run": true,
                "revisions": revisions,
                "incomplete": incomplete,
                "shared_blobs": shared,
                "size": freed,
            };
            return out.result("Dry run: no files were deleted.", values);
        }
        out.confirm("Proceed?")?;
        let deleted = plan.execute()?;
        if deleted.kept > 0 {
            out.warning(&format!(
                "{} file(s) were kept: another process uses them now",
                deleted.kept
            ));
        }
        out.result(
            &format!("Deleted {summary}; freed {freed}."),
            row! {
                "revisions_deleted": revisions,
                "incomplete_deleted": incomplete,
                "shared_blobs_deleted": shared,
                "freed": freed,
            },
        )
    }
}
