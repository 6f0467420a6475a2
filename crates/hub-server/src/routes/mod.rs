//! The routes, a file an area, and what they share: the address rule, and what is taken from a request.
//!
//! A repository's id is one segment or two, and may or may not have its type in front. So that each area can say its
//! routes in one line, [`rewrite`] brings every address with an id in it into one form before the router sees it:
//!
//! | address | what the router sees |
//! | --- | --- |
//! | `/api/models/ada/demo/tree/main` | `/-api/models/ada%2Fdemo/tree/main` |
//! | `/ada/demo/resolve/main/a.txt` | `/-web/models/ada%2Fdemo/resolve/main/a.txt` |
//! | `/datasets/ada/notes.git/info/refs` | `/-web/datasets/ada%2Fnotes/info/refs` |
//!
//! A new area is a file here with a `router()`, named in [`router`]; its tables and their queries are a file in `store`.

mod access;
mod account;
mod attachments;
mod collections;
mod comments;
mod commits;
mod discussions;
mod files;
mod git_http;
mod info;
mod lfs;
mod properties;
mod refs;
mod repos;
mod resolve;
mod search;
mod spaces;
mod users;
mod webhooks;
mod xet;

use std::fmt::Write as _;

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hub_types::{RepoId, RepoPath, RepoType};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::store::Repo;
use crate::store::repos::Found;

/// A body that is read whole may be this large.
const BODY_LIMIT: usize = 16 << 20;

/// All areas.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .merge(account::router())
        .merge(repos::router())
        .merge(info::router())
        .merge(search::router())
        .merge(files::router())
        .merge(commits::router())
        .merge(refs::router())
        .merge(discussions::router())
        .merge(comments::router())
        .merge(attachments::router())
        .merge(collections::router())
        .merge(users::router())
        .merge(access::router())
        .merge(webhooks::router())
        .merge(xet::router())
        .merge(spaces::router())
        .merge(resolve::router())
        .merge(lfs::router())
        .merge(git_http::router())
}

/// What stands behind an id in the API: where one of these follows a single segment, that segment is the whole id.
const API_WORDS: &[&str] = &[
    "auth-check",
    "blob",
    "branch",
    "commit",
    "commits",
    "compare",
    "discussions",
    "duplicate",
    "lfs-files",
    "paths-info",
    "preupload",
    "raw",
    "refs",
    "resolve",
    "revision",
    "settings",
    "super-squash",
    "tag",
    "tree",
    "xet-read-token",
    "xet-write-token",
];

/// The same for web and git addresses.
const WEB_WORDS: &[&str] = &["resolve", "raw", "info", "git-upload-pack", "git-receive-pack"];

/// Names behind `/api/spaces/` and the like that are no ids.
const LISTING_WORDS: &[&str] = &["templates", "hardware", "semantic-search", "zero-gpu", "tags"];

/// Brings an address with a repository's id in it into the router's form.
pub(crate) fn rewrite<B>(request: &mut http::Request<B>) {
    let uri = request.uri();
    let Some(path) = rewritten(uri.path()) else { return };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let given = OriginalPath(uri.path_and_query().map_or("/", |p| p.as_str()).to_owned());
    if let Ok(uri) = Uri::try_from(target) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(given);
    }
}

/// Path and query as they came.
#[derive(Debug, Clone)]
pub(crate) struct OriginalPath(pub(crate) String);

fn rewritten(path: &str) -> Option<String> {
    // The router's own form is not for the outside.
    if path.starts_with("/-") {
        return Some("/".to_owned());
    }
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    match parts.as_slice() {
        ["api", "resolve-cache", kind, rest @ ..] if RepoType::from_plural(kind).is_some() => {
            let (id, rest) = split_id(rest, &[])?;
            Some(join("/-cache", kind, &id, rest))
        }
        ["api", kind, rest @ ..] if RepoType::from_plural(kind).is_some() => {
            let first = *rest.first()?;
            if first.is_empty() || (LISTING_WORDS.contains(&first) && rest.len() <= 2) {
                return None;
            }
            let (id, rest) = split_id(rest, API_WORDS)?;
            Some(join("/-api", kind, &id, rest))
        }
        ["api", ..] => None,
        [kind, rest @ ..] if RepoType::from_plural(kind).is_some() && rest.len() > 1 => {
            let (id, rest) = split_id(rest, WEB_WORDS)?;
            Some(join("/-web", kind, id.strip_suffix(".git").unwrap_or(&id), rest))
        }
        rest => {
            let (id, rest) = split_id(rest, WEB_WORDS)?;
            if rest.is_empty() {
                return None;
            }
            Some(join("/-web", "models", id.strip_suffix(".git").unwrap_or(&id), rest))
        }
    }
}

/// The id as one segment, and what follows it.
fn split_id<'a>(parts: &'a [&'a str], words: &[&str]) -> Option<(String, &'a [&'a str])> {
    let first = *parts.first()?;
    if first.is_empty() {
        return None;
    }
    let whole = first.contains("%2F") || first.contains("%2f");
    match parts.get(1) {
        Some(second) if !whole && !second.is_empty() && !words.contains(second) => {
            Some((format!("{first}%2F{second}"), &parts[2..]))
        }
        _ => Some((first.to_owned(), &parts[1..])),
    }
}

fn join(prefix: &str, kind: &str, id: &str, rest: &[&str]) -> String {
    let mut path = format!("{prefix}/{kind}/{id}");
    for part in rest {
        let _ = write!(path, "/{part}");
    }
    path
}

/// The repository that an address names, which the caller may see, and who the caller is.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) repo: Repo,
    pub(crate) caller: Caller,
}

impl FromRequestParts<App> for Target {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let params = Params::from_request_parts(parts, app).await?;
        let id = params.repo_id()?;
        let wanted = id.clone();
        let asking = caller.clone();
        let found = app
            .run(move |store| match store.db.repo(&wanted)? {
                Some(Found::Here(repo) | Found::Moved(repo)) if !asking.may_see(&repo) => Err(asking.no_such_repo()),
                Some(found) => Ok(found),
                None => Err(asking.no_such_repo()),
            })
            .await?;
        match found {
            Found::Here(repo) => Ok(Self { repo: *repo, caller }),
            Found::Moved(repo) => {
                let given = match parts.extensions.get::<OriginalPath>() {
                    Some(given) => given.0.clone(),
                    None => parts.uri.to_string(),
                };
                let location = moved_location(&given, &id, &repo.id).ok_or_else(|| caller.no_such_repo())?;
                Err(Error::Moved { location })
            }
        }
    }
}

/// An address with the new id in the place of the old one, however the slash in it is written.
fn moved_location(given: &str, old: &RepoId, new: &RepoId) -> Option<String> {
    let encoded = |slash: &str| old.id().replace('/', slash);
    ["/", "%2F", "%2f"].into_iter().map(encoded).find_map(|old| {
        // A whole part of the path: `a/b` stands in `/ca/b` too.
        let at = given.find(&format!("/{old}"))? + 1;
        Some(format!("{}{}{}", &given[..at], new.id(), &given[at + old.len()..]))
    })
}

impl Target {
    /// Runs `work` on the repository.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        app: &App,
        work: impl FnOnce(&crate::store::Store, &Repo, &crate::store::GitRepo) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        app.run(move |store| work(store, &self.repo, &store.git(&self.repo)?))
            .await
    }

    /// Checks that the files may be read.
    pub(crate) fn readable(self) -> Result<Self> {
        self.caller.check_content(&self.repo)?;
        Ok(self)
    }

    /// Checks that the repository may be changed, and gives the name of who does.
    pub(crate) fn writable(self) -> Result<(Self, String)> {
        let name = self.caller.check_write(&self.repo)?.name.clone();
        Ok((self, name))
    }
}

/// The named parts of the path, decoded.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// The part of that name. The route has it, so an absent one is a bug of ours.
    pub(crate) fn get(&self, name: &str) -> Result<&str> {
        self.optional(name).ok_or(Error::Internal)
    }

    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// The file that the path names.
    pub(crate) fn path(&self) -> Result<RepoPath> {
        Ok(self.get("path")?.parse()?)
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        self.get(name)?
            .parse()
            .map_err(|_| Error::bad_request(format!("{name} must be a number")))
    }

    fn repo_id(&self) -> Result<RepoId> {
        let kind = RepoType::from_plural(self.get("kind")?).ok_or(Error::Internal)?;
        Ok(RepoId::new(kind, self.get("id")?)?)
    }
}

impl FromRequestParts<App> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Error::bad_request("the address is not valid UTF-8"))?;
        Ok(Self(
            params
                .iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        ))
    }
}

/// Query or form parameters, decoded, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| &**value)
    }

    /// All values of a key that may be repeated; `key[]` is the same key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0
            .iter()
            .filter(move |(k, _)| k == key || k.strip_suffix("[]") == Some(key))
            .map(|(_, value)| &**value)
    }

    /// Whether a switch is on.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| matches!(value, "" | "1" | "true" | "True"))
    }

    /// A number.
    ///
    /// # Errors
    ///
    /// When it is there, and none.
    pub(crate) fn number(&self, key: &str) -> Result<Option<usize>> {
        self.get(key)
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| Error::bad_request(format!("\"{key}\" must be a number")))
            })
            .transpose()
    }

    /// Everything, as a JSON object.
    pub(crate) fn into_object(self) -> serde_json::Value {
        self.0
            .into_iter()
            .map(|(key, value)| (key, value.into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// The query with `key` set to `value`, encoded.
    fn with(&self, key: &str, value: &str) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.0.iter().filter(|(k, _)| k != key))
            .append_pair(key, value)
            .finish()
    }
}

impl FromRequestParts<App> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default().as_bytes()))
    }
}

/// A body in JSON, whatever its type is said to be.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &App) -> Result<Self> {
        let bytes = whole_body(request).await?;
        // A body that is not there is an empty object, so that what is optional may be left out altogether.
        let bytes = if bytes.is_empty() {
            Bytes::from_static(b"{}")
        } else {
            bytes
        };
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|err| Error::bad_request(format!("invalid JSON body: {err}")))
    }
}

/// Reads a body that is meant to be small.
///
/// # Errors
///
/// [`Error::TooLarge`], and [`Error::BadRequest`] when it breaks off.
pub(crate) async fn whole_body(request: Request) -> Result<Bytes> {
    match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(err) if err.is::<LengthLimitError>() => Err(Error::TooLarge(format!(
            "the body may have {BODY_LIMIT} bytes at the most"
        ))),
        Err(_) => Err(Error::bad_request("the body broke off")),
    }
}

/// One page of a listing, with the address of the next in `Link`.
pub(crate) fn page(
    app: &App,
    given: &OriginalPath,
    query: &Query,
    items: Vec<serde_json::Value>,
    next: Option<String>,
) -> Response {
    let mut response = axum::Json(items).into_response();
    if let Some(cursor) = next {
        let path = given.0.split('?').next().unwrap_or("/");
        let link = format!("<{}{path}?{}>; rel=\"next\"", app.url(), query.with("cursor", &cursor));
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    response
}

/// Rows of a page, unless `limit` says otherwise, and at the most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// The page of a listing that the query asks for, cut out of all its rows.
pub(crate) fn paged(app: &App, given: &OriginalPath, query: &Query, rows: Vec<serde_json::Value>) -> Result<Response> {
    let size = query.number("limit")?.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let skip = skipped(query)?;
    let end = skip.saturating_add(size);
    let next = (end < rows.len()).then(|| cursor(&end.to_string()));
    let rows = rows.into_iter().skip(skip).take(size).collect();
    Ok(page(app, given, query, rows, next))
}

/// How many rows the pages before had.
pub(crate) fn skipped(query: &Query) -> Result<usize> {
    match query.get("cursor").map(read_cursor).transpose()? {
        Some(text) => text.parse().map_err(|_| Error::bad_request("invalid cursor")),
        None => Ok(0),
    }
}

impl FromRequestParts<App> for OriginalPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        Ok(match parts.extensions.get::<Self>() {
            Some(given) => given.clone(),
            None => Self(parts.uri.to_string()),
        })
    }
}

/// A cursor: a word or two that only we read.
pub(crate) fn cursor(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// The text of a cursor that [`cursor`] made.
pub(crate) fn read_cursor(cursor: &str) -> Result<String> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Error::bad_request("invalid cursor"))
}

/// Success with nothing to say.
pub(crate) fn done() -> Response {
    (StatusCode::OK, axum::Json(serde_json::json!({ "success": true }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_an_id_come_into_one_form() {
        for (given, expected) in [
            ("/api/models/a/b", "/-api/models/a%2Fb"),
            ("/api/models/a%2Fb/refs", "/-api/models/a%2Fb/refs"),
            (
                "/api/datasets/a/b/tree/refs%2Fpr%2F1/x",
                "/-api/datasets/a%2Fb/tree/refs%2Fpr%2F1/x",
            ),
            ("/api/models/gpt2", "/-api/models/gpt2"),
            ("/api/models/gpt2/tree/main", "/-api/models/gpt2/tree/main"),
            ("/api/resolve-cache/models/a/b/c0/x/y", "/-cache/models/a%2Fb/c0/x/y"),
            ("/a/b/resolve/main/x/y", "/-web/models/a%2Fb/resolve/main/x/y"),
            ("/gpt2/resolve/main/x", "/-web/models/gpt2/resolve/main/x"),
            ("/datasets/a/b/resolve/main/x", "/-web/datasets/a%2Fb/resolve/main/x"),
            ("/a/b.git/info/refs", "/-web/models/a%2Fb/info/refs"),
            ("/a/b/info/refs", "/-web/models/a%2Fb/info/refs"),
            ("/spaces/a/b.git/git-upload-pack", "/-web/spaces/a%2Fb/git-upload-pack"),
            ("/-api/models/a%2Fb", "/"),
        ] {
            assert_eq!(rewritten(given).as_deref(), Some(expected), "{given}");
        }
        for given in [
            "/",
            "/api/whoami-v2",
            "/api/models",
            "/api/models/",
            "/api/repos/create",
            "/x",
            "/api/spaces/templates",
        ] {
            assert_eq!(rewritten(given), None, "{given}");
        }
    }

    #[test]
    fn a_moved_address_keeps_everything_else() {
        let id = |text: &str| RepoId::model(text).unwrap();
        for (given, expected) in [
            ("/api/models/a/b", "/api/models/c/d"),
            ("/api/models/a%2Fb/refs?x=a/b", "/api/models/c/d/refs?x=a/b"),
            ("/a/b/resolve/main/a/b", "/c/d/resolve/main/a/b"),
            ("/a/b.git/info/refs?service=x", "/c/d.git/info/refs?service=x"),
        ] {
            assert_eq!(
                moved_location(given, &id("a/b"), &id("c/d")).as_deref(),
                Some(expected),
                "{given}"
            );
        }
        assert_eq!(moved_location("/%61/b", &id("a/b"), &id("c/d")), None);
    }

    #[test]
    fn parameters_may_be_repeated_and_replaced() {
        let query = Query::parse(b"a=1&expand=x&expand%5B%5D=y+z&flag&n=x");
        assert_eq!(query.all("expand").collect::<Vec<_>>(), ["x", "y z"]);
        assert!(query.flag("flag") && query.flag("a") && !query.flag("n") && !query.flag("none"));
        assert!(query.number("n").is_err());
        assert_eq!(query.with("a", "2&"), "expand=x&expand%5B%5D=y+z&flag=&n=x&a=2%26");
    }
}
