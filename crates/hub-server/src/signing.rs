//! Signatures of the addresses that carry their own permission.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use sha2::{Digest as _, Sha256};

/// What is percent-encoded in a signed address: all but RFC 3986's unreserved characters. Encoding one of those would
/// break the signature, for clients (the `requests` library is one) decode them before they send the address.
pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What signs: made once a folder, kept in the database.
#[derive(Clone)]
pub(crate) struct Signer {
    key: [u8; 32],
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(***)")
    }
}

impl Signer {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// `path?query&expires=…&signature=…`: valid for `method` until `expires`, in seconds after the epoch.
    pub(crate) fn sign(&self, method: &str, path: &str, query: &str, expires: i64) -> String {
        let separator = if query.is_empty() { "" } else { "&" };
        let target = format!("{path}?{query}{separator}X-Hub-Expires={expires}");
        let signature = self.mac(&format!("{method} {target}"));
        format!("{target}&X-Hub-Signature={signature}")
    }

    /// Whether `target` (path and query) is one that [`Signer::sign`] made for `method` and that has not expired.
    pub(crate) fn check(&self, method: &str, target: &str, now: i64) -> Result<(), Refused> {
        let (signed, signature) = target.rsplit_once("&X-Hub-Signature=").ok_or(Refused::NotSigned)?;
        // A HEAD may be asked of whatever may be read.
        let method = if method == "HEAD" { "GET" } else { method };
        if !same(self.mac(&format!("{method} {signed}")).as_bytes(), signature.as_bytes()) {
            return Err(Refused::Forged);
        }
        let expires = signed
            .rsplit_once("X-Hub-Expires=")
            .and_then(|(_, text)| text.parse::<i64>().ok())
            .ok_or(Refused::NotSigned)?;
        if expires < now { Err(Refused::Expired) } else { Ok(()) }
    }

    /// HMAC-SHA256 (RFC 2104) of `text`, as hexadecimal digits.
    fn mac(&self, text: &str) -> String {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            for (b, k) in block.iter_mut().zip(self.key) {
                *b ^= k;
            }
            block
        };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
        let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
        hub_types::Sha256::from_bytes(outer.into()).to_string()
    }
}

/// Why a signed address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NotSigned,
    Forged,
    Expired,
}

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha256() {
        // RFC 4231, test case 2, whose key "Jefe" is padded with zeros as ours is not: the key block is the same.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            Signer::new(key).mac("what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn holds_for_one_method_target_and_time() {
        let signer = Signer::new([7; 32]);
        let target = signer.sign("GET", "/a/b", "x=1", 100);
        assert_eq!(signer.check("GET", &target, 100), Ok(()));
        assert_eq!(signer.check("HEAD", &target, 100), Ok(()));
        assert_eq!(signer.check("PUT", &target, 100), Err(Refused::Forged));
        assert_eq!(signer.check("GET", &target, 101), Err(Refused::Expired));
        assert_eq!(
            signer.check("GET", &target.replace("x=1", "x=2"), 100),
            Err(Refused::Forged)
        );
        assert_eq!(signer.check("GET", "/a/b?x=1", 100), Err(Refused::NotSigned));
        let other = Signer::new([8; 32]);
        assert_eq!(other.check("GET", &target, 100), Err(Refused::Forged));
    }
}
