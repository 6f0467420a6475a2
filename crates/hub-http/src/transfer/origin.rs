//! Where a file's bytes come from: the requests for them, and what each reply is held against.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::{ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, RANGE};
use http::{HeaderValue, StatusCode};
use hub_types::resolve::XetFileData;
use hub_types::{CommitHash, Etag};

use super::body::Body;
use super::verify::ContentHash;
use super::{FileSource, xet};
use crate::api::resolve::{FileHeaders, xet_data};
use crate::client::HfApi;
use crate::error::Error;
use crate::request::{Request, Response};

/// The least that is fetched by Xet where it is a part of a file, or where a reply that is open already would have to be
/// dropped for it.
const XET_WORTH: u64 = 16 << 20;

/// Why a request or a body came to nothing, by what is to be done next.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Try again where it stopped, after a while.
    Again(Error),
    /// What has arrived is not what it should be: begin from nothing, once.
    Wrong(Error),
    /// This server cannot be asked for ranges: begin from nothing, without them.
    NoRanges(Error),
    /// Xet has failed: go on where it stopped, over plain HTTP.
    NotByXet(Error),
    /// Give up.
    Fatal(Error),
}

impl From<Error> for Trouble {
    fn from(err: Error) -> Self {
        match err.status() {
            _ if matches!(err, Error::Xet { .. }) => Self::NotByXet(err),
            // The file is shorter than we think.
            Some(416) => Self::Wrong(err),
            _ if err.is_transient() => Self::Again(err),
            _ => Self::Fatal(err),
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(err: std::io::Error) -> Self {
        Self::Fatal(err.into())
    }
}

/// A reply whose headers are right.
pub(super) struct Opened {
    pub(super) body: Body,
    /// The file's size, if it is known.
    pub(super) total: Option<u64>,
    /// Whether ranges can be asked for.
    pub(super) ranges: bool,
}

/// What the replies have told.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) etag: Option<Etag>,
    pub(super) commit_hash: Option<CommitHash>,
    /// The store's own `ETag`.
    pub(super) validator: Option<String>,
    /// The size that the Hub told, or the caller.
    pub(super) size: Option<u64>,
    /// Where the bytes are: a signed address, as a rule.
    location: Option<String>,
    /// Whether bytes are there already that came under this etag.
    begun: bool,
    /// Where it is in Xet storage.
    xet: Option<XetFileData>,
    /// Whether it came from there, at least in part.
    pub(super) by_xet: bool,
    /// Whether it does not come from there any more: it was tried.
    xet_failed: bool,
}

/// One file at its Hub.
pub(crate) struct Origin {
    pub(crate) api: HfApi,
    pub(crate) source: FileSource,
    verify: bool,
    /// Whether the caller's etag is a listing's word, which the file's own headers correct.
    listed: bool,
    known: Mutex<Known>,
}

impl Origin {
    pub(crate) fn new(api: HfApi, source: FileSource, verify: bool, listed: bool) -> Self {
        let known = Known {
            etag: source.etag.clone(),
            commit_hash: source.commit_hash.clone().or_else(|| source.place.as_commit_hash()),
            validator: None,
            size: source.size,
            // A store does not tell the content's id: without one, the Hub is asked.
            location: source.location.clone().filter(|_| source.etag.is_some()),
            begun: false,
            xet: source.xet.clone(),
            by_xet: false,
            xet_failed: false,
        };
        Self {
            api,
            source,
            verify,
            listed,
            known: known.into(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self) -> Known {
        self.lock().clone()
    }

    /// Takes over what a journal says, as something to expect.
    pub(super) fn expect(&self, etag: Option<Etag>, validator: Option<String>, size: u64) {
        let mut known = self.lock();
        known.etag = known.etag.take().or(etag);
        known.validator = validator;
        known.begun = true;
        known.size = Some(size);
    }

    /// Forgets what was expected beyond what the caller expects.
    pub(super) fn forget(&self) {
        let mut known = self.lock();
        known.etag = self.source.etag.clone();
        known.validator = None;
        known.begun = false;
        known.size = self.source.size;
        // What is wrong may be the address, and only the Hub tells what there is to expect.
        known.location = None;
    }

    /// The hash that the content has, if its etag is one.
    pub(super) fn content_hash(&self) -> Option<ContentHash> {
        self.lock().etag.as_ref().and_then(ContentHash::of_etag)
    }

    /// The hash to check the content against, if it is to be checked and there is one.
    pub(super) fn expected_hash(&self) -> Option<ContentHash> {
        self.content_hash().filter(|_| self.verify)
    }

    /// An error that says what was announced and what arrived.
    pub(super) fn integrity(&self, expected: impl ToString, received: impl ToString) -> Error {
        Error::Integrity {
            path: self.source.path.to_string(),
            expected: expected.to_string(),
            received: received.to_string(),
        }
    }

    /// Where the file is in Xet storage and how long it is, if it is to come from there.
    fn xet(&self) -> Option<(XetFileData, u64)> {
        let known = self.lock();
        let size = known.size.filter(|size| *size > 0 && !known.xet_failed)?;
        let xet = known.xet.clone().filter(|_| xet::is_on(&self.api))?;
        Some((xet, size))
    }

    /// Whether the file comes by Xet, where one connection fetches all that is asked for at once.
    pub(super) fn is_by_xet(&self) -> bool {
        self.xet().is_some()
    }

    /// Bytes have come by Xet.
    pub(super) fn came_by_xet(&self) {
        self.lock().by_xet = true;
    }

    /// Xet has failed for this file: the rest comes over plain HTTP.
    pub(super) fn leave_xet(&self) {
        self.lock().xet_failed = true;
    }

    /// Opens the file, or a range of it, in Xet storage.
    async fn open_xet(&self, xet: &XetFileData, size: u64, range: Option<Range<u64>>) -> Result<Opened, Trouble> {
        let whole = range.is_none();
        let range = range.map_or(0..size, |range| range.start..range.end.min(size));
        let end = range.end;
        let stream = match xet::Stream::open(&self.api, xet, size, range).await {
            Ok(stream) => stream,
            // Where there is no permission to read there, plain HTTP has none either, and tells why in better words.
            Err(err) if xet::has_other_way(&err) => return Err(Trouble::NotByXet(err)),
            Err(err) => return Err(err.into()),
        };
        self.lock().begun = true;
        Ok(Opened {
            total: Some(size),
            ranges: false,
            body: Body::by_xet(stream, end, whole),
        })
    }

    /// Asks for the file, or for a range of it. An address that is no longer valid is asked for anew, once.
    pub(super) async fn open(&self, range: Option<Range<u64>>) -> Result<Opened, Trouble> {
        // Reading a little is one request where the address of the bytes is known, and two by Xet.
        let worth = |size: u64| {
            let range = range.clone().unwrap_or(0..u64::MAX);
            range.end.min(size).saturating_sub(range.start) >= XET_WORTH
        };
        if let Some((xet, size)) = self.xet()
            && (range.is_none() || worth(size))
        {
            return self.open_xet(&xet, size, range).await;
        }
        let opened = self.open_http(range.clone()).await?;
        match self.xet() {
            // Only the reply has told that it is there.
            Some((xet, size)) if worth(size) => {
                drop(opened);
                self.open_xet(&xet, size, range).await
            }
            _ => Ok(opened),
        }
    }

    async fn open_http(&self, range: Option<Range<u64>>) -> Result<Opened, Trouble> {
        let mut anew = false;
        loop {
            let location = self.lock().location.clone();
            let mut request = match &location {
                Some(location) if self.api.is_hub_address(location) => Request::get(location),
                Some(location) => Request::get(location).to_store(),
                None => Request::get(self.source.place.resolve_path(&self.source.path)),
            };
            request = request
                .bulk()
                .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if let Some(range) = &range {
                let value = match range.end {
                    u64::MAX => format!("bytes={}-", range.start),
                    end => format!("bytes={}-{}", range.start, end - 1),
                };
                let value = HeaderValue::from_str(&value).expect("digits and dashes");
                request = request.header(RANGE, value);
            }
            match self.api.send(request).await {
                Ok(response) => return self.check(response, range),
                Err(err) if location.is_some() && !anew && is_expired(&err) => {
                    tracing::debug!(path = %self.source.path, "the file's address has expired, asking for a new one");
                    let mut known = self.lock();
                    if known.location == location {
                        known.location = None;
                    }
                    anew = true;
                }
                Err(err) => return Err(err.into()),
            }
        }
    }

    fn check(&self, response: Response, range: Option<Range<u64>>) -> Result<Opened, Trouble> {
        let status = response.status();
        let malformed = |problem: &str| Error::malformed(response.url(), problem);
        if !matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Err(Trouble::Fatal(malformed(&format!("status {status} to a download"))));
        }
        let encoding = response
            .header(CONTENT_ENCODING.as_str())
            .map(|text| text.trim().to_ascii_lowercase())
            .filter(|text| !text.is_empty() && text != "identity");
        let partial = status == StatusCode::PARTIAL_CONTENT;
        let facts = match response.hub_headers() {
            Some(headers) => FileHeaders::read(headers, partial || !response.is_from_hub()),
            None => FileHeaders::default(),
        };
        self.learn(&facts, &response, encoding.is_some())?;
        if let Some(headers) = response.hub_headers()
            && let Some(xet) = xet_data(&self.api, headers)
        {
            self.lock().xet.get_or_insert(xet);
        }
        let size = self.known().size;
        if let (Some(expected), Some(received)) = (size, facts.size)
            && expected != received
        {
            return Err(self.wrong_size(expected, received));
        }

        if partial {
            let Some((start, end, whole)) = response.header(CONTENT_RANGE.as_str()).and_then(content_range) else {
                return Err(Trouble::NoRanges(malformed(
                    "a partial reply without a valid Content-Range",
                )));
            };
            if encoding.is_some() {
                return Err(Trouble::NoRanges(malformed("a partial reply in a content encoding")));
            }
            let Some(size) = size.or(whole) else {
                return Err(Trouble::NoRanges(malformed("a partial reply without the file's size")));
            };
            let asked = range.clone().unwrap_or(0..size);
            if start != asked.start || end > asked.end.min(size) || end <= start || whole.is_some_and(|w| w != size) {
                let err = malformed("a range that was not asked for");
                return Err(match range {
                    Some(_) => Trouble::NoRanges(err),
                    None => Trouble::Fatal(err),
                });
            }
            if range.is_none() && end != size {
                return Err(Trouble::Fatal(malformed(
                    "a part of the file where all of it was asked for",
                )));
            }
            self.lock().size = Some(size);
            return Ok(Opened {
                total: Some(size),
                ranges: range.is_some(),
                body: Body::new(response, Some(end), range.is_none(), false),
            });
        }

        let gzip = match encoding.as_deref() {
            None => false,
            Some("gzip" | "x-gzip") => true,
            Some(other) => {
                return Err(Trouble::Fatal(malformed(&format!(
                    "content in the encoding '{other}', which was not asked for"
                ))));
            }
        };
        let length = response
            .header(CONTENT_LENGTH.as_str())
            .filter(|_| !gzip)
            .and_then(|text| text.parse().ok());
        if let (Some(expected), Some(received)) = (size, length)
            && expected != received
        {
            return Err(self.wrong_size(expected, received));
        }
        let total = size.or(length);
        let accepts = response.header(ACCEPT_RANGES.as_str()) == Some("bytes");
        Ok(Opened {
            total,
            // Where a range was answered with everything, ranges are not worth another try.
            ranges: accepts && !gzip && total.is_some() && range.is_none(),
            body: Body::new(response, None, true, gzip),
        })
    }

    fn wrong_size(&self, expected: u64, received: u64) -> Trouble {
        Trouble::Wrong(self.integrity(format!("{expected} bytes"), format!("{received} bytes")))
    }

    /// Holds a reply's headers against what is known, and learns the rest.
    fn learn(&self, facts: &FileHeaders, response: &Response, encoded: bool) -> Result<(), Trouble> {
        let mut known = self.lock();
        if let Some(received) = facts.etag.as_ref().filter(|_| !encoded) {
            match &known.etag {
                None => known.etag = Some(received.clone()),
                Some(expected) if !is_other(expected, received) => {}
                // Servers beside the public Hub have etags that their listings do not tell.
                Some(listed) if self.listed && !known.begun => {
                    tracing::debug!(path = %self.source.path, %listed, %received, "the file has another etag than its listing says");
                    known.etag = Some(received.clone());
                }
                Some(expected) => {
                    let err = self.integrity(format!("etag {expected}"), format!("etag {received}"));
                    // What the caller expects does not change by asking again.
                    return Err(match self.source.etag {
                        Some(_) => Trouble::Fatal(err),
                        None => Trouble::Wrong(err),
                    });
                }
            }
        }
        known.size = known.size.or(facts.size);
        known.begun = true;
        if known.commit_hash.is_none() {
            known.commit_hash = facts.commit_hash.clone();
        }
        if !response.is_from_hub() {
            known.location = Some(response.url().to_owned());
        }
        let hash = known.etag.as_ref().and_then(ContentHash::of_etag);
        if hash.is_none() || !self.verify {
            // No hash will tell whether all parts are of one file: then the store's own word has to.
            let received = response.header(ETAG.as_str()).map(str::to_owned);
            match (&known.validator, received) {
                (Some(expected), Some(received)) if *expected != received => {
                    return Err(Trouble::Wrong(
                        self.integrity(format!("etag {expected}"), format!("etag {received}")),
                    ));
                }
                (None, received) => known.validator = received,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether two etags are surely of different contents: a content hash says nothing of an id of another kind.
fn is_other(expected: &Etag, received: &Etag) -> bool {
    match (ContentHash::of_etag(expected), ContentHash::of_etag(received)) {
        (Some(ContentHash::Sha256(a)), Some(ContentHash::Sha256(b))) => a != b,
        (Some(ContentHash::GitOid(a)), Some(ContentHash::GitOid(b))) => a != b,
        (Some(_), _) => false,
        (None, _) => expected != received,
    }
}

/// What stores say to a signed address that is past its time.
pub(super) fn is_expired(err: &Error) -> bool {
    matches!(err.status(), Some(400 | 401 | 403 | 404 | 410))
}

/// Reads `bytes 0-9/100`: start, end behind the last byte, and the whole size unless that is `*`.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let number = |text: &str| -> Option<u64> { text.trim().parse().ok() };
    let size = match size.trim() {
        "*" => None,
        size => Some(number(size)?),
    };
    Some((number(start)?, number(last)?.checked_add(1)?, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_is_read() {
        for (text, expected) in [
            ("bytes 0-9/100", Some((0, 10, Some(100)))),
            ("bytes 5-5/*", Some((5, 6, None))),
            ("bytes */100", None),
            ("items 0-9/100", None),
            ("bytes 0-18446744073709551615/*", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }

    #[test]
    fn only_etags_of_one_kind_contradict() {
        let sha = |c: &str| c.repeat(64).parse::<Etag>().unwrap();
        let oid = |c: &str| c.repeat(40).parse::<Etag>().unwrap();
        let other: Etag = "5f3-abc".parse().unwrap();
        assert!(is_other(&sha("a"), &sha("b")));
        assert!(!is_other(&sha("a"), &oid("b")) && !is_other(&oid("a"), &other) && !is_other(&sha("a"), &sha("a")));
        assert!(is_other(&other, &sha("a")));
    }
}
