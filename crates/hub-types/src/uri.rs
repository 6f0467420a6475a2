//! `hf://` URIs and the web addresses that mean the same.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::validation::string_type;
use crate::{RepoId, RepoPath, RepoType, Revision, ValidationError};

mod mount;

pub use mount::HubMount;

const SCHEME: &str = "hf://";

/// Hosts whose addresses are the Hub's, whatever endpoint is configured.
const HOSTS: [&str; 3] = ["hf.co", "huggingface.co", "hub-ci.huggingface.co"];

/// The first words of a web address below a repo that stand before `<revision>/<path>`.
const REPO_ROUTES: [&str; 5] = ["blob", "resolve", "raw", "blame", "tree"];

/// The first words of a web address below a bucket that stand before a path.
const BUCKET_ROUTES: [&str; 2] = ["resolve", "tree"];

const KEEP_SLASH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// What a [`HubUri`] points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HubUriKind {
    /// A git repository of some type.
    Repo(RepoType),
    /// A bucket: storage without revisions.
    Bucket,
}

impl HubUriKind {
    /// `model`, `dataset`, `space`, `kernel` or `bucket`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repo(repo_type) => repo_type.as_str(),
            Self::Bucket => "bucket",
        }
    }

    /// `models`, `datasets`, `spaces`, `kernels` or `buckets`, as it stands in a URI.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Repo(repo_type) => repo_type.plural(),
            Self::Bucket => "buckets",
        }
    }

    fn from_plural(word: &str) -> Option<Self> {
        match RepoType::from_plural(word) {
            Some(repo_type) => Some(Self::Repo(repo_type)),
            None => (word == "buckets").then_some(Self::Bucket),
        }
    }

    fn from_singular(word: &str) -> Option<Self> {
        match word.parse() {
            Ok(repo_type) => Some(Self::Repo(repo_type)),
            Err(_) => (word == "bucket").then_some(Self::Bucket),
        }
    }
}

impl fmt::Display for HubUriKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place on the Hub as one line of text: `hf://datasets/ada/notes@v1/train.csv`.
///
/// The grammar is the Python client's (`utils._hf_uris`):
///
/// ```text
/// hf://[<type>/]<namespace>/<name>[@<revision>][/<path>]
/// ```
///
/// The type is a plural (`models`, `datasets`, `spaces`, `kernels`, `buckets`) and may be left out for a model. A
/// slash inside a revision is written `%2F`, except in `refs/pr/<number>` and `refs/convert/<name>`. A bucket has no
/// revision. The path is taken as it stands, not percent-decoded. Ids without a namespace (`gpt2`) cannot be written.
///
/// The special refs are matched first and without regard for what follows, as the Python client does: in
/// `@refs/pr/10x/f` the revision is `refs/pr/10` and the path `x/f`.
///
/// Parsing and [`Display`](fmt::Display) agree: what is shown parses to the same value. It is the Python client's
/// rendering, with one addition that this takes: a `%` in a revision that would be read as the start of an escape is
/// written `%25`.
///
/// ```
/// use hub_types::HubUri;
///
/// let uri: HubUri = "hf://acme/m@feature%2Ffoo/config.json".parse()?;
/// assert_eq!(uri.repo_id().unwrap().id(), "acme/m");
/// assert_eq!(uri.revision().unwrap().as_str(), "feature/foo");
/// assert_eq!(uri.path(), "config.json");
/// assert_eq!(uri.to_string(), "hf://models/acme/m@feature%2Ffoo/config.json");
///
/// let same = HubUri::parse_web("https://huggingface.co/acme/m/blob/feature%2Ffoo/config.json", None)?;
/// assert_eq!(same, uri);
/// # Ok::<(), hub_types::ValidationError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HubUri {
    target: Target,
    revision: Option<Revision>,
    path: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Target {
    Repo(RepoId),
    Bucket(Box<str>),
}

impl HubUri {
    /// The root of a repository, at no revision in particular.
    ///
    /// # Errors
    ///
    /// When the id has no namespace: such an id cannot be written as a URI.
    pub fn repo(repo: RepoId) -> Result<Self, ValidationError> {
        if repo.namespace().is_none() {
            return Err(refusal(repo.id(), "the id must be 'namespace/name'"));
        }
        Ok(Self {
            target: Target::Repo(repo),
            revision: None,
            path: "".into(),
        })
    }

    /// The root of a bucket.
    ///
    /// # Errors
    ///
    /// When the id is not `namespace/name`. The Hub's own rules for bucket ids are stricter and are left to it.
    pub fn bucket(id: &str) -> Result<Self, ValidationError> {
        match id.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') && !id.contains('@') =>
            {
                Ok(Self {
                    target: Target::Bucket(id.into()),
                    revision: None,
                    path: "".into(),
                })
            }
            _ => Err(refusal(id, "a bucket's id must be 'namespace/name', without '@'")),
        }
    }

    /// The same place at another revision.
    ///
    /// # Errors
    ///
    /// When this is a bucket, which has no revisions.
    pub fn with_revision(mut self, revision: Option<Revision>) -> Result<Self, ValidationError> {
        if revision.is_some() && matches!(self.target, Target::Bucket(_)) {
            return Err(refusal(&self.to_string(), "a bucket has no revisions"));
        }
        self.revision = revision;
        Ok(self)
    }

    /// The same repository or bucket, at another path; the empty path is the root.
    ///
    /// # Errors
    ///
    /// When the path has an empty part.
    pub fn with_path(mut self, path: &str) -> Result<Self, ValidationError> {
        if !path.is_empty() && path.split('/').any(str::is_empty) {
            return Err(refusal(path, "the path must not have empty parts"));
        }
        self.path = path.into();
        Ok(self)
    }

    /// Reads a web address of the Hub, such as a browser shows: a repository's or bucket's page, or a file's or
    /// folder's in it (`blob`, `resolve`, `raw`, `blame`, `tree`).
    ///
    /// The scheme may be missing. Hosts are the Hub's own and that of `endpoint`, whose path prefix is removed. Query
    /// and fragment are dropped.
    ///
    /// # Errors
    ///
    /// For another host, a page that is no place in a repository (`/discussions`), or an id without a namespace.
    pub fn parse_web(url: &str, endpoint: Option<&str>) -> Result<Self, ValidationError> {
        Self::from_web(url, endpoint).map_err(|rule| refusal(url, rule))
    }

    /// Reads either an `hf://` URI or a web address. See [`HubUri::parse_web`].
    ///
    /// # Errors
    ///
    /// When the text is neither.
    pub fn parse_any(text: &str, endpoint: Option<&str>) -> Result<Self, ValidationError> {
        if text.starts_with(SCHEME) {
            Self::parse(text)
        } else if is_web(text, endpoint) {
            Self::parse_web(text, endpoint)
        } else {
            Err(refusal(
                text,
                "must start with 'hf://' or be an address of the Hub (https://huggingface.co/...)",
            ))
        }
    }

    /// A repository of which type, or a bucket.
    pub fn kind(&self) -> HubUriKind {
        match &self.target {
            Target::Repo(repo) => HubUriKind::Repo(repo.repo_type()),
            Target::Bucket(_) => HubUriKind::Bucket,
        }
    }

    /// The repository, unless this is a bucket.
    pub fn repo_id(&self) -> Option<RepoId> {
        match &self.target {
            Target::Repo(repo) => Some(repo.clone()),
            Target::Bucket(_) => None,
        }
    }

    /// The repository's type, unless this is a bucket.
    pub fn repo_type(&self) -> Option<RepoType> {
        match &self.target {
            Target::Repo(repo) => Some(repo.repo_type()),
            Target::Bucket(_) => None,
        }
    }

    /// The bucket's `namespace/name`, if this is one.
    pub fn bucket_id(&self) -> Option<&str> {
        match &self.target {
            Target::Repo(_) => None,
            Target::Bucket(id) => Some(id),
        }
    }

    /// `namespace/name` of the repository or bucket.
    pub fn id(&self) -> &str {
        match &self.target {
            Target::Repo(repo) => repo.id(),
            Target::Bucket(id) => id,
        }
    }

    /// The revision, if one is given.
    pub fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// The path as it was written; empty for the root. It may hold anything: for one that is safe to join to a
    /// directory, see [`HubUri::repo_path`].
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path, checked; `None` for the root.
    ///
    /// # Errors
    ///
    /// When the path is not one that a file of a repository can have.
    pub fn repo_path(&self) -> Result<Option<RepoPath>, ValidationError> {
        if self.path.is_empty() {
            return Ok(None);
        }
        self.path.parse().map(Some)
    }

    /// The web page of this place: the repository's or bucket's own, `/tree/` of the revision, or `/blob/` of the file.
    pub fn to_url(&self, endpoint: &str) -> String {
        let endpoint = endpoint.trim_end_matches('/');
        let path = utf8_percent_encode(&self.path, KEEP_SLASH);
        match &self.target {
            Target::Bucket(id) if self.path.is_empty() => format!("{endpoint}/buckets/{id}"),
            Target::Bucket(id) => format!("{endpoint}/buckets/{id}/tree/{path}"),
            Target::Repo(repo) => {
                let repo = repo.url_path();
                let revision = self.revision.as_ref().map(|revision| {
                    if is_special(revision.as_str()) {
                        revision.as_str().to_owned()
                    } else {
                        revision.encoded()
                    }
                });
                match revision {
                    None if self.path.is_empty() => format!("{endpoint}/{repo}"),
                    Some(revision) if self.path.is_empty() => format!("{endpoint}/{repo}/tree/{revision}"),
                    revision => {
                        let revision = revision.as_deref().unwrap_or("main");
                        format!("{endpoint}/{repo}/blob/{revision}/{path}")
                    }
                }
            }
        }
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        let read = || {
            let body = text.strip_prefix(SCHEME).ok_or("must start with 'hf://'")?;
            Self::from_body(body)
        };
        read().map_err(|rule: String| refusal(text, rule))
    }

    fn as_str(&self) -> String {
        let mut text = format!("{SCHEME}{}/{}", self.kind().plural(), self.id());
        if let Some(revision) = &self.revision {
            text.push('@');
            text.push_str(&written_revision(revision.as_str()));
        }
        if !self.path.is_empty() {
            text.push('/');
            text.push_str(&self.path);
        }
        text
    }

    /// Everything behind `hf://`.
    fn from_body(body: &str) -> Result<Self, String> {
        if body.is_empty() {
            return Err("nothing stands behind 'hf://'".into());
        }
        let (kind, rest) = match body.split_once('/') {
            Some((word, rest)) => match HubUriKind::from_plural(word) {
                Some(kind) => (kind, rest),
                None => {
                    refuse_singular(word)?;
                    (HubUriKind::Repo(RepoType::Model), body)
                }
            },
            None => {
                if HubUriKind::from_plural(body).is_some() {
                    return Err(format!("'{body}/' must be followed by 'namespace/name'"));
                }
                refuse_singular(body)?;
                (HubUriKind::Repo(RepoType::Model), body)
            }
        };
        let rest = rest.trim_matches('/');
        match kind {
            HubUriKind::Repo(repo_type) => Self::from_repo_body(repo_type, rest),
            HubUriKind::Bucket => Self::from_bucket_body(rest),
        }
    }

    fn from_bucket_body(body: &str) -> Result<Self, String> {
        let (id, path) = split_id(body);
        if id.contains('@') {
            return Err("a bucket has no revisions: '@' must not stand in its id".into());
        }
        Self::bucket(id)
            .and_then(|uri| uri.with_path(path))
            .map_err(|err| err.rule().to_owned())
    }

    fn from_repo_body(repo_type: RepoType, body: &str) -> Result<Self, String> {
        // An '@' that is further back than the name belongs to a file's name.
        let at = body.find('@').filter(|at| body[..*at].matches('/').count() <= 1);
        let (id, revision, path) = match at {
            None => {
                let (id, path) = split_id(body);
                (id, None, path)
            }
            Some(at) => {
                let (revision, path) = split_revision(&body[at + 1..]);
                (&body[..at], Some(revision), path)
            }
        };
        let revision = match revision {
            None => None,
            Some("") => return Err("'@' must be followed by a revision".into()),
            Some(revision) => {
                let revision = percent_decode_str(revision)
                    .decode_utf8()
                    .map_err(|_| "the revision must be UTF-8".to_owned())?;
                Some(revision.parse::<Revision>().map_err(rule_of("revision"))?)
            }
        };
        let repo = RepoId::new(repo_type, id).map_err(rule_of("id"))?;
        Self::repo(repo)
            .and_then(|uri| uri.with_revision(revision))
            .and_then(|uri| uri.with_path(path))
            .map_err(|err| err.rule().to_owned())
    }

    fn from_web(url: &str, endpoint: Option<&str>) -> Result<Self, String> {
        let (host, path) = split_url(url);
        let own = endpoint.map(split_url);
        let is_own = own.as_ref().is_some_and(|(own, _)| *own == host);
        if host.is_empty() || !(is_own || HOSTS.contains(&host.as_str())) {
            return Err(format!("'{host}' is no host of the Hub"));
        }
        let mut path = path;
        if is_own
            && let Some((_, prefix)) = own
            && let prefix = prefix.trim_end_matches('/')
            && let Some(rest) = path.strip_prefix(prefix)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            path = rest;
        }
        let mut segments = path.split('/').filter(|segment| !segment.is_empty()).peekable();
        let kind = segments.peek().and_then(|word| HubUriKind::from_plural(word));
        if kind.is_some() {
            segments.next();
        }
        let (Some(namespace), Some(name)) = (segments.next(), segments.next()) else {
            return Err("an address of a repository or bucket has 'namespace/name'".into());
        };
        let route = segments.next();
        let routes: &[&str] = if kind == Some(HubUriKind::Bucket) {
            &BUCKET_ROUTES
        } else {
            &REPO_ROUTES
        };
        if let Some(route) = route
            && !routes.contains(&route)
        {
            return Err(format!("'/{route}' is no page of a file or folder"));
        }
        // Segments are decoded one by one, and a slash inside of one stays inside it.
        let mut decoded = Vec::new();
        for segment in segments {
            let text = percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| "the path must be UTF-8".to_owned())?;
            decoded.push(text.into_owned());
        }
        let id = format!("{namespace}/{name}");
        if kind == Some(HubUriKind::Bucket) {
            let path: Vec<_> = decoded.iter().map(|part| part.replace('/', "%2F")).collect();
            return Self::from_bucket_body(format!("{id}/{}", path.join("/")).trim_matches('/'));
        }
        let prefix = kind.map(|kind| format!("{}/", kind.plural())).unwrap_or_default();
        if decoded.is_empty() {
            return Self::from_body(&format!("{prefix}{id}"));
        }
        // The revision will be decoded with the rest of the URI: a '%' that is its own must outlive that. In the path,
        // which will not be decoded, it is put back.
        let rest: Vec<_> = decoded
            .iter()
            .map(|part| part.replace('%', "%25").replace('/', "%2F"))
            .collect();
        let uri = Self::from_body(&format!("{prefix}{id}@{}", rest.join("/")))?;
        let path = uri.path.replace("%25", "%");
        uri.with_path(&path).map_err(|err| err.rule().to_owned())
    }
}

string_type!(HubUri);

fn refusal(value: &str, rule: impl Into<String>) -> ValidationError {
    ValidationError::new("Hub URI", value, rule)
}

fn rule_of(part: &'static str) -> impl Fn(ValidationError) -> String {
    move |err| format!("in the {part}: {}", err.rule())
}

fn refuse_singular(word: &str) -> Result<(), String> {
    match HubUriKind::from_singular(word) {
        None => Ok(()),
        Some(kind) => Err(format!("the type must be plural: '{}/'", kind.plural())),
    }
}

/// `namespace/name` and what follows it.
fn split_id(body: &str) -> (&str, &str) {
    match body.match_indices('/').nth(1) {
        Some((slash, _)) => (&body[..slash], &body[slash + 1..]),
        None => (body, ""),
    }
}

/// The revision, still encoded, and the path, from what stands behind the `@`.
fn split_revision(text: &str) -> (&str, &str) {
    match special_len(text) {
        Some(len) => {
            let rest = &text[len..];
            (&text[..len], rest.strip_prefix('/').unwrap_or(rest))
        }
        None => text.split_once('/').unwrap_or((text, "")),
    }
}

/// How much of the start of `text` is a ref whose slashes are written as they are.
fn special_len(text: &str) -> Option<usize> {
    let longest = |prefix: &str, accept: fn(char) -> bool| {
        let rest = text.strip_prefix(prefix)?;
        let name = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        (name > 0).then_some(prefix.len() + name)
    };
    longest("refs/pr/", |c| c.is_ascii_digit())
        .or_else(|| longest("refs/convert/", |c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-')))
}

fn is_special(revision: &str) -> bool {
    special_len(revision) == Some(revision.len())
}

fn written_revision(revision: &str) -> String {
    if is_special(revision) {
        return revision.to_owned();
    }
    let bytes = revision.as_bytes();
    let escape = |at: usize| {
        bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit) && bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit)
    };
    let mut text = String::with_capacity(revision.len());
    for (at, c) in revision.char_indices() {
        match c {
            '/' => text.push_str("%2F"),
            '%' if escape(at) => text.push_str("%25"),
            c => text.push(c),
        }
    }
    text
}

/// Whether the text is meant as a web address: it has a scheme of the web, or starts with a host that is the Hub's.
fn is_web(text: &str, endpoint: Option<&str>) -> bool {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return true;
    }
    let own = endpoint.map(|endpoint| split_url(endpoint).0);
    HOSTS.into_iter().chain(own.as_deref()).any(|host| {
        !host.is_empty()
            && lower
                .strip_prefix(host)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The lower-case host, without user and port, and the path, without query and fragment.
fn split_url(url: &str) -> (String, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((host, _)) => host,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    (host.to_ascii_lowercase(), path)
}

#[cfg(test)]
mod tests;
