//! A commit through the API: its lines, and the tree that they make.

use base64::Engine as _;
use git2::Oid;
use hub_types::{RepoPath, Revision, Sha256};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::store::discussions::{NewDiscussion, pull_request_ref};
use crate::store::edit::TreeEdit;
use crate::store::git::{FILE_MODE, LARGE};
use crate::store::lfs::Pointer;
use crate::store::rules::{Attributes, attribute_line};
use crate::store::{GitRepo, Repo, Store};

/// What a commit may hold.
const LFS_LIMIT: usize = 25_000;
const REGULAR_LIMIT: u64 = 1_000_000_000;

/// The full ref that a commit goes to: a branch or a pull request, which must be there.
pub(crate) fn target_ref(git: &GitRepo, rev: &str) -> Result<(String, Oid)> {
    let missing = || Error::RevisionNotFound(rev.to_owned());
    let checked: Revision = rev.parse().map_err(|_| missing())?;
    let name = match checked.as_str() {
        full if full.starts_with("refs/heads/")
            || full.starts_with("refs/pr/")
            || full.starts_with("refs/convert/") =>
        {
            full.to_owned()
        }
        branch => format!("refs/heads/{branch}"),
    };
    let at = git.ref_target(&name)?.ok_or_else(missing)?;
    Ok((name, at))
}

/// One line of a commit.
#[derive(Deserialize)]
#[serde(tag = "key", content = "value", rename_all = "camelCase")]
enum Line {
    Header(Header),
    File(FileLine),
    LfsFile(LfsLine),
    DeletedFile(PathLine),
    DeletedFolder(PathLine),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    summary: String,
    #[serde(default)]
    description: String,
    parent_commit: Option<String>,
}

#[derive(Deserialize)]
struct FileLine {
    content: String,
    path: String,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct LfsLine {
    path: String,
    algo: Option<String>,
    oid: String,
    size: Option<u64>,
}

#[derive(Deserialize)]
struct PathLine {
    path: String,
}

/// A change of the tree, whose bytes are stored already.
enum Change {
    Put { path: RepoPath, blob: Oid },
    PutLarge { path: RepoPath, pointer: Pointer },
    Remove { path: RepoPath, folder: bool },
}

/// A commit's lines as read so far: bytes go to the object store line by line, so that a commit of a gigabyte takes the
/// memory of its longest line.
pub(crate) struct Draft<'a> {
    store: &'a Store,
    repo: &'a Repo,
    git: &'a GitRepo,
    header: Option<Header>,
    changes: Vec<Change>,
    regular: u64,
    large: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(store: &'a Store, repo: &'a Repo, git: &'a GitRepo) -> Self {
        Self {
            store,
            repo,
            git,
            header: None,
            changes: Vec::new(),
            regular: 0,
            large: 0,
        }
    }

    /// Takes the next line.
    pub(crate) fn take(&mut self, line: &[u8]) -> Result<()> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let number = self.changes.len() + 1;
        let line: Line = serde_json::from_slice(line)
            .map_err(|err| Error::bad_request(format!("invalid line {number} of the commit: {err}")))?;
        if !matches!(line, Line::Header(_)) && self.header.is_none() {
            return Err(Error::bad_request("the first line of a commit must be its header"));
        }
        match line {
            Line::Header(header) => {
                if self.header.is_some() {
                    return Err(Error::bad_request("a commit has one header"));
                }
                if header.summary.trim().is_empty() {
                    return Err(Error::bad_request("\"summary\" is not allowed to be empty"));
                }
                self.header = Some(header);
            }
            Line::File(file) => self.file(&file)?,
            Line::LfsFile(file) => self.large_file(&file)?,
            Line::DeletedFile(file) => {
                let path = RepoPath::for_commit(&file.path)?;
                self.changes.push(Change::Remove { path, folder: false });
            }
            Line::DeletedFolder(folder) => {
                let path = RepoPath::for_commit(folder.path.trim_end_matches('/'))?;
                self.changes.push(Change::Remove { path, folder: true });
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &FileLine) -> Result<()> {
        let path = RepoPath::for_commit(&file.path)?;
        let bytes = match file.encoding.as_deref() {
            Some("base64") => base64::engine::general_purpose::STANDARD
                .decode(&file.content)
                .map_err(|_| Error::bad_request(format!("the content of {path} is not base64")))?,
            None | Some("utf-8") => file.content.clone().into_bytes(),
            Some(other) => return Err(Error::bad_request(format!("unknown encoding {other} of {path}"))),
        };
        if bytes.len() as u64 > LARGE {
            return Err(Error::bad_request(format!(
                "{path} is larger than 10 MiB: upload it as a large file (LFS)"
            )));
        }
        self.regular += bytes.len() as u64;
        if self.regular > REGULAR_LIMIT {
            return Err(Error::TooLarge(
                "a commit may have 1 GB of regular files at the most".to_owned(),
            ));
        }
        let blob = self.git.0.blob(&bytes)?;
        self.changes.push(Change::Put { path, blob });
        Ok(())
    }

    fn large_file(&mut self, file: &LfsLine) -> Result<()> {
        let path = RepoPath::for_commit(&file.path)?;
        if file.algo.as_deref().is_some_and(|algo| algo != "sha256") {
            return Err(Error::bad_request("\"algo\" must be sha256"));
        }
        let sha256: Sha256 = file.oid.parse()?;
        self.large += 1;
        if self.large > LFS_LIMIT {
            return Err(Error::TooLarge(format!(
                "a commit may have {LFS_LIMIT} large files at the most"
            )));
        }
        // A copy has no size: it is that of the file that was pushed.
        match self.store.large_size(self.repo, &sha256)? {
            Some(size) if file.size.is_none_or(|given| given == size) => {
                self.changes.push(Change::PutLarge {
                    path,
                    pointer: Pointer { sha256, size },
                });
                Ok(())
            }
            Some(size) => Err(Error::bad_request(format!(
                "the size of {path} is {size}, not {}",
                file.size.unwrap_or_default()
            ))),
            None => Err(Error::bad_request(format!(
                "LFS pointer pointed to a file that does not exist: {path} ({sha256}) was not uploaded"
            ))),
        }
    }

    /// The tree that the changes make of the one at `base`.
    fn tree(&self, base: Oid) -> Result<Oid> {
        let mut edit = TreeEdit::new(&self.git.0, self.git.tree_of(base)?);
        for change in &self.changes {
            match change {
                Change::Put { path, blob } => edit.put(path, *blob, FILE_MODE)?,
                Change::PutLarge { path, pointer } => {
                    edit.put(path, self.git.0.blob(pointer.text().as_bytes())?, FILE_MODE)?;
                }
                Change::Remove { path, folder } => {
                    if !edit.remove(path, *folder)? {
                        let what = if *folder { "folder" } else { "file" };
                        return Err(Error::entry(
                            format!("A {what} with this name doesn't exist: {path}"),
                            base,
                        ));
                    }
                }
            }
        }
        let tree = edit.write()?;
        self.attributes(tree)
    }

    /// Adds to `.gitattributes` the large files that it does not name yet: git-lfs would take their pointers for them.
    fn attributes(&self, tree: Oid) -> Result<Oid> {
        if self.large == 0 {
            return Ok(tree);
        }
        let git = &self.git.0;
        let name: RepoPath = ".gitattributes".parse()?;
        let mut text = match git.find_tree(tree)?.get_name(name.as_str()) {
            Some(entry) => String::from_utf8_lossy(git.find_blob(entry.id())?.content()).into_owned(),
            None => String::new(),
        };
        let rules = Attributes::parse(&text);
        let mut more = String::new();
        for change in &self.changes {
            if let Change::PutLarge { path, .. } = change
                && !rules.is_lfs(path.as_str())
            {
                more.push_str(&attribute_line(path.as_str()));
            }
        }
        if more.is_empty() {
            return Ok(tree);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&more);
        let mut edit = TreeEdit::new(git, tree);
        edit.put(&name, git.blob(text.as_bytes())?, FILE_MODE)?;
        edit.write()
    }
}

/// What a commit came to.
pub(crate) struct Made {
    pub(crate) commit: Oid,
    pub(crate) pull_request: Option<u64>,
}

/// Makes the commit, on a branch or as a new pull request.
pub(crate) fn finish(mut draft: Draft<'_>, rev: &str, create_pr: bool, author: &str) -> Result<Made> {
    let (store, repo, git) = (draft.store, draft.repo, draft.git);
    let Some(header) = draft.header.take() else {
        return Err(Error::bad_request("the first line of a commit must be its header"));
    };
    let message = match header.description.trim() {
        "" => header.summary.trim().to_owned(),
        description => format!("{}\n\n{description}", header.summary.trim()),
    };
    let made = store.locked(repo, || {
        let (name, head) = target_ref(git, rev)?;
        let base = match header.parent_commit.as_deref().filter(|parent| !parent.is_empty()) {
            None => head,
            Some(parent) => {
                let parent = parent_commit(git, parent)?;
                // A pull request starts where its author stood; a branch must still be there.
                if !create_pr && parent != head {
                    return Err(Error::Outdated);
                }
                parent
            }
        };
        let tree = draft.tree(base)?;
        let commit = git.commit(tree, &[base], author, &message)?;
        if create_pr {
            if !name.starts_with("refs/heads/") {
                return Err(Error::RevisionNotFound(rev.to_owned()));
            }
            let new = NewDiscussion {
                title: header.summary.trim(),
                description: header.description.trim(),
                author,
                status: "open",
                base: Some((&name, base)),
            };
            let num = store.open_pull_request(repo, git, &new)?;
            git.move_ref(&pull_request_ref(num), Some(base), commit, "commit")?;
            store.note_commits(repo, git, num, base, commit)?;
            return Ok(Made {
                commit,
                pull_request: Some(num),
            });
        }
        git.move_ref(&name, Some(head), commit, "commit")?;
        if let Some(num) = name.strip_prefix("refs/pr/").and_then(|num| num.parse().ok()) {
            store.note_commits(repo, git, num, head, commit)?;
        }
        Ok(Made {
            commit,
            pull_request: None,
        })
    })?;
    store.index(repo)?;
    Ok(made)
}

/// The parent that a commit names: 5 to 40 digits.
fn parent_commit(git: &GitRepo, text: &str) -> Result<Oid> {
    if !(5..=40).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::bad_request(
            "\"parentCommit\" must be 5 to 40 hexadecimal digits",
        ));
    }
    git.0
        .find_object_by_prefix(text, Some(git2::ObjectType::Commit))
        .map(|object| object.id())
        .map_err(|_| Error::Outdated)
}
