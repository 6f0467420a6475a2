//! The server's name for a file's content.

use crate::validation::string_type;
use crate::{GitOid, Sha256, ValidationError};

/// A content id as the Hub sends it in `ETag` or `X-Linked-Etag`, without its quotes and weak mark.
///
/// It names the blob in the cache, so whatever could not be a plain file name is refused: a server may send anything.
/// In practice it is the [`Sha256`] of a large file or the [`GitOid`] of a small one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Etag(Box<str>);

impl Etag {
    /// The bare id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of the content, if this is one (64 hexadecimal digits).
    pub fn as_sha256(&self) -> Option<Sha256> {
        self.0.parse().ok()
    }

    /// The git blob id of the content, if this is one (40 hexadecimal digits).
    pub fn as_git_oid(&self) -> Option<GitOid> {
        self.0.parse().ok()
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        let refuse = |rule: &str| Err(ValidationError::new("etag", text, rule));
        let bare = text.trim();
        let bare = bare.strip_prefix("W/").unwrap_or(bare).trim_matches('"');
        if bare.is_empty() || bare.len() > 200 {
            return refuse("must have 1 to 200 characters");
        }
        if !bare
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.+=:@,~!".contains(&b))
            || bare.starts_with('.')
        {
            return refuse("is not safe as a file name");
        }
        if bare.contains(':') && cfg!(windows) {
            return refuse("is not safe as a file name");
        }
        Ok(Self(bare.into()))
    }
}

impl From<&Sha256> for Etag {
    fn from(hash: &Sha256) -> Self {
        Self(hash.to_string().into())
    }
}

impl From<&GitOid> for Etag {
    fn from(oid: &GitOid) -> Self {
        Self(oid.to_string().into())
    }
}

string_type!(Etag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loses_quotes_and_weak_mark() {
        for text in ["abc", "\"abc\"", "W/\"abc\""] {
            assert_eq!(text.parse::<Etag>().unwrap().as_str(), "abc");
        }
    }

    #[test]
    fn is_never_a_path() {
        for bad in [
            "",
            "\"\"",
            "../../x",
            "a/b",
            "a\\b",
            ".",
            "..",
            ".hidden",
            "a\0b",
            "a b",
            &"x".repeat(201),
        ] {
            assert!(bad.parse::<Etag>().is_err(), "{bad:?}");
        }
    }
}
