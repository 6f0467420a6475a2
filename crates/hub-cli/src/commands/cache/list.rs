//! `hub cache list`

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::SystemTime;

use clap::ValueEnum;
use hub_cache::{CacheReport, CachedFile, CachedRepo, CachedRevision};
use jiff::Timestamp;

use super::CacheDir;
use super::filter::{Condition, Facts};
use crate::cli::switch;
use crate::context::Context;
use crate::error::Failure;
use crate::output::{Row, Table, row, size, time_since};

/// List what is cached, per repository, per revision or per file
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cache_dir: CacheDir,
    #[command(flatten)]
    revisions: Revisions,
    #[command(flatten)]
    files: Files,
    /// List only what fulfils this, such as 'size>1GB', 'type=model', 'accessed>7d' (can be repeated)
    #[arg(long, short, value_name = "CONDITION")]
    filter: Vec<String>,
    /// Sort by this; names are sorted upwards, all others downwards unless said otherwise
    #[arg(long, value_enum, value_name = "KEY")]
    sort: Option<Sort>,
    /// How many to list at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    show_warnings: ShowWarnings,
}

switch!(Revisions, "revisions", "no-revisions", "List each revision");
switch!(
    Files,
    "files",
    "no-files",
    "List each file, once for all revisions that have it with the same content"
);
switch!(
    ShowWarnings,
    "show-warnings",
    "no-show-warnings",
    "Say what is odd in the cache"
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Accessed,
    #[value(name = "accessed:asc")]
    AccessedAsc,
    #[value(name = "accessed:desc")]
    AccessedDesc,
    Modified,
    #[value(name = "modified:asc")]
    ModifiedAsc,
    #[value(name = "modified:desc")]
    ModifiedDesc,
    Name,
    #[value(name = "name:asc")]
    NameAsc,
    #[value(name = "name:desc")]
    NameDesc,
    Size,
    #[value(name = "size:asc")]
    SizeAsc,
    #[value(name = "size:desc")]
    SizeDesc,
}

/// A row of the list.
struct Entry<'a> {
    repo: &'a CachedRepo,
    of: Of<'a>,
}

/// What of a repository a row stands for.
enum Of<'a> {
    Whole,
    Revision(&'a CachedRevision),
    /// A file, and the revisions that have it with the same content.
    File(&'a CachedFile, Vec<&'a CachedRevision>),
}

impl<'a> Entry<'a> {
    fn size(&self) -> u64 {
        match &self.of {
            Of::Whole => self.repo.size,
            Of::Revision(revision) => revision.size,
            Of::File(file, _) => file.size,
        }
    }

    fn modified(&self) -> SystemTime {
        match &self.of {
            Of::Whole => self.repo.last_modified,
            Of::Revision(revision) => revision.last_modified,
            Of::File(file, _) => file.blob_last_modified,
        }
    }

    fn accessed(&self) -> SystemTime {
        match &self.of {
            Of::File(file, _) => file.blob_last_accessed,
            _ => self.repo.last_accessed,
        }
    }

    fn refs(&self) -> Vec<&'a str> {
        let mut refs: Vec<&str> = match &self.of {
            Of::Whole => self
                .repo
                .revisions
                .iter()
                .flat_map(|one| &one.refs)
                .map(String::as_str)
                .collect(),
            Of::Revision(revision) => revision.refs.iter().map(String::as_str).collect(),
            Of::File(_, revisions) => revisions.iter().flat_map(|one| &one.refs).map(String::as_str).collect(),
        };
        refs.sort_unstable();
        refs.dedup();
        refs
    }

    fn facts(&self) -> Facts<'a> {
        Facts {
            repo_type: self.repo.repo_type.as_str(),
            size: self.size(),
            accessed: self.accessed(),
            modified: self.modified(),
            refs: self.refs(),
        }
    }

    fn row(&self, now: Timestamp) -> Row {
        let id = self.repo.cache_id();
        let repo_type = self.repo.repo_type.as_str();
        let (accessed, modified) = (moment(self.accessed()), moment(self.modified()));
        // What a program wants stands behind what the Python client prints.
        match &self.of {
            Of::File(file, revisions) => row! {
                "id": id,
                "repo_id": self.repo.repo_id,
                "repo_type": repo_type,
                "path": file.path,
                "size": size(file.size),
                "last_accessed": time_since(accessed, now),
                "last_modified": time_since(modified, now),
                "refs": self.refs(),
                "revisions": revisions.iter().map(|one| one.commit.as_str()).collect::<Vec<_>>(),
                "file_path": file.file_path.to_string_lossy(),
                "blob_path": file.blob_path.to_string_lossy(),
                "size_on_disk": file.size,
                "last_accessed_at": accessed.to_string(),
                "last_modified_at": modified.to_string(),
            },
            Of::Revision(revision) => row! {
                "id": id,
                "repo_id": self.repo.repo_id,
                "repo_type": repo_type,
                "revision": revision.commit,
                "snapshot_path": revision.path.to_string_lossy(),
                "size": size(revision.size),
                "last_modified": time_since(modified, now),
                "refs": self.refs(),
                "size_on_disk": revision.size,
                "last_modified_at": modified.to_string(),
            },
            Of::Whole => row! {
                "id": id,
                "repo_id": self.repo.repo_id,
                "repo_type": repo_type,
                "size": size(self.repo.size),
                "last_accessed": time_since(accessed, now),
                "last_modified": time_since(modified, now),
                "refs": self.refs(),
                "size_on_disk": self.repo.size,
                "last_accessed_at": accessed.to_string(),
                "last_modified_at": modified.to_string(),
            },
        }
    }
}

pub(super) fn moment(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let conditions = self
            .filter
            .iter()
            .map(|text| Condition::parse(text))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let scope = match (self.revisions.get(), self.files.get()) {
            (true, true) => return Err(Failure::usage("--revisions and --files cannot be used together").into()),
            (true, false) => Scope::Revisions,
            (false, true) => Scope::Files,
            (false, false) => Scope::Repos,
        };
        let report = self.cache_dir.scan(context)?;
        let now = Timestamp::now();
        let mut entries = entries(&report, scope);
        if !conditions.is_empty() {
            entries.retain(|entry| {
                let facts = entry.facts();
                conditions.iter().all(|condition| condition.holds(&facts, now))
            });
        }
        if let Some(sort) = self.sort {
            sort.apply(&mut entries);
        }
        entries.truncate(self.limit.unwrap_or(usize::MAX));
        let rows = entries.iter().map(|entry| entry.row(now)).collect();
        let table = Table::new(rows).right(&["size"]);
        context.out.table(match scope {
            Scope::Files => table
                .columns(&["id", "path", "size", "last_accessed", "last_modified", "refs"])
                .id("file_path"),
            Scope::Revisions => table
                .columns(&["id", "revision", "size", "last_modified", "refs"])
                .id("revision"),
            Scope::Repos => table
                .columns(&["id", "size", "last_accessed", "last_modified", "refs"])
                .id("id"),
        })?;
        self.summary(context, scope, &report, &entries)?;
        self.oddities(context, &report);
        Ok(())
    }

    fn summary(
        &self,
        context: &Context,
        scope: Scope,
        report: &CacheReport,
        entries: &[Entry<'_>],
    ) -> anyhow::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut repos: Vec<&CachedRepo> = entries.iter().map(|entry| entry.repo).collect();
        repos.sort_by(|a, b| a.path.cmp(&b.path));
        repos.dedup_by(|a, b| a.path == b.path);
        let (what, bytes) = match scope {
            Scope::Files => {
                let contents: HashMap<&Path, u64> = entries
                    .iter()
                    .filter_map(|entry| match &entry.of {
                        Of::File(file, _) => Some((file.payload.as_deref().unwrap_or(&file.blob_path), file.size)),
                        _ => None,
                    })
                    .collect();
                (format!("{} file(s)", entries.len()), contents.values().sum())
            }
            Scope::Revisions => (
                format!("{} revision(s)", entries.len()),
                entries.iter().map(Entry::size).sum(),
            ),
            Scope::Repos => {
                let revisions: usize = repos.iter().map(|repo| repo.revisions.len()).sum();
                // What repositories share is counted once in the whole.
                let all = self.filter.is_empty() && self.limit.is_none();
                let bytes = match all {
                    true => report.size,
                    false => repos.iter().map(|repo| repo.size).sum(),
                };
                (format!("{revisions} revision(s)"), bytes)
            }
        };
        context.out.text("")?;
        context.out.bold(&format!(
            "Found {} repo(s) for a total of {what} and {} on disk.",
            repos.len(),
            size(bytes)
        ))
    }

    /// What else there is to know, on stderr.
    fn oddities(&self, context: &Context, report: &CacheReport) {
        if self.show_warnings.get() {
            for warning in &report.warnings {
                let ignored = if warning.hides_repo() { " Repo ignored." } else { "" };
                context.out.warning(&format!("{warning}.{ignored}"));
            }
        } else if !report.warnings.is_empty() {
            context.out.warning(&format!(
                "Found {} cache inconsistencies. Re-run with `--show-warnings` to display them.",
                report.warnings.len()
            ));
        }
        let hint = |count: usize, what: &str, bytes: u64| {
            if count > 0 {
                context.out.hint(&format!(
                    "Found {count} {what} totalling {}. Remove them with 'hub cache prune'.",
                    size(bytes)
                ));
            }
        };
        let partials = &report.partials;
        hint(
            partials.len(),
            "incomplete download(s)",
            partials.iter().map(|partial| partial.size).sum(),
        );
        let unused: Vec<_> = report
            .shared
            .iter()
            .filter(|blob| blob.references.as_ref().is_some_and(Vec::is_empty))
            .collect();
        hint(
            unused.len(),
            "unreferenced shared blob(s)",
            unused.iter().map(|blob| blob.size).sum(),
        );
    }
}

/// What the rows are.
#[derive(Debug, Clone, Copy)]
enum Scope {
    Repos,
    Revisions,
    Files,
}

/// Sorted by type and id, and by commit or path below that.
fn entries(report: &CacheReport, scope: Scope) -> Vec<Entry<'_>> {
    let mut repos: Vec<&CachedRepo> = report.repos.iter().collect();
    repos.sort_by_cached_key(|repo| repo.cache_id());
    let mut entries = Vec::new();
    for repo in repos {
        match scope {
            Scope::Repos => entries.push(Entry { repo, of: Of::Whole }),
            Scope::Revisions => {
                let revisions = repo.revisions.iter().map(Of::Revision);
                entries.extend(revisions.map(|of| Entry { repo, of }));
            }
            Scope::Files => {
                let mut files: BTreeMap<(&str, &Path), (&CachedFile, Vec<&CachedRevision>)> = BTreeMap::new();
                for revision in &repo.revisions {
                    for file in &revision.files {
                        let uses = files.entry((&file.path, &file.blob_path));
                        uses.or_insert_with(|| (file, Vec::new())).1.push(revision);
                    }
                }
                let files = files.into_values().map(|(file, revisions)| Of::File(file, revisions));
                entries.extend(files.map(|of| Entry { repo, of }));
            }
        }
    }
    entries
}

impl Sort {
    fn apply(self, entries: &mut [Entry<'_>]) {
        match self {
            Self::Name | Self::NameAsc | Self::NameDesc => {
                entries.sort_by_cached_key(|entry| entry.repo.cache_id().to_lowercase());
            }
            Self::Size | Self::SizeAsc | Self::SizeDesc => entries.sort_by_key(Entry::size),
            Self::Accessed | Self::AccessedAsc | Self::AccessedDesc => entries.sort_by_key(Entry::accessed),
            Self::Modified | Self::ModifiedAsc | Self::ModifiedDesc => entries.sort_by_key(Entry::modified),
        }
        let upwards = [
            Self::Name,
            Self::NameAsc,
            Self::SizeAsc,
            Self::AccessedAsc,
            Self::ModifiedAsc,
        ];
        if !upwards.contains(&self) {
            entries.reverse();
        }
    }
}
