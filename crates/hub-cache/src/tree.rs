//! The listing of one commit, kept beside its snapshot: what a complete snapshot holds, and each file's size and etag.
//!
//! The format is the Python client's (`trees/<commit>.json`, since 1.22), byte for byte. A commit never changes, so a
//! listing never expires.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

use fs_err as fs;
use hub_types::{Etag, GitOid, RepoPath, Sha256, XetHash};
use serde::Deserialize;

use crate::disk;
use crate::error::Result;

/// The files of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// The files by their paths.
    pub files: BTreeMap<RepoPath, TreeFile>,
}

/// One file of a commit, as its listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeFile {
    /// Bytes of the content.
    pub size: u64,
    /// The git object id: of the content, or of the LFS pointer.
    pub oid: GitOid,
    /// The content's hash and bytes, if it is kept in LFS.
    pub lfs: Option<(Sha256, u64)>,
    /// The content's Xet hash, if it is kept there.
    pub xet_hash: Option<XetHash>,
}

impl TreeFile {
    /// A file as a listing tells it.
    pub fn new(size: u64, oid: GitOid, lfs: Option<(Sha256, u64)>, xet_hash: Option<XetHash>) -> Self {
        Self {
            size,
            oid,
            lfs,
            xet_hash,
        }
    }

    /// The etag that the Hub sends with the content: the LFS hash, else the git object id.
    pub fn etag(&self) -> Etag {
        match &self.lfs {
            Some((sha256, _)) => sha256.into(),
            None => (&self.oid).into(),
        }
    }

    /// Bytes of the content.
    pub fn content_size(&self) -> u64 {
        self.lfs.map_or(self.size, |(_, size)| size)
    }
}

#[derive(Deserialize)]
struct RawTree {
    files: BTreeMap<RepoPath, RawFile>,
}

#[derive(Deserialize)]
struct RawFile {
    size: u64,
    blob_id: GitOid,
    lfs_sha256: Option<Sha256>,
    lfs_size: Option<u64>,
    xet_hash: Option<XetHash>,
}

impl Tree {
    /// Reads a cached listing, or gives none where there is none that can be believed.
    ///
    /// An unknown format version is passed over in silence; anything else that is wrong, be it one path that would leave
    /// the snapshot, makes the whole listing unusable and is warned of. It is then fetched and written again.
    pub fn read(path: &Path) -> Option<Self> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return None,
            Err(err) => {
                tracing::warn!(%err, "ignoring a cached listing that cannot be read");
                return None;
            }
        };
        #[derive(Deserialize)]
        struct Versioned {
            format_version: serde_json::Value,
        }
        let parsed = serde_json::from_slice::<Versioned>(&text).and_then(|versioned| {
            if versioned.format_version != 1 {
                return Ok(None);
            }
            serde_json::from_slice::<RawTree>(&text).map(Some)
        });
        match parsed {
            Ok(Some(raw)) => Some(raw.into()),
            Ok(None) => None,
            Err(err) => {
                tracing::warn!(path = %path.display(), %err, "ignoring a damaged cached listing");
                None
            }
        }
    }

    /// Writes the listing, whole or not at all, with the mode that new files have here.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the caller loses nothing but a request next time.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let temporary = path.with_file_name(format!("tmp{}.tmp", disk::hex8()));
        disk::write_atomically(path, &temporary, self.to_json().as_bytes())
    }

    /// The listing as Python's `json.dumps(…, sort_keys=True, indent=1)` writes it.
    fn to_json(&self) -> String {
        let mut out = String::with_capacity(128 + 160 * self.files.len());
        out.push_str("{\n \"format_version\": 1,\n \"files\": ");
        if self.files.is_empty() {
            out.push_str("{}\n}");
            return out;
        }
        out.push('{');
        for (index, (path, file)) in self.files.iter().enumerate() {
            out.push_str(if index == 0 { "\n  " } else { ",\n  " });
            quote(&mut out, path.as_str());
            let _ = write!(
                out,
                ": {{\n   \"size\": {},\n   \"blob_id\": \"{}\"",
                file.size, file.oid
            );
            if let Some((sha256, size)) = &file.lfs {
                let _ = write!(out, ",\n   \"lfs_sha256\": \"{sha256}\",\n   \"lfs_size\": {size}");
            }
            if let Some(hash) = &file.xet_hash {
                let _ = write!(out, ",\n   \"xet_hash\": \"{hash}\"");
            }
            out.push_str("\n  }");
        }
        out.push_str("\n }\n}");
        out
    }
}

impl From<RawTree> for Tree {
    fn from(raw: RawTree) -> Self {
        let files = raw
            .files
            .into_iter()
            .map(|(path, file)| {
                let lfs = file.lfs_sha256.zip(file.lfs_size);
                (path, TreeFile::new(file.size, file.blob_id, lfs, file.xet_hash))
            })
            .collect();
        Self { files }
    }
}

/// A string as Python's default JSON writer has it: ASCII only.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "b45ef6fec89518d314f546fd6c3025367b721684";
    const SHA: &str = "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f";

    fn tree() -> Tree {
        let plain = TreeFile::new(3, OID.parse().unwrap(), None, None);
        let large = TreeFile::new(
            9,
            OID.parse().unwrap(),
            Some((SHA.parse().unwrap(), 9)),
            Some(SHA.parse().unwrap()),
        );
        Tree {
            files: [
                ("dir/\u{e9}\u{1f600}\"x".parse().unwrap(), large),
                ("a.json".parse().unwrap(), plain),
            ]
            .into(),
        }
    }

    #[test]
    fn c_063_the_bytes_are_pythons() {
        // Written by huggingface_hub 2.4.0 for this listing.
        let expected = format!(
            "{{\n \"format_version\": 1,\n \"files\": {{\n  \"a.json\": {{\n   \"size\": 3,\n   \"blob_id\": \"{OID}\"\n  }},\n  \
             \"dir/\\u00e9\\ud83d\\ude00\\\"x\": {{\n   \"size\": 9,\n   \"blob_id\": \"{OID}\",\n   \"lfs_sha256\": \"{SHA}\",\n   \
             \"lfs_size\": 9,\n   \"xet_hash\": \"{SHA}\"\n  }}\n }}\n}}"
        );
        assert_eq!(tree().to_json(), expected);
        assert_eq!(
            Tree::default().to_json(),
            "{\n \"format_version\": 1,\n \"files\": {}\n}"
        );
    }

    #[test]
    fn a_written_listing_comes_back_with_a_shared_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trees/c.json");
        tree().write(&path).unwrap();
        assert_eq!(Tree::read(&path), Some(tree()));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let plain = dir.path().join("plain");
            fs::write(&plain, b"").unwrap();
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode(),
                fs::metadata(&plain).unwrap().permissions().mode()
            );
        }
    }

    #[test]
    fn c_064_c_067_what_cannot_be_believed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.json");
        let file = format!("{{\"size\": 1, \"blob_id\": \"{OID}\"}}");
        for bad in [
            "".to_owned(),
            "{".to_owned(),
            "[]".to_owned(),
            "{\"format_version\": 2, \"files\": {}}".to_owned(),
            "{\"format_version\": 1}".to_owned(),
            "{\"format_version\": 1, \"files\": {\"a\": {\"size\": 1}}}".to_owned(),
            format!("{{\"format_version\": 1, \"files\": {{\"../a\": {file}}}}}"),
            format!("{{\"format_version\": 1, \"files\": {{\"/a\": {file}}}}}"),
            format!(
                "{{\"format_version\": 1, \"files\": {{\"a\": {{\"size\": 1, \"blob_id\": \"{OID}\", \"xet_hash\": \"zz\"}}}}}}"
            ),
        ] {
            fs::write(&path, &bad).unwrap();
            assert_eq!(Tree::read(&path), None, "{bad}");
        }
        fs::write(
            &path,
            format!("{{\"format_version\": 1, \"files\": {{\"a\": {file}}}}}"),
        )
        .unwrap();
        assert_eq!(Tree::read(&path).unwrap().files.len(), 1);
        assert_eq!(Tree::read(&dir.path().join("none.json")), None);
    }
}
