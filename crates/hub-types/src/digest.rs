//! Content ids, and the hashers for those that we compute.

use sha1::Digest as _;

use crate::ValidationError;
use crate::validation::string_type;

macro_rules! hex_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// The id from its bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The id's bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            fn parse(text: &str) -> Result<Self, ValidationError> {
                let refuse =
                    || ValidationError::new($what, text, concat!("must be ", stringify!($bytes), " bytes as hexadecimal digits"));
                if text.len() != 2 * $bytes {
                    return Err(refuse());
                }
                let mut bytes = [0; $bytes];
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let digit = |b: u8| char::from(b).to_digit(16);
                    let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(refuse()) };
                    *byte = (high * 16 + low) as u8;
                }
                Ok(Self(bytes))
            }

            fn as_str(&self) -> String {
                use std::fmt::Write as _;
                let mut text = String::with_capacity(2 * $bytes);
                for byte in self.0 {
                    let _ = write!(text, "{byte:02x}");
                }
                text
            }
        }

        string_type!($name);
    };
}

hex_type! {
    /// The git object id of a file: SHA-1 of `blob <length>\0` and the bytes. 40 hexadecimal digits as text.
    GitOid, 20, "git object id"
}

hex_type! {
    /// The SHA-256 of a file's bytes: its Git LFS object id. 64 hexadecimal digits as text.
    Sha256, 32, "sha256"
}

hex_type! {
    /// Xet's Merkle hash of a file. 64 hexadecimal digits as text, and never comparable with a [`Sha256`].
    XetHash, 32, "xet hash"
}

impl GitOid {
    /// The id of a file that holds `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = GitOidHasher::new(bytes.len() as u64);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl Sha256 {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Sha256Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Computes a [`GitOid`] piece by piece; the length must be known first, for git puts it in front.
#[derive(Debug, Clone)]
pub struct GitOidHasher(sha1::Sha1);

impl GitOidHasher {
    /// A hasher for a file of `length` bytes.
    pub fn new(length: u64) -> Self {
        let mut hasher = sha1::Sha1::new();
        hasher.update(format!("blob {length}\0"));
        Self(hasher)
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of all bytes taken.
    pub fn finish(self) -> GitOid {
        GitOid(self.0.finalize().into())
    }
}

/// Computes a [`Sha256`] piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Sha256Hasher(sha2::Sha256);

impl Sha256Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes taken.
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ids() {
        assert_eq!(GitOid::of(b"").to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(
            GitOid::of(b"Hello, World!").to_string(),
            "b45ef6fec89518d314f546fd6c3025367b721684"
        );
        assert_eq!(
            Sha256::of(b"Hello, World!").to_string(),
            "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f"
        );
    }

    #[test]
    fn text_comes_back() {
        let hash = Sha256::of(b"x");
        assert_eq!(hash.to_string().parse::<Sha256>().unwrap(), hash);
        for bad in ["", "zz", "é", &"g".repeat(64), &"a".repeat(63)] {
            assert!(bad.parse::<Sha256>().is_err(), "{bad:?}");
        }
    }
}
