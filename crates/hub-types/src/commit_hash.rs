//! What a revision resolved to.

use crate::ValidationError;
use crate::validation::string_type;

/// A full git commit hash: 40 lower-case hexadecimal digits. It names a snapshot folder in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitHash(Box<str>);

impl CommitHash {
    /// The 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        if text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Self(text.into()))
        } else {
            Err(ValidationError::new(
                "commit hash",
                text,
                "must be 40 lower-case hexadecimal digits",
            ))
        }
    }
}

string_type!(CommitHash);
