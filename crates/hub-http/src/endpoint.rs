//! The base URL, and which other hosts count as the Hub.

use hub_types::ValidationError;
use url::Url;

/// Where the public Hub is.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// The public Hub's staging endpoint.
pub(crate) const STAGING_ENDPOINT: &str = "https://hub-ci.huggingface.co";
const HUB_ORIGINS: [&str; 3] = [DEFAULT_ENDPOINT, STAGING_ENDPOINT, "https://hf.co"];

/// A checked base URL: http or https, a host, no query, no user info, no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    text: String,
    url: Url,
}

impl Endpoint {
    pub(crate) fn parse(text: &str) -> Result<Self, ValidationError> {
        let refuse = |rule: &str| ValidationError::new("endpoint", crate::error::without_query(text), rule);
        let trimmed = text.trim().trim_end_matches('/');
        let url =
            Url::parse(trimmed).map_err(|err| refuse(&format!("must be a URL like {DEFAULT_ENDPOINT} ({err})")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(refuse("must begin with http:// or https:// and a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("must not hold a user name or password; set HF_TOKEN instead"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("must not have a query or a fragment"));
        }
        Ok(Self {
            text: trimmed.to_owned(),
            url,
        })
    }

    /// The base URL without a slash at the end.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `url` is on this endpoint or on one of the Hub's own origins: those may see the token.
    pub(crate) fn is_hub_origin(&self, url: &Url) -> bool {
        url.origin() == self.url.origin()
            || HUB_ORIGINS
                .iter()
                .any(|origin| Url::parse(origin).is_ok_and(|hub| hub.origin() == url.origin()))
    }

    /// Where a redirect from `url` goes: on a mirror, what the public Hub has is asked of the mirror. Only where the mirror
    /// sends us to the Hub for the very thing that it was asked for, it is asked of the Hub.
    pub(crate) fn kept(&self, target: Url, url: &Url) -> Url {
        let is_public = |base: &str| target.as_str().starts_with(&format!("{base}/"));
        if !is_public(DEFAULT_ENDPOINT) && !is_public(STAGING_ENDPOINT) {
            return target;
        }
        match Url::parse(&self.rewrite(target.as_str())) {
            Ok(kept) if kept != *url => kept,
            _ => target,
        }
    }

    /// Rewrites an address that the server gave: on a mirror, the public Hub's addresses become the mirror's.
    ///
    /// As the Python client's `utils.fix_hf_endpoint_in_url`.
    pub(crate) fn rewrite(&self, url: &str) -> String {
        if self.text == DEFAULT_ENDPOINT || self.text == STAGING_ENDPOINT {
            return url.to_owned();
        }
        url.replace(DEFAULT_ENDPOINT, &self.text)
            .replace(STAGING_ENDPOINT, &self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_base_url() {
        for bad in [
            "",
            "hub.example",
            "ftp://h",
            "http://",
            "http://u:p@h",
            "http://h?x=1",
            "http://h#x",
        ] {
            let err = Endpoint::parse(bad).unwrap_err();
            assert!(!err.to_string().contains("u:p"), "{err}");
        }
        assert_eq!(
            Endpoint::parse("http://h:80/base/").unwrap().as_str(),
            "http://h:80/base"
        );
    }

    #[test]
    fn knows_the_hubs_origins() {
        let mirror = Endpoint::parse("http://127.0.0.1:8080").unwrap();
        for (url, expected) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://127.0.0.1:8081/x", false),
            ("https://huggingface.co:443/x", true),
            ("http://huggingface.co/x", false),
            ("https://huggingface.co.evil.com/x", false),
            ("https://HF.co/x", true),
        ] {
            assert_eq!(mirror.is_hub_origin(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_redirect_stays_on_the_mirror_while_the_mirror_answers() {
        let mirror = Endpoint::parse("http://mirror/hf").unwrap();
        let public = Endpoint::parse(DEFAULT_ENDPOINT).unwrap();
        let from = Url::parse("http://mirror/hf/old/a?x=1").unwrap();
        for (target, kept) in [
            ("https://huggingface.co/new/a", "http://mirror/hf/new/a"),
            ("https://huggingface.co/old/a?x=1", "https://huggingface.co/old/a?x=1"),
            ("https://cdn-lfs.huggingface.co/a", "https://cdn-lfs.huggingface.co/a"),
            (
                "https://huggingface.co.evil.example/a",
                "https://huggingface.co.evil.example/a",
            ),
            ("http://mirror/hf/b", "http://mirror/hf/b"),
        ] {
            let target = Url::parse(target).unwrap();
            assert_eq!(mirror.kept(target.clone(), &from).as_str(), kept);
            assert_eq!(public.kept(target.clone(), &from), target);
        }
    }

    #[test]
    fn a_mirror_keeps_its_addresses() {
        let mirror = Endpoint::parse("http://mirror").unwrap();
        assert_eq!(mirror.rewrite("https://huggingface.co/a/b"), "http://mirror/a/b");
        assert_eq!(
            Endpoint::parse(DEFAULT_ENDPOINT)
                .unwrap()
                .rewrite("https://hub-ci.huggingface.co/a"),
            "https://hub-ci.huggingface.co/a"
        );
    }
}
