//! Where everything lies: arithmetic on paths, without a look at the disk.
//!
//! The layout is the Python client's (`huggingface_hub`, "Hub local cache"), which its processes and ours share.

use std::path::{Component, Path, PathBuf};

use hub_types::{CommitHash, Etag, RepoId, RepoPath, RepoType, Revision, ValidationError, XetHash};

/// What `CACHEDIR.TAG` holds: the Python client's very bytes.
pub(crate) const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This file is a cache directory tag created by huggingface_hub.\n\
    # For information about cache directory tags, see:\n\
    #\thttps://bford.info/cachedir/\n";

/// What marks the shared blob store as one, in version 1.
pub(crate) const STORE_MARKER: &str = ".huggingface-shared-blobs";

/// The paths below a cache's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the cache at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `CACHEDIR.TAG`, which tells backup programs that this is a cache.
    pub fn cachedir_tag(&self) -> PathBuf {
        self.root.join("CACHEDIR.TAG")
    }

    /// The folder of the lock files.
    pub fn locks(&self) -> PathBuf {
        self.root.join(".locks")
    }

    /// The folder of the store that repositories share, one payload for each Xet hash.
    pub fn shared_blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The payload of a Xet hash in the shared store.
    pub fn shared_blob(&self, hash: &XetHash) -> PathBuf {
        let hash = hash.to_string();
        self.shared_blobs().join(&hash[..2]).join(&hash)
    }

    /// The paths of one repository.
    pub fn repo(&self, repo: &RepoId) -> RepoLayout {
        let folder = repo.folder_name();
        RepoLayout {
            dir: self.root.join(&folder),
            locks: self.locks().join(&folder),
        }
    }
}

/// The paths of one repository in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoLayout {
    dir: PathBuf,
    locks: PathBuf,
}

impl RepoLayout {
    /// The paths of the repository whose folder is `dir`, directly below a cache's root.
    pub(crate) fn at(dir: &Path) -> Self {
        let root = dir.parent().unwrap_or(Path::new(""));
        let name = dir.file_name().unwrap_or_default();
        Self {
            dir: dir.to_owned(),
            locks: root.join(".locks").join(name),
        }
    }

    /// The repository's folder: `models--ada--demo`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of refs.
    pub fn refs(&self) -> PathBuf {
        self.dir.join("refs")
    }

    /// The file that holds the commit of a branch, tag or pull request.
    pub fn ref_file(&self, revision: &Revision) -> PathBuf {
        joined(self.refs(), revision.as_str())
    }

    /// The folder of contents.
    pub fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    /// The file that holds a content.
    pub fn blob(&self, etag: &Etag) -> PathBuf {
        self.blobs().join(etag.as_str())
    }

    /// The folder of snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    /// One commit's tree of links.
    pub fn snapshot(&self, commit: &CommitHash) -> PathBuf {
        self.snapshots().join(commit.as_str())
    }

    /// A file in a commit's tree.
    pub fn pointer(&self, commit: &CommitHash, path: &RepoPath) -> PathBuf {
        joined(self.snapshot(commit), path.as_str())
    }

    /// The mark that a commit is known not to have a file.
    pub fn no_exist(&self, commit: &CommitHash, path: &RepoPath) -> PathBuf {
        joined(self.dir.join(".no_exist").join(commit.as_str()), path.as_str())
    }

    /// The folder of marks of files that a commit is known not to have.
    pub fn no_exist_dir(&self, commit: &str) -> PathBuf {
        self.dir.join(".no_exist").join(commit)
    }

    /// The folder of cached listings.
    pub fn trees(&self) -> PathBuf {
        self.dir.join("trees")
    }

    /// The folder of the repository's lock files.
    pub fn locks(&self) -> &Path {
        &self.locks
    }

    /// The file that is locked while a content is fetched or linked; the very file that the Python client locks.
    pub fn lock_file(&self, etag: &Etag) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// A partial file's name. No Python version takes it for its own (theirs have nothing or eight hex digits before
    /// `.incomplete`), and yet its prune finds it.
    pub fn partial(&self, etag: &Etag, tag: &str) -> PathBuf {
        self.blobs().join(format!("{etag}.{PARTIAL}{tag}.incomplete"))
    }
}

/// What stands before the random part of our partial files' names.
pub(crate) const PARTIAL: &str = "r1-";

/// Whether `name` is one of our partial files of `etag`.
pub(crate) fn is_partial_of(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_prefix(PARTIAL))
        .and_then(|rest| rest.strip_suffix(".incomplete"))
        .is_some_and(|tag| tag.len() == 8 && tag.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The etag of which `name` is one of our partial files.
#[cfg(feature = "download")]
pub(crate) fn etag_of_partial(name: &str) -> Option<&str> {
    let (etag, _) = name.rsplit_once(PARTIAL)?;
    etag.strip_suffix('.').filter(|etag| is_partial_of(name, etag))
}

/// The text of the link from a snapshot's file to its content: out of the file's folders, the commit's and `snapshots`.
pub fn link_text(path: &RepoPath, etag: &Etag) -> PathBuf {
    let mut text = PathBuf::new();
    for _ in 0..path.parts().count() + 1 {
        text.push("..");
    }
    text.push("blobs");
    text.push(etag.as_str());
    text
}

/// The type and id that a repository folder's name stands for, or none: `models--ada--demo`.
///
/// The id is as the Python client reads it: every `--` behind the first is a slash. It may break the rules of
/// [`RepoId`], for nobody checks what lies in a cache.
pub fn repo_of_folder(name: &str) -> Option<(RepoType, String)> {
    let (plural, rest) = name.split_once("--")?;
    Some((RepoType::from_plural(plural)?, rest.replace("--", "/")))
}

/// Checks that a file system can hold `path`, and that Windows would not read another name into it.
///
/// # Errors
///
/// A [`ValidationError`] that names the path and the rule.
pub fn check_local(path: &RepoPath) -> Result<(), ValidationError> {
    check_for(path, cfg!(windows))
}

fn check_for(path: &RepoPath, windows: bool) -> Result<(), ValidationError> {
    let refuse = |rule: &str| Err(ValidationError::new("path in repo", path.as_str(), rule));
    for part in path.parts() {
        if part.len() > 255 {
            return refuse("a part longer than 255 bytes is no file name");
        }
        if !windows {
            continue;
        }
        if part.contains(['<', '>', ':', '"', '|', '?', '*']) || part.chars().any(|c| (c as u32) < 32) {
            return refuse("Windows allows none of < > : \" | ? * in a file name");
        }
        if part.ends_with(['.', ' ']) {
            return refuse("Windows drops a dot or blank at the end of a file name");
        }
        if is_device(part) {
            return refuse("Windows keeps this name for a device");
        }
    }
    Ok(())
}

fn is_device(part: &str) -> bool {
    let stem = part
        .split('.')
        .next()
        .unwrap_or(part)
        .trim_end_matches(' ')
        .to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let mut rest = numbered.unwrap_or_default().chars();
    matches!(
        (rest.next(), rest.next()),
        (Some('1'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'), None)
    )
}

/// A checked relative name below a folder, with this platform's separators.
pub(crate) fn joined(mut dir: PathBuf, relative: &str) -> PathBuf {
    for part in relative.split('/') {
        dir.push(part);
    }
    dir
}

/// A path without `.` and `..`, by its text: the disk is not asked.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::with_capacity(path.as_os_str().len());
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "b45ef6fec89518d314f546fd6c3025367b721684";

    fn path(text: &str) -> RepoPath {
        text.parse().unwrap()
    }

    #[test]
    fn c_006_each_type_has_its_folder() {
        let layout = Layout::new("/c");
        for (repo_type, folder) in [
            (RepoType::Model, "/c/models--o--n"),
            (RepoType::Dataset, "/c/datasets--o--n"),
            (RepoType::Space, "/c/spaces--o--n"),
            (RepoType::Kernel, "/c/kernels--o--n"),
        ] {
            let repo = RepoId::new(repo_type, "o/n").unwrap();
            assert_eq!(layout.repo(&repo).dir(), Path::new(folder));
        }
        let bare = RepoId::model("GPT2").unwrap();
        assert_eq!(layout.repo(&bare).dir(), Path::new("/c/models--GPT2"));
        assert_eq!(
            repo_of_folder("datasets--O--n"),
            Some((RepoType::Dataset, "O/n".into()))
        );
        assert_eq!(repo_of_folder("things--o--n"), None);
        assert_eq!(repo_of_folder("models"), None);
    }

    #[test]
    fn c_007_a_bad_repo_id_never_becomes_a_folder() {
        let long = "x".repeat(97);
        for id in ["a--b", "a..b", ".a", "a-", "a.git", "a/b/c", "é", &long] {
            assert!(RepoId::model(id).is_err(), "{id}");
        }
    }

    #[test]
    fn c_008_the_tag_is_pythons_191_bytes() {
        assert_eq!(CACHEDIR_TAG.len(), 191);
        assert!(CACHEDIR_TAG.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    }

    #[test]
    fn c_010_an_etag_that_is_a_path_is_refused() {
        for bad in ["a/b", "..", "/a", "", "../../x"] {
            assert!(bad.parse::<Etag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn c_012_an_uppercase_hash_is_a_name() {
        let revision: Revision = ETAG.to_uppercase().parse().unwrap();
        assert_eq!(revision.as_commit_hash(), None);
    }

    #[test]
    fn c_013_a_link_leaves_its_folders() {
        let etag: Etag = ETAG.parse().unwrap();
        let text = |p: &str| link_text(&path(p), &etag);
        assert_eq!(text("f"), PathBuf::from(format!("../../blobs/{ETAG}")));
        assert_eq!(text("dir/sub/f"), PathBuf::from(format!("../../../../blobs/{ETAG}")));
    }

    #[test]
    fn c_100_names_that_would_leave_are_refused_everywhere() {
        for bad in [
            "../x",
            "a/../b",
            "a\\..\\b",
            "/x",
            "\\x",
            "\\\\h\\s\\f",
            "C:x",
            "C:/x",
            "a/C:b",
            "a//b",
            "./a",
            "",
            "a\0b",
        ] {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
        for good in ["..a", "a..", "weird but valid/n.txt", "café.txt"] {
            assert!(check_for(&path(good), false).is_ok(), "{good}");
        }
        assert!(check_for(&path(&"x".repeat(256)), false).is_err());
    }

    #[test]
    fn c_101_windows_refuses_more() {
        for bad in [
            "aux",
            "NUL.txt",
            "COM1.bin",
            "lpt\u{b9}",
            "a.",
            "a ",
            "a?b",
            "d/CON",
            "CONIN$",
        ] {
            assert!(check_for(&path(bad), true).is_err(), "{bad}");
            assert!(check_for(&path(bad), false).is_ok(), "{bad}");
        }
        for good in ["auxiliary", "com10", "nul_", "COM"] {
            assert!(check_for(&path(good), true).is_ok(), "{good}");
        }
    }

    #[test]
    fn c_103_a_revision_cannot_leave_refs() {
        for bad in ["../../x", "/abs", "a/../b", "C:\\x"] {
            assert!(bad.parse::<Revision>().is_err(), "{bad}");
        }
    }

    #[test]
    fn our_partials_are_nobody_elses() {
        let repo = Layout::new("/c").repo(&RepoId::model("o/n").unwrap());
        let etag: Etag = ETAG.parse().unwrap();
        let name = repo.partial(&etag, "0123abcd");
        let name = name.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("{ETAG}.r1-0123abcd.incomplete"));
        assert!(is_partial_of(name, ETAG));
        #[cfg(feature = "download")]
        assert_eq!(etag_of_partial(name), Some(ETAG));
        for other in [
            format!("{ETAG}.incomplete"),
            format!("{ETAG}.0123abcd.incomplete"),
            format!("{ETAG}.r1-0123abcd.incomplete.journal"),
        ] {
            assert!(!is_partial_of(&other, ETAG), "{other}");
            #[cfg(feature = "download")]
            assert_eq!(etag_of_partial(&other), None, "{other}");
        }
    }
}
