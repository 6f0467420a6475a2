//! Models of the `files` area: what a repository's tree holds.

use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{Lenient, reply};
use crate::{Etag, GitOid, RepoPath, Sha256, Timestamp, ValidationError, XetHash};

reply! {
    /// How a large file is stored.
    LfsInfo {
        /// The hash of its content.
        sha256 as "sha256" | "oid" : Sha256,
        /// The size of its content in bytes.
        size: u64,
        /// The size in bytes of the pointer that git holds in its place.
        pointer_size?: u64,
    }

    /// The commit that last changed an entry.
    LastCommit {
        /// Its hash.
        id as "id" | "oid" : String,
        /// The first line of its message.
        title = String,
        /// When it was made.
        date?: Timestamp,
    }

    /// What the Hub's scanners say of a file.
    FileSecurity {
        /// The verdict; a file is safe only if this is `safe`.
        status: String,
        /// What the virus scanner says.
        av_scan?: serde_json::Value,
        /// What the pickle scanner says.
        pickle_import_scan?: serde_json::Value,
        ..
    }

    /// A file of a repository.
    RepoFile {
        /// Its path from the repository's root, as the server sent it. Take [`RepoFile::repo_path`] to join it to a
        /// directory.
        path: String,
        /// The size of its content in bytes, also for a large file.
        size: u64,
        /// The git object's id: that of the pointer for a large file. `None` when it is no SHA-1.
        oid?: GitOid => Lenient,
        /// How it is stored, for a large file.
        lfs?: LfsInfo => Lenient,
        /// Its hash in the Xet storage.
        xet_hash?: XetHash => Lenient,
        /// The commit that last changed it, if it was asked for.
        last_commit?: LastCommit,
        /// The scanners' verdict, if it was asked for.
        security as "securityFileStatus" ?: Box<FileSecurity>,
    }

    /// A folder of a repository.
    RepoFolder {
        /// Its path from the repository's root, as the server sent it. Take [`RepoFolder::repo_path`] to join it to a
        /// directory.
        path: String,
        /// The git object's id. `None` when it is no SHA-1.
        oid?: GitOid => Lenient,
        /// The commit that last changed it, if it was asked for.
        last_commit?: LastCommit,
    }
}

impl FileSecurity {
    /// Whether the scanners found nothing wrong.
    pub fn is_safe(&self) -> bool {
        self.status == "safe"
    }
}

impl RepoFile {
    /// Its path, checked: safe to join to a directory.
    ///
    /// # Errors
    ///
    /// When the server sent a path that would leave the directory.
    pub fn repo_path(&self) -> Result<RepoPath, ValidationError> {
        RepoPath::try_from(self.path.as_str())
    }

    /// The name under which the cache keeps its content, where the listing tells: the content's SHA-256 for a large
    /// file, else the git object's id.
    pub fn etag(&self) -> Option<Etag> {
        let text = match &self.lfs {
            Some(lfs) => lfs.sha256.to_string(),
            None => self.oid?.to_string(),
        };
        text.parse().ok()
    }
}

impl RepoFolder {
    /// Its path, checked: safe to join to a directory.
    ///
    /// # Errors
    ///
    /// When the server sent a path that would leave the directory.
    pub fn repo_path(&self) -> Result<RepoPath, ValidationError> {
        RepoPath::try_from(self.path.as_str())
    }
}

/// What a folder of a repository holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
#[non_exhaustive]
pub enum TreeEntry {
    /// A file.
    #[serde(rename = "file")]
    File(RepoFile),
    /// A folder, or what this version does not know.
    #[serde(rename = "directory")]
    Folder(RepoFolder),
}

impl TreeEntry {
    /// Its path from the repository's root, as the server sent it.
    pub fn path(&self) -> &str {
        match self {
            Self::File(file) => &file.path,
            Self::Folder(folder) => &folder.path,
        }
    }

    /// Its path, checked: safe to join to a directory.
    ///
    /// # Errors
    ///
    /// When the server sent a path that would leave the directory.
    pub fn repo_path(&self) -> Result<RepoPath, ValidationError> {
        RepoPath::try_from(self.path())
    }

    /// The file, if it is one.
    pub fn as_file(&self) -> Option<&RepoFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Folder(_) => None,
        }
    }

    /// The file, if it is one.
    pub fn into_file(self) -> Option<RepoFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Folder(_) => None,
        }
    }

    /// The commit that last changed it, if it was asked for.
    pub fn last_commit(&self) -> Option<&LastCommit> {
        match self {
            Self::File(file) => file.last_commit.as_ref(),
            Self::Folder(folder) => folder.last_commit.as_ref(),
        }
    }
}

impl<'de> Deserialize<'de> for TreeEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// All fields of both kinds, so that a listing of a million entries is read without a detour.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            #[serde(rename = "type", default)]
            kind: Option<String>,
            path: String,
            #[serde(default)]
            size: Option<u64>,
            #[serde(default)]
            oid: Lenient<GitOid>,
            #[serde(default)]
            lfs: Lenient<LfsInfo>,
            #[serde(default)]
            xet_hash: Lenient<XetHash>,
            #[serde(default)]
            last_commit: Option<LastCommit>,
            #[serde(default)]
            security_file_status: Option<Box<FileSecurity>>,
        }
        let entry = Entry::deserialize(deserializer)?;
        Ok(if entry.kind.as_deref() == Some("file") {
            Self::File(RepoFile {
                path: entry.path,
                size: entry.size.ok_or_else(|| serde::de::Error::missing_field("size"))?,
                oid: entry.oid.0,
                lfs: entry.lfs.0,
                xet_hash: entry.xet_hash.0,
                last_commit: entry.last_commit,
                security: entry.security_file_status,
            })
        } else {
            Self::Folder(RepoFolder {
                path: entry.path,
                oid: entry.oid.0,
                last_commit: entry.last_commit,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_apart_by_type() {
        let entries: Vec<TreeEntry> = serde_json::from_str(
            r#"[{"type":"directory","oid":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","size":0,"path":"onnx"},
                {"type":"file","oid":"8d9c0a4f1b2e3d4c5b6a79881726354433221100","size":734003200,"path":"m.safetensors",
                 "lfs":{"oid":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","size":734003200,"pointerSize":135},
                 "xetHash":"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
                 "lastCommit":{"id":"abc","title":"t","date":"2026-03-04T05:06:07.000Z"},
                 "securityFileStatus":{"status":"safe","avScan":null,"new":1}},
                {"type":"unknown","path":"sub"},
                {"type":"file","path":"a","size":1,"oid":"zz","lfs":{},"xetHash":null,"lastCommit":null}]"#,
        )
        .unwrap();
        assert!(matches!(&entries[0], TreeEntry::Folder(folder) if folder.path == "onnx" && folder.oid.is_some()));
        let file = entries[1].as_file().unwrap();
        let lfs = file.lfs.as_ref().unwrap();
        assert_eq!((lfs.size, lfs.pointer_size), (734_003_200, Some(135)));
        assert_eq!(file.etag().unwrap().as_str(), lfs.sha256.to_string());
        assert!(file.xet_hash.is_some() && file.security.as_ref().unwrap().is_safe());
        assert_eq!(entries[1].last_commit().unwrap().title, "t");
        assert!(matches!(&entries[2], TreeEntry::Folder(folder) if folder.oid.is_none()));
        let odd = entries[3].as_file().unwrap();
        assert_eq!((odd.oid, &odd.lfs, odd.etag()), (None, &None, None));

        let again: Vec<TreeEntry> = serde_json::from_str(&serde_json::to_string(&entries).unwrap()).unwrap();
        assert_eq!(again, entries);
    }

    #[test]
    fn an_unsafe_path_spoils_itself_alone() {
        let entries: Vec<TreeEntry> = serde_json::from_str(
            r#"[{"type":"file","path":"../../etc/passwd","size":1},{"type":"file","path":"ok/a","size":1}]"#,
        )
        .unwrap();
        assert!(entries[0].repo_path().is_err());
        assert_eq!(entries[1].repo_path().unwrap().as_str(), "ok/a");
    }

    #[test]
    fn the_hash_of_a_large_file_has_two_names() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for key in ["oid", "sha256"] {
            let info: LfsInfo = serde_json::from_value(serde_json::json!({ key: hash, "size": 3 })).unwrap();
            assert_eq!(info.sha256.to_string(), hash);
        }
    }
}
