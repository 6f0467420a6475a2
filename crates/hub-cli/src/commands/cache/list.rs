//! `hub cache list`

use std::time::SystemTime;

use clap::ValueEnum;
use hub_cache::{CacheReport, CachedRepo, CachedRevision};
use jiff::Timestamp;

use super::CacheDir;
use crate::cli::switch;
use crate::context::Context;
use crate::error::Failure;
use crate::output::{Row, Table, row, size, time_since};

/// List what is cached, per repository or per revision
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cache_dir: CacheDir,
    #[command(flatten)]
    revisions: Revisions,
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

/// A row of the list: a repository, or one revision of it.
#[derive(Clone, Copy)]
struct Entry<'a> {
    repo: &'a CachedRepo,
    revision: Option<&'a CachedRevision>,
}

impl<'a> Entry<'a> {
    fn size(self) -> u64 {
        self.revision.map_or(self.repo.size, |revision| revision.size)
    }

    fn modified(self) -> SystemTime {
        self.revision
            .map_or(self.repo.last_modified, |revision| revision.last_modified)
    }

    fn accessed(self) -> SystemTime {
        self.repo.last_accessed
    }

    fn refs(self) -> Vec<&'a str> {
        let mut refs: Vec<&str> = match self.revision {
            Some(revision) => revision.refs.iter().map(String::as_str).collect(),
            None => {
                let all = self.repo.revisions.iter().flat_map(|revision| &revision.refs);
                all.map(String::as_str).collect()
            }
        };
        refs.sort_unstable();
        refs.dedup();
        refs
    }

    fn row(self, now: Timestamp) -> Row {
        let id = self.repo.cache_id();
        let repo_type = self.repo.repo_type.as_str();
        let modified = moment(self.modified());
        // What a program wants stands behind what the Python client prints.
        match self.revision {
            Some(revision) => row! {
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
            None => row! {
                "id": id,
                "repo_id": self.repo.repo_id,
                "repo_type": repo_type,
                "size": size(self.repo.size),
                "last_accessed": time_since(moment(self.accessed()), now),
                "last_modified": time_since(modified, now),
                "refs": self.refs(),
                "size_on_disk": self.repo.size,
                "last_accessed_at": moment(self.accessed()).to_string(),
                "last_modified_at": modified.to_string(),
            },
        }
    }
}

fn moment(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let conditions = self
            .filter
            .iter()
            .map(|text| Condition::parse(text))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let report = self.cache_dir.scan(context)?;
        let now = Timestamp::now();
        let mut entries = entries(&report, self.revisions.get());
        entries.retain(|entry| conditions.iter().all(|condition| condition.holds(*entry, now)));
        if let Some(sort) = self.sort {
            sort.apply(&mut entries);
        }
        entries.truncate(self.limit.unwrap_or(usize::MAX));
        let rows = entries.iter().map(|entry| entry.row(now)).collect();
        let table = Table::new(rows).right(&["size"]);
        context.out.table(match self.revisions.get() {
            true => table
                .columns(&["id", "revision", "size", "last_modified", "refs"])
                .id("revision"),
            false => table
                .columns(&["id", "size", "last_accessed", "last_modified", "refs"])
                .id("id"),
        })?;
        self.summary(context, &report, &entries)?;
        self.oddities(context, &report);
        Ok(())
    }

    fn summary(&self, context: &Context, report: &CacheReport, entries: &[Entry<'_>]) -> anyhow::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut repos: Vec<&CachedRepo> = entries.iter().map(|entry| entry.repo).collect();
        repos.sort_by(|a, b| a.path.cmp(&b.path));
        repos.dedup_by(|a, b| a.path == b.path);
        let (revisions, bytes) = if self.revisions.get() {
            (entries.len(), entries.iter().map(|entry| entry.size()).sum())
        } else {
            let revisions = repos.iter().map(|repo| repo.revisions.len()).sum();
            // What repositories share is counted once in the whole.
            let all = self.filter.is_empty() && self.limit.is_none();
            let bytes = if all {
                report.size
            } else {
                repos.iter().map(|repo| repo.size).sum()
            };
            (revisions, bytes)
        };
        context.out.text("")?;
        context.out.bold(&format!(
            "Found {} repo(s) for a total of {revisions} revision(s) and {} on disk.",
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

/// Sorted by type and id, and by commit below that.
fn entries(report: &CacheReport, revisions: bool) -> Vec<Entry<'_>> {
    let mut repos: Vec<&CachedRepo> = report.repos.iter().collect();
    repos.sort_by_key(|repo| repo.cache_id());
    let mut entries = Vec::new();
    for repo in repos {
        if revisions {
            let mut below: Vec<&CachedRevision> = repo.revisions.iter().collect();
            below.sort_by(|a, b| a.commit.cmp(&b.commit));
            entries.extend(below.into_iter().map(|revision| Entry {
                repo,
                revision: Some(revision),
            }));
        } else {
            entries.push(Entry { repo, revision: None });
        }
    }
    entries
}

impl Sort {
    fn apply(self, entries: &mut [Entry<'_>]) {
        match self {
            Self::Name | Self::NameAsc | Self::NameDesc => {
                entries.sort_by_key(|entry| entry.repo.cache_id().to_lowercase());
            }
            Self::Size | Self::SizeAsc | Self::SizeDesc => entries.sort_by_key(|entry| entry.size()),
            Self::Accessed | Self::AccessedAsc | Self::AccessedDesc => entries.sort_by_key(|entry| entry.accessed()),
            Self::Modified | Self::ModifiedAsc | Self::ModifiedDesc => entries.sort_by_key(|entry| entry.modified()),
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

/// `KEY OP VALUE`.
#[derive(Debug, PartialEq)]
enum Condition {
    Size(Comparison, u64),
    Accessed(Comparison, u64),
    Modified(Comparison, u64),
    Type(String),
    Refs(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, left: f64, right: u64) -> bool {
        let right = right as f64;
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

const BYTES: [(&str, u64); 10] = [
    ("k", 1_000),
    ("kb", 1_000),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("tb", 1_000_000_000_000),
    ("p", 1_000_000_000_000_000),
    ("pb", 1_000_000_000_000_000),
];

const SECONDS: [(&str, u64); 7] = [
    ("s", 1),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 604_800),
    ("mo", 2_592_000),
    ("y", 31_536_000),
];

impl Condition {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let refuse = |rule: &str| Failure::usage(format!("invalid filter '{text}': {rule}"));
        let trimmed = text.trim();
        let key_end = trimmed
            .find(|c: char| !(c.is_ascii_alphabetic() || c == '_'))
            .unwrap_or(trimmed.len());
        let (key, rest) = trimmed.split_at(key_end);
        let rest = rest.trim_start();
        let operators = [
            ("!=", Comparison::NotEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
            ("=", Comparison::Equal),
        ];
        let found = operators
            .into_iter()
            .find_map(|(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?.trim())));
        let (comparison, value) = match found {
            Some((comparison, value)) if !key.is_empty() && !value.is_empty() && !value.starts_with('=') => {
                (comparison, value)
            }
            _ => return Err(refuse("must be KEY OP VALUE, where OP is one of = != > < >= <=").into()),
        };
        let only_equal = || match comparison {
            Comparison::Equal => Ok(value.to_lowercase()),
            _ => Err(refuse("only = can be used with this key")),
        };
        Ok(match key.to_ascii_lowercase().as_str() {
            "size" => Self::Size(comparison, number(value, &BYTES).ok_or_else(|| refuse(BYTES_RULE))?),
            "accessed" => Self::Accessed(comparison, number(value, &SECONDS).ok_or_else(|| refuse(SECONDS_RULE))?),
            "modified" => Self::Modified(comparison, number(value, &SECONDS).ok_or_else(|| refuse(SECONDS_RULE))?),
            "type" => Self::Type(only_equal()?),
            "refs" => Self::Refs(only_equal()?),
            _ => return Err(refuse("the keys are accessed, modified, refs, size and type").into()),
        })
    }

    fn holds(&self, entry: Entry<'_>, now: Timestamp) -> bool {
        let age = |time| now.duration_since(moment(time)).as_secs_f64();
        match self {
            Self::Size(comparison, bytes) => comparison.holds(entry.size() as f64, *bytes),
            Self::Accessed(comparison, seconds) => comparison.holds(age(entry.accessed()), *seconds),
            Self::Modified(comparison, seconds) => comparison.holds(age(entry.modified()), *seconds),
            Self::Type(repo_type) => entry.repo.repo_type.as_str() == repo_type,
            Self::Refs(name) => entry.refs().iter().any(|other| other.to_lowercase() == *name),
        }
    }
}

const BYTES_RULE: &str = "the size must be a whole number with one of k, m, g, t, p behind it";
const SECONDS_RULE: &str = "the time must be a whole number with one of s, m, h, d, w, mo, y behind it";

/// Bytes, as `--filter` has them: `50GB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    number(text, &BYTES).ok_or_else(|| BYTES_RULE.to_owned())
}

/// A time, as `--filter` has it: `30d`.
pub(super) fn age(text: &str) -> Result<std::time::Duration, String> {
    let seconds = number(text, &SECONDS).ok_or_else(|| SECONDS_RULE.to_owned())?;
    Ok(std::time::Duration::from_secs(seconds))
}

/// A whole number with a unit behind it, or without one.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_the_python_clients() {
        use Comparison as C;
        for (text, expected) in [
            ("size>1GB", Condition::Size(C::Greater, 1_000_000_000)),
            (" size >= 10 ", Condition::Size(C::GreaterOrEqual, 10)),
            ("accessed>7d", Condition::Accessed(C::Greater, 604_800)),
            ("modified!=2mo", Condition::Modified(C::NotEqual, 5_184_000)),
            ("type=Model", Condition::Type("model".to_owned())),
            ("refs=refs/pr/1", Condition::Refs("refs/pr/1".to_owned())),
        ] {
            assert_eq!(Condition::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_bad_condition_is_named_with_its_rule() {
        for (text, rule) in [
            ("size", "KEY OP VALUE"),
            ("size>", "KEY OP VALUE"),
            ("size==1", "KEY OP VALUE"),
            ("size>1.5GB", "the size"),
            ("size>1GiB", "the size"),
            ("accessed>1week", "the time"),
            ("type>model", "only ="),
            ("name=x", "the keys are"),
            ("size>99999999999p", "the size"),
        ] {
            let err = Condition::parse(text).unwrap_err().to_string();
            assert!(err.contains(&format!("'{text}'")) && err.contains(rule), "{err}");
        }
    }
}
