//! `hub cache prune`

use std::time::Duration;

use hub_cache::{DeletionPlan, PruneOptions};

use super::filter::{age, bytes};
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
    /// Delete revisions too that were not used for so long, such as 30d
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Keep the newest N revisions of each repository and delete all others, whether a branch or tag names them or not
    #[arg(long, value_name = "N")]
    keep_newest: Option<usize>,
    /// Delete revisions, the one used longest ago first, until the cache has this size, such as 50GB
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_size: Option<u64>,
    /// Leave partial and temporary files alone that were written to within this time [default: 1d]
    #[arg(long, value_name = "AGE", value_parser = age)]
    min_age: Option<Duration>,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let out = &context.out;
        let report = self.cache_dir.scan(context)?;
        let defaults = PruneOptions::default();
        let by_choice = self.older_than.is_some() || self.keep_newest.is_some() || self.max_size.is_some();
        let options = PruneOptions {
            older_than: self.older_than,
            keep_newest: self.keep_newest,
            max_size: self.max_size,
            min_age: self.min_age.unwrap_or(defaults.min_age),
        };
        let plan = DeletionPlan::prune(&report, &options);
        if plan.is_empty() {
            return out
                .text("No unreferenced revisions, incomplete downloads or shared blobs found. Nothing to prune.");
        }
        let incomplete = plan.partials.len();
        let leftovers = plan.leftovers.len() + plan.dead_locks.len();
        let broken = plan.dangling.len();
        let (revisions, shared) = (plan.revisions.len(), plan.shared.len());
        let parts: Vec<String> = [
            (
                revisions,
                if by_choice {
                    "revision(s)"
                } else {
                    "unreferenced revision(s)"
                },
            ),
            (incomplete, "incomplete download(s)"),
            (leftovers, "leftover(s) of processes that died"),
            (broken, "broken link(s)"),
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
                "leftovers": leftovers,
                "broken_links": broken,
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
                "leftovers_deleted": leftovers,
                "broken_links_deleted": broken,
                "shared_blobs_deleted": shared,
                "freed": freed,
            },
        )
    }
}
