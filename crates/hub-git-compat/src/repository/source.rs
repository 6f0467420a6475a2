//! What a repository is named by: an id, or an address.

use hub_types::{RepoId, ValidationError};
use url::Url;

use crate::Result;
use crate::credential::host;
use crate::local_config::without_credentials;

/// An id, or an address on the endpoint without user and password.
pub(super) fn parse_source(source: &str, endpoint: &Url) -> Result<RepoId> {
    if !source.contains("://") {
        return Ok(source.parse()?);
    }
    let refuse = || {
        ValidationError::new(
            "repository",
            clean(source),
            format!("must be an id or an address on {endpoint}"),
        )
    };
    let url = Url::parse(source).map_err(|_| refuse())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ValidationError::secret("repository", "its address must not hold a user or password").into());
    }
    let base = endpoint.path().trim_end_matches('/');
    let path = url.path().strip_prefix(base).and_then(|path| path.strip_prefix('/'));
    match path {
        Some(path) if url.scheme() == endpoint.scheme() && host(&url) == host(endpoint) && url.query().is_none() => {
            let path = path.trim_end_matches('/');
            Ok(path.strip_suffix(".git").unwrap_or(path).parse()?)
        }
        _ => Err(refuse().into()),
    }
}

pub(super) fn clean(url: &str) -> String {
    without_credentials(url).unwrap_or_else(|| url.to_owned())
}

/// The repository's address, as it is cloned from.
pub(super) fn address(endpoint: &Url, repo: &RepoId) -> String {
    format!("{}/{}", endpoint.as_str().trim_end_matches('/'), repo.url_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Url {
        Url::parse("https://hub.example").unwrap()
    }

    #[test]
    fn a_source_is_an_id_or_an_address_here() {
        let check = |source: &str, expected: &str| {
            assert_eq!(parse_source(source, &endpoint()).unwrap().to_string(), expected);
        };
        check("ada/demo", "ada/demo");
        check("datasets/ada/notes", "datasets/ada/notes");
        check("https://hub.example/ada/demo", "ada/demo");
        check("https://hub.example/spaces/ada/app.git/", "spaces/ada/app");
        for source in [
            "--upload-pack=touch x",
            "https://other.example/ada/demo",
            "http://hub.example/ada/demo",
            "https://hub.example:8443/ada/demo",
            "https://hub.example/ada/demo?x=1",
            "ssh://git@hub.example/ada/demo",
            "file:///etc",
            "../demo",
        ] {
            assert!(parse_source(source, &endpoint()).is_err(), "{source}");
        }
        let err = parse_source("https://user:hf_planted0@hub.example/ada/demo", &endpoint()).unwrap_err();
        assert_eq!(
            err.to_string(),
            "invalid repository: its address must not hold a user or password"
        );
    }
}
