//! The small text that stands in git for a large file.

use std::fmt;

use hub_types::Sha256;

const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// The longest text that is looked at: a longer file is content.
const LONGEST: usize = 1024;

/// A Git LFS pointer: what a checkout holds in place of a large file whose content was not fetched.
///
/// Source: the Git LFS specification, version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pointer {
    /// The content's name in the store.
    pub sha256: Sha256,
    /// The content's length in bytes.
    pub size: u64,
}

impl Pointer {
    /// Reads a pointer, or says by `None` that these bytes are a file of their own.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LONGEST {
            return None;
        }
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        if lines.next()? != VERSION {
            return None;
        }
        let (mut sha256, mut size) = (None, None);
        for line in lines {
            match line.split_once(' ')? {
                ("oid", oid) => sha256 = oid.strip_prefix("sha256:")?.parse().ok(),
                ("size", digits) => size = digits.parse().ok(),
                // Extensions are named ext-0-foo and so on; they stand between version and oid.
                _ => {}
            }
        }
        Some(Self {
            sha256: sha256?,
            size: size?,
        })
    }
}

/// The text as git-lfs writes it.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}\noid sha256:{}\nsize {}", self.sha256, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back() {
        let pointer = Pointer {
            sha256: Sha256::of(b"content"),
            size: 7,
        };
        assert_eq!(Pointer::parse(pointer.to_string().as_bytes()), Some(pointer));
    }

    #[test]
    fn other_files_are_no_pointers() {
        let good = Pointer {
            sha256: Sha256::of(b""),
            size: 0,
        }
        .to_string();
        for bad in [
            String::new(),
            "version 1\n".to_owned(),
            good.replace("sha256:", "md5:"),
            good.replace("size 0", "size -1"),
            good.replace("\nsize 0\n", "\n"),
            format!("{good}{}", " x\n".repeat(500)),
        ] {
            assert_eq!(Pointer::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Pointer::parse(&[0xff; 10]), None);
    }
}
