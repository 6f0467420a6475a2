//! Text that must not be shown.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret that is not a token: a password, a webhook's secret, a secret of a Space or job.
///
/// Readable by [`Secret::reveal`], never shown by `Debug`; its memory is cleared when it is dropped. As data it is its
/// text: serialize it into a request only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret's text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

crate::argument!(Secret: from &str, String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_shown() {
        let secret: Secret = serde_json::from_str("\"s3\"").unwrap();
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(
            (secret.reveal(), serde_json::to_string(&secret).unwrap().as_str()),
            ("s3", "\"s3\"")
        );
    }
}
