//! What was asked for: a branch, a tag, a pull request's ref or a commit.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::validation::string_type;
use crate::{CommitHash, ValidationError};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A git revision as a caller names it: branch, tag, `refs/pr/1`, `refs/convert/parquet` or a commit hash.
///
/// Held as it was given, not percent-encoded; [`Revision::encoded`] is the one segment that goes into an address. What
/// git itself would never accept as a name is refused, which also keeps a revision a safe path below a `refs` folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(Box<str>);

impl Revision {
    /// `main`, which is meant where no revision is given.
    pub fn main() -> Self {
        Self("main".into())
    }

    /// The ref of pull request `number`: `refs/pr/<number>`.
    pub fn pull_request(number: u64) -> Self {
        Self(format!("refs/pr/{number}").into())
    }

    /// The revision as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The revision as one segment of an address: everything but `A-Z a-z 0-9 _ . - ~` is percent-encoded, the slash
    /// too.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, SEGMENT).to_string()
    }

    /// The commit, if this is a full commit hash and so cannot move.
    pub fn as_commit_hash(&self) -> Option<CommitHash> {
        self.0.parse().ok()
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        let refuse = |rule: &str| Err(ValidationError::new("revision", text, rule));
        if text.is_empty() {
            return refuse("must not be empty");
        }
        if text.len() > 1024 {
            return refuse("must not be longer than 1024 bytes");
        }
        if text.starts_with('-') {
            return refuse("must not start with '-'");
        }
        if text.bytes().any(|b| b <= b' ' || b == 0x7f || b"~^:?*[\\".contains(&b)) {
            return refuse("must not contain blanks, control characters or any of ~^:?*[\\");
        }
        if text.contains("..") || text.contains("@{") {
            return refuse("must not contain '..' or '@{'");
        }
        for part in text.split('/') {
            if part.is_empty() || part.starts_with('.') || part.ends_with(".lock") || part.ends_with('.') {
                return refuse("parts between slashes must not be empty, start or end with '.' or end with '.lock'");
            }
        }
        Ok(Self(text.into()))
    }
}

impl Default for Revision {
    fn default() -> Self {
        Self::main()
    }
}

impl From<CommitHash> for Revision {
    fn from(commit: CommitHash) -> Self {
        Self(commit.as_str().into())
    }
}

impl From<&CommitHash> for Revision {
    fn from(commit: &CommitHash) -> Self {
        Self(commit.as_str().into())
    }
}

string_type!(Revision);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_segment_of_an_address() {
        for (revision, encoded) in [
            ("main", "main"),
            ("refs/pr/3", "refs%2Fpr%2F3"),
            ("a+b", "a%2Bb"),
            ("v1.0_x~1", ""),
            ("ü", "%C3%BC"),
        ] {
            match revision.parse::<Revision>() {
                Ok(revision) => assert_eq!(revision.encoded(), encoded),
                Err(err) => assert_eq!((err.value(), encoded), (Some(revision), "")),
            }
        }
    }

    #[test]
    fn refuses_what_git_refuses() {
        for bad in [
            "", "a b", "../x", "a..b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "-x", "a\\b", "a@{1}", "a\n",
        ] {
            assert!(bad.parse::<Revision>().is_err(), "{bad:?}");
        }
    }
}
