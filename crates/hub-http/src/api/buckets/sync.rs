//! A folder and a bucket, one of them brought to the other's state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hub_types::buckets::{BucketEntry, BucketFile, BucketId, SyncAction, SyncOperation, SyncPlan};
use hub_types::{HubUri, OneOrMany, Pattern, RepoPath, Timestamp, ValidationError};

use super::files::{BucketAdd, BucketDownload, BucketSource, milliseconds};
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::progress::ProgressHandle;
use crate::runtime::blocking;
use crate::transfer::xet;

/// Times that are no further apart than this count as the same: file systems and stores round differently.
const WINDOW_MS: i64 = 1000;

operation! {
    impl HfApi, Error;

    /// Brings a folder to a bucket's state, or a bucket to a folder's, and gives what was done.
    ///
    /// A file is moved when it is new, when sizes differ, or when the source's was changed more than a second after the
    /// destination's. One of `source` and `dest` is `hf://buckets/{namespace}/{name}[/{prefix}]`, the other a folder.
    /// Into a bucket needs the feature `xet`, unless nothing is to be uploaded.
    ///
    /// Endpoints: `GET /api/buckets/{bucket_id}/tree`, then those of [`HfApi::batch_bucket_files`] or
    /// [`HfApi::download_bucket_files`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let sync = api.sync_bucket().source("hf://buckets/ada/box/runs").dest("./runs");
    /// let plan = sync.delete(true).exclude("*.tmp").dry_run(true).await?;
    /// println!("{} files, {} bytes", plan.summary().downloads, plan.summary().total_size);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for options that exclude each other, a folder that is not there and paths that would leave
    /// it; [`Error::BucketNotFound`] for a source; [`Error::MissingFeature`]; [`Error::Io`]; see [`Error`] for those
    /// any call can return.
    pub fn sync_bucket() -> SyncBucket(SyncBucketArgs) => SyncPlan {
        /// What is read. Needed unless a plan is applied.
        source: String,
        /// What is changed. Needed unless a plan is applied.
        dest: String,
        /// Deletes what the source does not have. By default it stays.
        delete: bool,
        /// Looks at sizes alone.
        ignore_times: bool,
        /// Looks at times alone.
        ignore_sizes: bool,
        /// Changes only what is at the destination already.
        existing: bool,
        /// Leaves alone what is at the destination already.
        ignore_existing: bool,
        /// Only files that one of these patterns fits.
        include: OneOrMany<String>,
        /// No files that one of these patterns fits.
        exclude: OneOrMany<String>,
        /// A file of rules, looked at before the patterns: `+ pattern`, `- pattern`; the first that fits decides.
        filter_from: PathBuf,
        /// Saves what would be done in this file, as JSON lines, and does nothing.
        plan: PathBuf,
        /// Does what this saved plan says.
        apply: PathBuf,
        /// Only tells what would be done.
        dry_run: bool,
    }
    skip {
        /// Who is told how far it is.
        progress: ProgressHandle,
    }
}

impl SyncBucketArgs {
    async fn run(self, api: HfApi) -> Result<SyncPlan> {
        let api = api.telling(&self.progress);
        self.check()?;
        let progress = self.progress.clone();
        if let Some(path) = self.apply {
            let plan = blocking(move || Ok(fs_err::read_to_string(&path)?)).await?;
            let plan = SyncPlan::from_jsonl(&plan)?;
            carry_out(&api, &plan, &progress).await?;
            return Ok(plan);
        }
        let (save, dry_run) = (self.plan.clone(), self.dry_run == Some(true));
        let plan = self.compare(&api).await?;
        if let Some(path) = save {
            let text = plan.to_jsonl();
            blocking(move || Ok(fs_err::write(&path, text)?)).await?;
        } else if !dry_run {
            carry_out(&api, &plan, &progress).await?;
        }
        Ok(plan)
    }

    /// Refuses what cannot go together, before anything is asked or read.
    fn check(&self) -> Result<(), ValidationError> {
        let on = |flag: Option<bool>| flag == Some(true);
        let exclusive = |a: &'static str, b: &str| Err(ValidationError::new(a, "true", format!("excludes '{b}'")));
        if let Some(apply) = &self.apply {
            let others = [
                ("source", self.source.is_some()),
                ("dest", self.dest.is_some()),
                ("plan", self.plan.is_some()),
                ("delete", on(self.delete)),
                ("ignore_times", on(self.ignore_times)),
                ("ignore_sizes", on(self.ignore_sizes)),
                ("include", self.include.is_some()),
                ("exclude", self.exclude.is_some()),
                ("filter_from", self.filter_from.is_some()),
                ("existing", on(self.existing)),
                ("ignore_existing", on(self.ignore_existing)),
                ("dry_run", on(self.dry_run)),
            ];
            return match others.into_iter().find(|(_, given)| *given) {
                Some((name, _)) => {
                    let rule = format!("excludes '{name}': the plan has it all");
                    Err(ValidationError::new("apply", apply.to_string_lossy(), rule))
                }
                None => Ok(()),
            };
        }
        if on(self.ignore_times) && on(self.ignore_sizes) {
            return exclusive("ignore_times", "ignore_sizes");
        }
        if on(self.existing) && on(self.ignore_existing) {
            return exclusive("existing", "ignore_existing");
        }
        if on(self.dry_run) && self.plan.is_some() {
            return exclusive("dry_run", "plan");
        }
        Ok(())
    }

    async fn compare(self, api: &HfApi) -> Result<SyncPlan> {
        let (Some(source), Some(dest)) = (&self.source, &self.dest) else {
            let rule = "are both needed, unless a plan is applied";
            return Err(ValidationError::new("source and dest", "nothing", rule).into());
        };
        let direction = Direction::between(source, dest)?;
        let rules = match &self.filter_from {
            Some(path) => {
                let path = path.clone();
                blocking(move || Ok(fs_err::read_to_string(&path)?)).await?
            }
            None => String::new(),
        };
        let filter = Filter::new(&rules, self.include.as_ref(), self.exclude.as_ref());
        let folder = direction.folder.clone();
        let there = blocking(move || Ok((folder.exists(), folder.is_dir()))).await?;
        if matches!(
            (direction.action(), there),
            (SyncAction::Upload, (_, false)) | (_, (true, false))
        ) {
            let rule = "must be a folder that is there";
            return Err(ValidationError::new("folder", direction.folder.to_string_lossy(), rule).into());
        }

        let remote = remote_files(api, &direction, &filter).await?;
        let uploads = direction.upload;
        // Into a folder that may be large, only what the bucket has is looked at, unless something may be deleted.
        let only: Option<BTreeSet<String>> =
            (!uploads && self.delete != Some(true)).then(|| remote.keys().cloned().collect());
        let folder = direction.folder.clone();
        let local = blocking(move || match only {
            Some(names) => Ok(names
                .into_iter()
                .filter_map(|name| {
                    Some((
                        name.clone(),
                        look(&folder.join(name.parse::<RepoPath>().ok()?.to_local()))?,
                    ))
                })
                .collect()),
            None => Ok(local_files(&folder)?),
        })
        .await?;
        let local: BTreeMap<String, Side> = local.into_iter().filter(|(path, _)| filter.wants(path)).collect();

        let mut plan = SyncPlan::new(source, dest, Timestamp::from(jiff::Timestamp::now()).to_string());
        let paths: BTreeSet<&String> = local.keys().chain(remote.keys()).collect();
        for path in paths {
            let (here, there) = (local.get(path), remote.get(path));
            let remote_side = there.map(Side::of_bucket);
            let (from, to) = match uploads {
                true => (here.copied(), remote_side),
                false => (remote_side, here.copied()),
            };
            let Some((action, reason, size)) = self.decide(&direction, from, to) else {
                continue;
            };
            let mut operation = SyncOperation::new(action, path.clone(), reason);
            operation.size = Some(size);
            operation.local_mtime = here.and_then(Side::moment);
            operation.remote_mtime = remote_side.as_ref().and_then(Side::moment);
            operation.bucket_file = there.filter(|_| operation.action == SyncAction::Download).cloned();
            plan.operations.push(operation);
        }
        Ok(plan)
    }

    /// What is done with one file that is in one or both places, why, and its size; nothing for what only the
    /// destination has, unless that is deleted.
    fn decide(&self, direction: &Direction, from: Option<Side>, to: Option<Side>) -> Option<(SyncAction, String, u64)> {
        let on = |flag: Option<bool>| flag == Some(true);
        let act = |reason: &str, size| Some((direction.action(), reason.to_owned(), size));
        let skip = |reason: &str, size| Some((SyncAction::Skip, reason.to_owned(), size));
        let (source, destination) = match direction.upload {
            true => ("local", "remote"),
            false => ("remote", "local"),
        };
        match (from, to) {
            (Some(from), None) if on(self.existing) => skip("new file (--existing)", from.size),
            (Some(from), None) => act("new file", from.size),
            (None, Some(to)) => {
                let reason = "not in source (--delete)".to_owned();
                on(self.delete).then_some((SyncAction::Delete, reason, to.size))
            }
            (None, None) => None,
            (Some(from), Some(_)) if on(self.ignore_existing) => {
                skip("exists on receiver (--ignore-existing)", from.size)
            }
            (Some(from), Some(to)) => {
                let newer = from.mtime - to.mtime > WINDOW_MS;
                let differs = from.size != to.size;
                if on(self.ignore_sizes) {
                    match newer {
                        true => act(&format!("{source} newer"), from.size),
                        false if to.mtime - from.mtime > WINDOW_MS => skip(&format!("{destination} newer"), from.size),
                        false => skip("same mtime", from.size),
                    }
                } else if on(self.ignore_times) {
                    match differs {
                        true => act("size differs", from.size),
                        false => skip("same size", from.size),
                    }
                } else if differs {
                    act("size differs", from.size)
                } else if newer {
                    act(&format!("{source} newer"), from.size)
                } else {
                    skip("identical", from.size)
                }
            }
        }
    }
}

/// Which side is the bucket.
struct Direction {
    upload: bool,
    folder: PathBuf,
    bucket: BucketId,
    /// The folder in the bucket, without a slash at the end; empty for all of it.
    prefix: String,
}

impl Direction {
    fn between(source: &str, dest: &str) -> Result<Self, ValidationError> {
        let is_bucket = |text: &str| text.starts_with("hf://buckets/");
        let (upload, folder, uri) = match (is_bucket(source), is_bucket(dest)) {
            (false, true) => (true, source, dest),
            (true, false) => (false, dest, source),
            (true, true) => {
                let rule = "must be a folder where the source is a bucket; copy_files copies from bucket to bucket";
                return Err(ValidationError::new("dest", dest, rule));
            }
            (false, false) => {
                let rule = "must be hf://buckets/namespace/name where the source is a folder";
                return Err(ValidationError::new("dest", dest, rule));
            }
        };
        let uri: HubUri = uri.parse()?;
        Ok(Self {
            upload,
            folder: PathBuf::from(folder),
            bucket: uri.id().parse()?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    fn action(&self) -> SyncAction {
        match self.upload {
            true => SyncAction::Upload,
            false => SyncAction::Download,
        }
    }

    /// The path in the bucket.
    fn remote(&self, path: &str) -> String {
        match self.prefix.as_str() {
            "" => path.to_owned(),
            prefix => format!("{prefix}/{path}"),
        }
    }
}

/// A file's size in bytes and its time of change in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Side {
    size: u64,
    mtime: i64,
}

impl Side {
    fn of_bucket(file: &BucketFile) -> Self {
        Self {
            size: file.size,
            mtime: file.mtime.as_ref().map_or(0, |moment| moment.0.as_millisecond()),
        }
    }

    fn moment(&self) -> Option<Timestamp> {
        jiff::Timestamp::from_millisecond(self.mtime).ok().map(Timestamp::from)
    }
}

/// The files of the bucket by their paths below the prefix.
async fn remote_files(api: &HfApi, direction: &Direction, filter: &Filter) -> Result<BTreeMap<String, BucketFile>> {
    let prefix = Some(direction.prefix.clone()).filter(|prefix| !prefix.is_empty());
    let mut listing = api
        .list_bucket_tree(direction.bucket.clone())
        .prefix(prefix)
        .recursive(true)
        .await?;
    let mut files = BTreeMap::new();
    loop {
        let entry = match listing.next().await.transpose() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            // It is made with the first upload.
            Err(Error::BucketNotFound(_)) if direction.upload => break,
            Err(err) => return Err(err),
        };
        let BucketEntry::File(file) = entry else { continue };
        // Only what stays inside the folder.
        let path: RepoPath = file.path.parse()?;
        let below = match direction.prefix.as_str() {
            "" => path.as_str(),
            prefix if path.as_str() == prefix => path.file_name(),
            prefix => match path
                .as_str()
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('/'))
            {
                Some(below) => below,
                None => continue,
            },
        };
        if filter.wants(below) {
            files.insert(below.to_owned(), file);
        }
    }
    Ok(files)
}

/// A file's facts, unless it is a folder or not there. Blocks.
fn look(path: &Path) -> Option<Side> {
    let metadata = fs_err::metadata(path).ok().filter(|metadata| !metadata.is_dir())?;
    Some(Side {
        size: metadata.len(),
        mtime: metadata.modified().map(milliseconds).unwrap_or_default(),
    })
}

/// The files below a folder; links to files count, links to folders are not followed. Blocks.
fn local_files(folder: &Path) -> std::io::Result<BTreeMap<String, Side>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry?;
        let Some(side) = look(entry.path()).filter(|_| !entry.file_type().is_dir()) else {
            continue;
        };
        let below = entry
            .path()
            .strip_prefix(folder)
            .expect("what is below a folder begins with it");
        let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        let Some(parts) = parts else {
            let message = format!(
                "{}: the name is not UTF-8, so no bucket can have it",
                entry.path().display()
            );
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        };
        files.insert(parts.join("/"), side);
    }
    Ok(files)
}

/// Which files are looked at.
struct Filter {
    rules: Vec<(bool, Pattern)>,
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

impl Filter {
    fn new(rules: &str, include: Option<&OneOrMany<String>>, exclude: Option<&OneOrMany<String>>) -> Self {
        // Paths in buckets have slashes, whatever the pattern was written on.
        let pattern = |text: &str| Pattern::new(&text.replace('\\', "/"));
        let all = |patterns: Option<&OneOrMany<String>>| {
            let patterns = patterns.map(|patterns| patterns.0.as_slice()).unwrap_or_default();
            patterns.iter().map(|text| pattern(text)).collect()
        };
        let rules = rules
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| match (line.strip_prefix('+'), line.strip_prefix('-')) {
                (Some(text), _) => (true, pattern(text.trim())),
                (None, Some(text)) => (false, pattern(text.trim())),
                (None, None) => (true, pattern(line)),
            })
            .collect();
        Self {
            rules,
            include: all(include),
            exclude: all(exclude),
        }
    }

    fn wants(&self, path: &str) -> bool {
        if let Some((wants, _)) = self.rules.iter().find(|(_, pattern)| pattern.matches(path)) {
            return *wants;
        }
        let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(path));
        !fits(&self.exclude) && (self.include.is_empty() || fits(&self.include))
    }
}

/// Does what the plan says.
async fn carry_out(api: &HfApi, plan: &SyncPlan, progress: &ProgressHandle) -> Result<()> {
    let direction = Direction::between(&plan.source, &plan.dest)?;
    let of = |action: SyncAction| {
        plan.operations
            .iter()
            .filter(move |operation| operation.action == action)
    };
    let local = |path: &str| -> Result<PathBuf> { Ok(direction.folder.join(path.parse::<RepoPath>()?.to_local())) };
    let deleted: Vec<&str> = of(SyncAction::Delete)
        .map(|operation| operation.path.as_str())
        .collect();

    if direction.upload {
        let mut add = Vec::new();
        for operation in of(SyncAction::Upload) {
            add.push(BucketAdd {
                source: local(&operation.path)?.into(),
                destination: direction.remote(&operation.path),
            });
        }
        if !add.is_empty() {
            xet::available(api)?;
        }
        if add.is_empty() && deleted.is_empty() {
            return Ok(());
        }
        let delete: Vec<String> = deleted.into_iter().map(|path| direction.remote(path)).collect();
        return api
            .batch_bucket_files(direction.bucket)
            .add(add)
            .delete(delete)
            .progress(progress.clone())
            .await;
    }

    let mut files = Vec::new();
    for operation in of(SyncAction::Download) {
        let source = match &operation.bucket_file {
            Some(file) => BucketSource::File(file.clone()),
            None => BucketSource::Path(direction.remote(&operation.path)),
        };
        files.push(BucketDownload::new(source, local(&operation.path)?));
    }
    if !files.is_empty() {
        let download = api.download_bucket_files(direction.bucket.clone(), files);
        download.progress(progress.clone()).await?;
    }
    let gone: Vec<PathBuf> = deleted.into_iter().map(local).collect::<Result<_>>()?;
    let folder = direction.folder.clone();
    blocking(move || Ok(gone.iter().try_for_each(|path| remove(path, &folder))?)).await
}

/// Removes a file, and the folders above it that are empty then. Blocks.
fn remove(path: &Path, root: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(path) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let above = path.ancestors().skip(1).take_while(|folder| *folder != root);
    for folder in above {
        if fs_err::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let filter = Filter::new("# rules\n- *.tmp\n+ keep/*\n\nlogs/*\n", None, Some(&"logs/*".into()));
        for (path, wanted) in [
            ("a.tmp", false),
            ("keep/x", true),
            ("keep/x.tmp", false),
            ("logs/a", true),
            ("b", true),
        ] {
            assert_eq!(filter.wants(path), wanted, "{path}");
        }
        let filter = Filter::new("", Some(&"*.txt".into()), Some(&"a\\*".into()));
        for (path, wanted) in [("x.txt", true), ("a/x.txt", false), ("x.bin", false)] {
            assert_eq!(filter.wants(path), wanted, "{path}");
        }
    }

    #[test]
    fn one_side_is_a_bucket() {
        let direction = Direction::between("./data", "hf://buckets/ada/box/a/b/").unwrap();
        assert!(direction.upload);
        assert_eq!(direction.remote("c"), "a/b/c");
        assert!(!Direction::between("hf://buckets/ada/box", "x").unwrap().upload);
        assert!(Direction::between("a", "b").is_err());
        assert!(Direction::between("hf://buckets/a/b", "hf://buckets/a/c").is_err());
        assert!(Direction::between("hf://buckets/a", "x").is_err());
    }

    #[test]
    fn sizes_and_times_decide_as_the_options_say() {
        let side = |size, mtime| Some(Side { size, mtime });
        let args = |json: serde_json::Value| -> SyncBucketArgs { serde_json::from_value(json).unwrap() };
        let up = Direction::between("a", "hf://buckets/a/b").unwrap();
        let decide = |json, from, to| {
            let decided = args(json).decide(&up, from, to);
            decided.map(|(action, reason, _)| format!("{}: {reason}", action.as_str()))
        };
        let none = serde_json::json!({});
        for (options, from, to, expected) in [
            (none.clone(), side(1, 0), None, Some("upload: new file")),
            (none.clone(), None, side(1, 0), None),
            (none.clone(), side(1, 0), side(2, 0), Some("upload: size differs")),
            (none.clone(), side(1, 1001), side(1, 0), Some("upload: local newer")),
            (none.clone(), side(1, 1000), side(1, 0), Some("skip: identical")),
            (none, side(1, 0), side(1, 9000), Some("skip: identical")),
            (
                serde_json::json!({"delete": true}),
                None,
                side(1, 0),
                Some("delete: not in source (--delete)"),
            ),
            (
                serde_json::json!({"existing": true}),
                side(1, 0),
                None,
                Some("skip: new file (--existing)"),
            ),
            (
                serde_json::json!({"ignore_existing": true}),
                side(1, 9000),
                side(2, 0),
                Some("skip: exists on receiver (--ignore-existing)"),
            ),
            (
                serde_json::json!({"ignore_times": true}),
                side(1, 9000),
                side(1, 0),
                Some("skip: same size"),
            ),
            (
                serde_json::json!({"ignore_sizes": true}),
                side(1, 0),
                side(2, 9000),
                Some("skip: remote newer"),
            ),
            (
                serde_json::json!({"ignore_sizes": true}),
                side(1, 0),
                side(2, 0),
                Some("skip: same mtime"),
            ),
        ] {
            assert_eq!(decide(options.clone(), from, to).as_deref(), expected, "{options}");
        }
    }

    #[test]
    fn options_that_exclude_each_other_are_refused() {
        for (options, named) in [
            (
                serde_json::json!({"ignore_times": true, "ignore_sizes": true}),
                "ignore_sizes",
            ),
            (
                serde_json::json!({"existing": true, "ignore_existing": true}),
                "ignore_existing",
            ),
            (serde_json::json!({"dry_run": true, "plan": "p"}), "plan"),
            (serde_json::json!({"apply": "p", "source": "a"}), "source"),
            (serde_json::json!({"apply": "p", "delete": true}), "delete"),
        ] {
            let args: SyncBucketArgs = serde_json::from_value(options).unwrap();
            let err = args.check().unwrap_err().to_string();
            assert!(err.contains(named), "{err}");
        }
    }
}
