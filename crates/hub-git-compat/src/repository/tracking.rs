//! Staging, and which files go through LFS.

use std::io;
use std::path::{Path, PathBuf};

use super::run::{checked, local_path};
use super::{LfsTracking, Repository};
use crate::{Result, attributes};

impl Repository {
    /// Stages what matches a pattern; `.` is everything. Returns the paths that are now tracked by LFS and were not.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a pattern that is empty, begins with `-` or holds
    /// control characters; [`Error::Git`](crate::Error::Git) when nothing matches.
    #[deprecated(note = "use `upload_file`, `upload_folder` or `create_commit` of `hub_http::HfApi`")]
    pub fn git_add(&self, pattern: &str, tracking: LfsTracking) -> Result<Vec<PathBuf>> {
        self.stage(pattern, tracking)
    }

    pub(super) fn stage(&self, pattern: &str, tracking: LfsTracking) -> Result<Vec<PathBuf>> {
        let pattern = checked("pattern", pattern)?;
        let mut tracked = Vec::new();
        if tracking == LfsTracking::Auto {
            tracked = self.track_where(pattern, attributes::belongs_in_lfs)?;
            let changed = self.listed([
                "ls-files",
                "-z",
                "-m",
                "-o",
                "--exclude-standard",
                "--",
                ".gitattributes",
            ])?;
            if !changed.is_empty() {
                self.git.run(&self.offline(["add", "--", ".gitattributes"]))?;
            }
        }
        self.git.run(&self.offline(["add", "--", pattern]))?;
        Ok(tracked)
    }

    /// Writes the files of 10 MiB and more below a pattern into `.gitattributes`, unless they are tracked by LFS or
    /// ignored, and takes the lines of deleted files out. Returns the paths that are tracked now; stages nothing.
    ///
    /// # Errors
    ///
    /// As for [`Repository::git_add`].
    #[deprecated(note = "not needed: `upload_file` and `upload_folder` of `hub_http::HfApi` ask the Hub what is large")]
    pub fn auto_track_large_files(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        self.track_where(checked("pattern", pattern)?, attributes::is_large)
    }

    /// The same for files that are not text, by the bytes of their first 10 MiB.
    ///
    /// # Errors
    ///
    /// As for [`Repository::git_add`].
    #[deprecated(note = "not needed: `upload_file` and `upload_folder` of `hub_http::HfApi` ask the Hub what is large")]
    pub fn auto_track_binary_files(&self, pattern: &str) -> Result<Vec<PathBuf>> {
        self.track_where(checked("pattern", pattern)?, attributes::is_binary)
    }

    /// Writes patterns into `.gitattributes`, whose files go through LFS from then on. Stages nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a pattern that is empty, begins with `-` or holds
    /// control characters.
    #[deprecated(note = "commit a `.gitattributes` with `upload_file` of `hub_http::HfApi`; most files need none")]
    pub fn lfs_track<S: AsRef<str>>(&self, patterns: impl IntoIterator<Item = S>) -> Result<()> {
        let patterns = checked_patterns(patterns)?;
        let globs: Vec<Vec<u8>> = patterns.iter().map(|text| attributes::glob(text)).collect();
        attributes::update_patterns(&self.dir, &globs, &[]).map(drop)
    }

    /// As [`Repository::lfs_track`] for files by their names, of which no character has another meaning: `a[1].txt` is
    /// that file alone.
    ///
    /// # Errors
    ///
    /// As for [`Repository::lfs_track`].
    #[deprecated(note = "commit a `.gitattributes` with `upload_file` of `hub_http::HfApi`; most files need none")]
    pub fn lfs_track_files<S: AsRef<str>>(&self, names: impl IntoIterator<Item = S>) -> Result<()> {
        let names = checked_patterns(names)?;
        let names: Vec<Vec<u8>> = names.into_iter().map(String::into_bytes).collect();
        attributes::update(&self.dir, &names, &[]).map(drop)
    }

    /// Takes patterns and names out of `.gitattributes`, as [`Repository::lfs_track`] and
    /// [`Repository::lfs_track_files`] have written them. Files that are committed stay as they are.
    ///
    /// # Errors
    ///
    /// As for [`Repository::lfs_track`].
    #[deprecated(note = "commit a `.gitattributes` with `upload_file` of `hub_http::HfApi`; most files need none")]
    pub fn lfs_untrack<S: AsRef<str>>(&self, patterns: impl IntoIterator<Item = S>) -> Result<()> {
        let mut known = Vec::new();
        for text in checked_patterns(patterns)? {
            known.push(attributes::glob(&text));
            known.push(attributes::pattern(text.as_bytes())?);
        }
        attributes::update_patterns(&self.dir, &[], &known).map(drop)
    }

    /// Deletes the local copies of large files that no checkout needs and that the Hub has; with `recent` also those of
    /// recent commits.
    ///
    /// # Errors
    ///
    /// [`Error::Git`](crate::Error::Git).
    #[deprecated(note = "not needed: the cache keeps one copy; `hub cache prune` deletes what nothing refers to")]
    pub fn lfs_prune(&self, recent: bool) -> Result<()> {
        self.prune(recent)
    }

    pub(super) fn prune(&self, recent: bool) -> Result<()> {
        let mut call = self.online(["lfs", "prune"]);
        if recent {
            call = call.arg("--recent");
        }
        let said = self.git.run(&call).map_err(|err| self.explained(err))?.text();
        tracing::info!(said = %said.lines().last().unwrap_or_default(), "pruned");
        Ok(())
    }

    /// Tracks what belongs to LFS and is not tracked by it, and untracks what is deleted.
    fn track_where(&self, pattern: &str, belongs: fn(&Path) -> io::Result<bool>) -> Result<Vec<PathBuf>> {
        let deleted = self.listed(["ls-files", "-z", "--deleted", "--", pattern])?;
        let mut found = Vec::new();
        for path in self.listed(["ls-files", "-z", "--exclude-standard", "-m", "-o", "--", pattern])? {
            if deleted.contains(&path) || path == b".gitattributes" {
                continue;
            }
            let local = self.dir.join(local_path(&path)?);
            // A link is committed as a link, and a repository inside this one not at all.
            if fs_err::symlink_metadata(&local)?.is_file() && belongs(&local)? {
                found.push(path);
            }
        }
        found.sort();
        found.dedup();
        let tracked = self.tracked_of(&found)?;
        found.retain(|path| !tracked.contains(path));
        attributes::update(&self.dir, &found, &deleted)?;
        found.iter().map(|path| local_path(path)).collect()
    }

    /// Those of the paths whose attribute `filter` is exactly `lfs`.
    pub(super) fn tracked_of(&self, paths: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut stdin = paths.join(&0);
        stdin.push(0);
        let call = self.offline(["check-attr", "-z", "--stdin", "filter"]).stdin(stdin);
        let output = self.git.run(&call)?;
        // Path, attribute and value, each with a NUL behind it.
        let fields: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let tracked = fields.chunks_exact(3).filter(|row| row[2] == b"lfs");
        Ok(tracked.map(|row| row[0].to_vec()).collect())
    }
}

fn checked_patterns<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Vec<String>> {
    let patterns = patterns.into_iter();
    patterns
        .map(|pattern| Ok(checked("pattern", pattern.as_ref())?.to_owned()))
        .collect()
}
