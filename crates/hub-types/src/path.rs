//! A path inside a repository that is safe to join below a directory, on every platform.

use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ValidationError;
use crate::validation::string_type;

const KEEP_SLASH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A file's or folder's path inside a repository: relative, separated by `/`, without `..`, drives or control bytes.
///
/// What is refused and why: `..` and absolute paths would leave the directory that the path is joined to; a backslash
/// is a separator on Windows; `C:` and the like are drives there; `.git` is git's own. The rules are those of the
/// Python client's `_local_folder._validate_relative_filename`, applied on every platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(Box<str>);

impl RepoPath {
    /// The path with `/` between its parts.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The parts between the slashes.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The path of `name` below this one.
    ///
    /// # Errors
    ///
    /// When the result is no valid path.
    pub fn join(&self, name: &str) -> Result<Self, ValidationError> {
        Self::parse(&format!("{}/{name}", self.0))
    }

    /// The path for this platform, to join below a directory.
    pub fn to_local(&self) -> PathBuf {
        self.parts().collect()
    }

    /// The path in an address, slashes kept, everything else but `A-Z a-z 0-9 _ . - ~` percent-encoded.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, KEEP_SLASH).to_string()
    }

    /// The path as one segment of an address, slashes encoded too (tree and bucket listings).
    pub fn encoded_as_segment(&self) -> String {
        utf8_percent_encode(&self.0, SEGMENT).to_string()
    }

    /// Checks a path that is to be written by a commit: as the Python client's `_validate_path_in_repo`, one leading
    /// `/` and a leading `./` are dropped, and a `.git` or `.cache` part is refused.
    ///
    /// # Errors
    ///
    /// When the path breaks a rule; the error names both.
    pub fn for_commit(text: &str) -> Result<Self, ValidationError> {
        let trimmed = text.strip_prefix('/').unwrap_or(text);
        let trimmed = trimmed.strip_prefix("./").unwrap_or(trimmed);
        let path = Self::parse(trimmed).map_err(|err| ValidationError::new("path in repo", text, err.rule()))?;
        if let Some(part) = path.parts().find(|part| *part == ".git" || *part == ".cache") {
            return Err(ValidationError::new(
                "path in repo",
                text,
                format!("a '{part}' folder cannot be committed"),
            ));
        }
        Ok(path)
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        let refuse = |rule: &str| Err(ValidationError::new("path in repo", text, rule));
        if text.is_empty() {
            return refuse("must not be empty");
        }
        if text.len() > 4096 {
            return refuse("must not be longer than 4096 bytes");
        }
        if text.starts_with('/') {
            return refuse("must be relative, not start with '/'");
        }
        if text.contains('\\') {
            return refuse("use '/' between parts, not '\\'");
        }
        if text.chars().any(char::is_control) {
            return refuse("must not contain control characters");
        }
        for part in text.split('/') {
            match part {
                "" => return refuse("must not have empty parts"),
                ".." => return refuse("must not contain '..'"),
                "." => return refuse("must not contain a '.' part"),
                _ => {}
            }
            let bytes = part.as_bytes();
            if bytes.len() >= 2 && bytes[1] == b':' && bytes[0].is_ascii_alphabetic() {
                return refuse("must not name a drive");
            }
        }
        Ok(Self(text.into()))
    }
}

string_type!(RepoPath);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_would_leave_the_directory() {
        for bad in [
            "",
            "../x",
            "a/../x",
            "a\\..\\x",
            "/x",
            "C:/x",
            "D:foo",
            "\\\\h\\s\\x",
            "a//b",
            "a/",
            "./a",
            "a/C:x",
            "a\0",
        ] {
            assert!(bad.parse::<RepoPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commit_paths_lose_a_leading_slash_and_dot() {
        assert_eq!(RepoPath::for_commit("/a/b").unwrap().as_str(), "a/b");
        assert_eq!(RepoPath::for_commit("./a").unwrap().as_str(), "a");
        for bad in [".", "..", "a/../b", ".git/config", "a/.cache/x", "//a"] {
            let err = RepoPath::for_commit(bad).unwrap_err();
            assert_eq!(err.value(), Some(bad));
        }
    }

    #[test]
    fn is_encoded_with_or_without_its_slashes() {
        let path: RepoPath = "a b/100%/ü[1].txt".parse().unwrap();
        assert_eq!(path.encoded(), "a%20b/100%25/%C3%BC%5B1%5D.txt");
        assert_eq!(path.encoded_as_segment(), "a%20b%2F100%25%2F%C3%BC%5B1%5D.txt");
    }

    proptest! {
        #[test]
        fn stays_below_its_directory(text in "\\PC{0,40}") {
            if let Ok(path) = text.parse::<RepoPath>() {
                let local = path.to_local();
                prop_assert!(local.is_relative());
                prop_assert!(local.components().all(|c| matches!(c, std::path::Component::Normal(_))));
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
