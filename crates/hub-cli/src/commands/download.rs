//! `hub download`

use std::path::{Path, PathBuf};

use hub_cache::{Cache, FilePlan, HubCache};
use hub_types::{HubUri, RepoId, RepoPath, Revision};

use crate::cli::switch;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::{Row, Table, row, size};
use crate::progress::Transfer;
use crate::repo_args::{RevisionArg, TypeArg};

/// Fetch one file, several files, a folder or a whole repository
///
/// Files go to the cache, which is shared with the Python client, or to the folder of --local-dir. What a cache of
/// HUB_SYSTEM_CACHE has is linked and not fetched. Prints the path of the file, of the snapshot or of the local folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id, with the type in front of it if you like, or an hf:// address
    repo_id: String,
    /// Files, or folders ending in /; by default everything
    filenames: Vec<String>,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    revision: RevisionArg,
    /// Take files that match this pattern, in which * crosses folders (can be repeated)
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave files out that match this pattern (can be repeated)
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Use this cache
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Put the files into this folder in place of the cache
    #[arg(long, value_name = "DIR")]
    local_dir: Option<PathBuf>,
    #[command(flatten)]
    force_download: ForceDownload,
    #[command(flatten)]
    dry_run: DryRun,
    /// How many files to fetch at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    max_workers: usize,
}

switch!(
    ForceDownload,
    "force-download",
    "no-force-download",
    "Fetch even what is there already"
);
switch!(DryRun, "dry-run", "no-dry-run", "List what would be fetched");

/// What is asked for, once the ways to say it are one.
#[derive(Debug, PartialEq)]
struct Wanted {
    repo: RepoId,
    revision: Option<Revision>,
    what: What,
}

#[derive(Debug, PartialEq)]
enum What {
    File(RepoPath),
    Snapshot {
        allow: Option<Vec<String>>,
        ignore: Vec<String>,
        /// Files and folders that were named and so must be there.
        named: Vec<RepoPath>,
    },
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let wanted = self.wanted(|text| context.out.warning(text))?;
        if self.max_workers == 0 {
            return Err(Failure::usage("invalid value '0' for '--max-workers': must be 1 or more").into());
        }
        let cache = HubCache::with_cache(context.api()?.clone(), Cache::from_env(&context.settings.env));
        if self.dry_run.get() {
            return self.plan(context, &cache, wanted);
        }
        let transfer = Transfer::new(context.settings.progress);
        let path = match &wanted.what {
            What::File(file) => {
                let download = cache
                    .download_file(&wanted.repo, file)
                    .revision(wanted.revision)
                    .cache_dir(self.cache_dir)
                    .local_dir(self.local_dir)
                    .force_download(self.force_download.get())
                    .progress(transfer.handle());
                context.block_on(async move { Ok(download.await?) })?
            }
            What::Snapshot { allow, ignore, .. } => {
                let download = cache
                    .snapshot_download(&wanted.repo)
                    .revision(wanted.revision)
                    .cache_dir(self.cache_dir)
                    .local_dir(self.local_dir)
                    .force_download(self.force_download.get())
                    .allow_patterns(allow.clone())
                    .ignore_patterns(ignore.clone())
                    .max_workers(self.max_workers)
                    .progress(transfer.handle());
                context.block_on(async move { Ok(download.await?) })?
            }
        };
        transfer.finish(&context.out);
        let missing = match &wanted.what {
            What::Snapshot { named, .. } => missing(&wanted.repo, &path, named),
            What::File(_) => None,
        };
        match missing {
            Some((Class::NotFound, failure)) => Err(failure.into()),
            missing => {
                context
                    .out
                    .transfer_result("Downloaded", row! { "path": path.to_string_lossy() })?;
                missing.map_or(Ok(()), |(_, failure)| Err(failure.into()))
            }
        }
    }

    /// Lists what would be fetched.
    fn plan(self, context: &Context, cache: &HubCache, wanted: Wanted) -> anyhow::Result<()> {
        let mut files: Vec<FilePlan> = match wanted.what {
            What::File(file) => {
                let plan = cache
                    .download_file(&wanted.repo, file)
                    .revision(wanted.revision)
                    .cache_dir(self.cache_dir)
                    .local_dir(self.local_dir)
                    .force_download(self.force_download.get());
                vec![context.block_on(async move { Ok(plan.plan().await?) })?]
            }
            What::Snapshot { allow, ignore, .. } => {
                let plan = cache
                    .snapshot_download(&wanted.repo)
                    .revision(wanted.revision)
                    .cache_dir(self.cache_dir)
                    .local_dir(self.local_dir)
                    .force_download(self.force_download.get())
                    .allow_patterns(allow)
                    .ignore_patterns(ignore);
                context.block_on(async move { Ok(plan.plan().await?) })?.files
            }
        };
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let fetched: Vec<&FilePlan> = files.iter().filter(|file| file.will_download).collect();
        let total: Option<u64> = fetched.iter().map(|file| file.size).sum();
        context.out.text(&format!(
            "[dry-run] Will download {} files (out of {}) totalling {}.",
            fetched.len(),
            files.len(),
            total.map_or_else(|| "an unknown size".to_owned(), size)
        ))?;
        let rows: Vec<Row> = files
            .iter()
            .map(|file| {
                let shown = file.size.filter(|_| file.will_download).map(size);
                row! { "file": file.path.as_str(), "size": shown.unwrap_or_else(|| "-".to_owned()) }
            })
            .collect();
        context.out.table(Table::new(rows))
    }

    /// Reads the repository, the files and the patterns, and refuses what contradicts itself.
    fn wanted(&self, warn: impl Fn(&str)) -> anyhow::Result<Wanted> {
        if self.local_dir.is_some() && self.cache_dir.is_some() {
            return Err(Failure::usage(
                "Cannot use both `--local-dir` and `--cache-dir` at the same time. Use `--cache-dir` (or set the HF_HOME \
                 environment variable) for shared caching, or `--local-dir` for a one-off download to a specific directory.",
            )
            .into());
        }
        let mut filenames = self.filenames.clone();
        let (repo, revision) = match self.repo_id.strip_prefix("hf://") {
            Some(_) => {
                let (uri, repo) = self.address()?;
                let path = uri.path();
                if !path.is_empty() {
                    if !filenames.is_empty() {
                        let message = format!(
                            "Cannot combine a file path in the hf:// URI ('{path}') with positional filenames {filenames:?}."
                        );
                        return Err(Failure::usage(message).into());
                    }
                    // An address that ends in a slash means a folder; the parser takes the slash off.
                    let slash = if self.repo_id.ends_with('/') { "/" } else { "" };
                    filenames = vec![format!("{path}{slash}")];
                }
                (repo, uri.revision().cloned())
            }
            None => (self.repo_type.repo(&self.repo_id)?, self.revision.get()?),
        };
        let what = self.what(&filenames, warn)?;
        Ok(Wanted { repo, revision, what })
    }

    fn address(&self) -> anyhow::Result<(HubUri, RepoId)> {
        for (option, given) in [
            ("--type", self.repo_type.repo_type.is_some()),
            ("--revision", self.revision.revision.is_some()),
        ] {
            if given {
                let message = format!("'{option}' cannot be used with an 'hf://' URI ('{}').", self.repo_id);
                return Err(Failure::usage(message).into());
            }
        }
        let uri: HubUri = self.repo_id.parse()?;
        match uri.repo_id() {
            Some(repo) => Ok((uri, repo)),
            None => Err(Failure::usage("Buckets are not supported by `hub download`.").into()),
        }
    }

    fn what(&self, filenames: &[String], warn: impl Fn(&str)) -> anyhow::Result<What> {
        let patterned = !self.include.is_empty() || !self.exclude.is_empty();
        if let Some(folder) = filenames.iter().find(|name| name.ends_with('/'))
            && patterned
        {
            let (option, with) = match self.include.is_empty() {
                false => ("--include", ""),
                true => ("--exclude", " with `--exclude`"),
            };
            return Err(Failure::usage(format!(
                "Cannot combine subfolder argument ('{folder}') with `{option}`. Please use `--include \"{folder}*\"`{with} instead."
            ))
            .into());
        }
        for (option, patterns) in [("--include", &self.include), ("--exclude", &self.exclude)] {
            if let Some(pattern) = patterns.first().filter(|_| !filenames.is_empty()) {
                warn(&format!(
                    "Ignoring `{option}` since filenames have been explicitly set."
                ));
                if !pattern.contains(['*', '?', '[']) {
                    // What a shell makes of an unquoted pattern where files of that form lie.
                    warn(&format!(
                        "'{pattern}' and {} look like a pattern that the shell has replaced: quote it, as in `{option} '*.json'`",
                        filenames.join(" ")
                    ));
                }
            }
        }
        match filenames {
            [] => Ok(What::Snapshot {
                allow: (!self.include.is_empty()).then(|| self.include.clone()),
                ignore: self.exclude.clone(),
                named: Vec::new(),
            }),
            [file] if !file.ends_with('/') => Ok(What::File(file.parse()?)),
            several => {
                let mut allow = Vec::new();
                let mut named = Vec::new();
                for name in several {
                    match name.strip_suffix('/') {
                        Some(folder) => {
                            let folder: RepoPath = folder.trim_end_matches('/').parse()?;
                            allow.push(format!("{}/**", literal(folder.as_str())));
                            named.push(folder);
                        }
                        None if name.contains(['*', '?']) => allow.push(name.clone()),
                        None => {
                            allow.push(literal(name));
                            named.push(name.parse()?);
                        }
                    }
                }
                Ok(What::Snapshot {
                    allow: Some(allow),
                    ignore: Vec::new(),
                    named,
                })
            }
        }
    }
}

/// A pattern that matches exactly this text.
fn literal(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '*' | '?' | '[' => out.extend(['[', c, ']']),
            c => out.push(c),
        }
    }
    out
}

/// A download is a success only if everything that was named is there.
fn missing(repo: &RepoId, folder: &Path, named: &[RepoPath]) -> Option<(Class, Failure)> {
    let missing: Vec<String> = named
        .iter()
        .filter(|path| !folder.join(path.to_local()).exists())
        .map(|path| format!("'{path}'"))
        .collect();
    let class = match missing.len() {
        0 => return None,
        all if all == named.len() => Class::NotFound,
        _ => Class::Partial,
    };
    let message = format!("{} has no {}", repo.described(), missing.join(", no "));
    Some((class, Failure::new(class, message)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn wanted(words: &str) -> anyhow::Result<Wanted> {
        let words = std::iter::once("download").chain(words.split(' '));
        Line::try_parse_from(words)?.args.wanted(|_| {})
    }

    fn patterns(words: &str) -> (Option<Vec<String>>, Vec<String>) {
        match wanted(words).unwrap().what {
            What::Snapshot { allow, ignore, .. } => (allow, ignore),
            What::File(file) => panic!("a file: {file}"),
        }
    }

    #[test]
    fn one_name_is_a_file_and_several_are_patterns() {
        let one = wanted("a/b config.json --revision v1").unwrap();
        assert_eq!(one.what, What::File("config.json".parse().unwrap()));
        assert_eq!(one.revision, Some("v1".parse().unwrap()));
        let (allow, _) = patterns("a/b config.json data/ x[1].txt");
        assert_eq!(allow.unwrap(), ["config.json", "data/**", "x[[]1].txt"]);
        assert_eq!(patterns("a/b"), (None, vec![]));
        let (allow, ignore) = patterns("a/b --include *.json --exclude x*");
        assert_eq!(
            (allow.unwrap(), ignore),
            (vec!["*.json".to_owned()], vec!["x*".to_owned()])
        );
    }

    #[test]
    fn an_address_says_everything() {
        let all = wanted("hf://datasets/a/b@v1/data/").unwrap();
        assert_eq!(all.repo, RepoId::dataset("a/b").unwrap());
        assert_eq!(all.revision, Some("v1".parse().unwrap()));
        assert_eq!(patterns("hf://datasets/a/b@v1/data/").0.unwrap(), ["data/**"]);
        let file = wanted("hf://a/b/config.json").unwrap();
        assert_eq!(file.what, What::File("config.json".parse().unwrap()));
    }

    #[test]
    fn what_contradicts_itself_or_leaves_the_folder_is_refused() {
        for (words, part) in [
            ("a/b --local-dir x --cache-dir y", "--local-dir"),
            ("a/b data/ --include *.json", "--include \"data/*\""),
            ("a/b data/ --exclude *.json", "with `--exclude`"),
            ("hf://a/b --revision v1", "'--revision' cannot be used"),
            ("hf://a/b/x y", "Cannot combine a file path"),
            ("hf://buckets/a/b", "Buckets"),
            ("hf://gpt2", "'hf://gpt2'"),
            ("a/b ../x", "'../x'"),
            ("a/b /x y", "'/x'"),
            ("a//b", "'a//b'"),
            ("a/b --revision ..", "'..'"),
        ] {
            let err = wanted(words).unwrap_err().to_string();
            assert!(err.contains(part), "{words}: {err}");
        }
    }
}
