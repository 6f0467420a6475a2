//! Listings: lazy streams over pages that the server links with `Link: <…>; rel="next"`.
//!
//! As the Python client's `utils.paginate`, with two differences. A relative link is resolved, and the token goes along
//! only where it may (a page on another host gets none). A page may be empty and still have a next one.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use http::HeaderMap;
use serde::de::DeserializeOwned;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation::BoxFuture;
use crate::request::{Answer, Request};

type Keep<T> = Box<dyn Fn(&T) -> bool + Send>;

/// A page's items, and whether there are more (which counts only where the server does not link the next page).
type Parse<T> = Box<dyn Fn(&Answer) -> Result<(Vec<T>, bool)> + Send>;

type PollBatch<T> = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<Vec<T>>>> + Send>;

/// Where the items come from.
enum Source<T> {
    /// Pages of the server. All that asks for them is the same for every kind of item, and compiled once.
    Pages(Box<ServerPages>, Parse<T>),
    /// Something else that gives them in batches, `None` at the end.
    Batches(PollBatch<T>),
    /// There are no more.
    Nowhere,
}

/// The items of a listing, as a stream.
///
/// A page is asked for when its first item is wanted, never before. After an error the stream ends.
pub struct Items<T> {
    buffered: VecDeque<T>,
    source: Source<T>,
    left: Option<u64>,
    keep: Option<Keep<T>>,
}

impl<T: Send + 'static> Items<T> {
    /// Items that are there already.
    pub fn from_vec(items: Vec<T>) -> Self {
        Self {
            buffered: items.into(),
            ..Self::new(Source::Nowhere)
        }
    }

    fn new(source: Source<T>) -> Self {
        Self {
            buffered: VecDeque::new(),
            source,
            left: None,
            keep: None,
        }
    }

    /// The items of the pages that begin with `request`'s answer.
    pub(crate) fn paged(api: HfApi, request: Request) -> Self
    where
        T: DeserializeOwned,
    {
        Self::paged_with(api, request, |page| match page.body.trim_ascii() {
            // What the Hub says of an empty listing here and there; the Python client takes it for one too.
            b"{}" => Ok(Vec::new()),
            _ => page.json(),
        })
    }

    /// The same, with each page's items made by `parse` (for replies that are no bare array, or that need context).
    pub(crate) fn paged_with(
        api: HfApi,
        request: Request,
        parse: impl Fn(&Answer) -> Result<Vec<T>> + Send + 'static,
    ) -> Self {
        let pages = ServerPages::new(api, request, Next::Linked);
        Self::new(Source::Pages(pages, Box::new(move |page| Ok((parse(page)?, true)))))
    }

    /// The items of pages that are asked for by their number, beginning with 0 in the query's `key`. `parse` gives a
    /// page's items and whether there are more; an empty page ends the listing whatever it says.
    pub(crate) fn numbered<P>(
        api: HfApi,
        request: Request,
        key: &'static str,
        parse: impl Fn(P) -> (Vec<T>, bool) + Send + 'static,
    ) -> Self
    where
        P: DeserializeOwned,
    {
        let first = request.clone().query(key, "0");
        let next = Next::Numbered {
            request: Box::new(request),
            key,
            number: 0,
        };
        let pages = ServerPages::new(api, first, next);
        Self::new(Source::Pages(pages, Box::new(move |page| Ok(parse(page.json()?)))))
    }

    /// Items that come in batches: `next` makes a batch and a new state of a state, or `None` at the end.
    pub(crate) fn unfold<S>(
        state: S,
        next: impl Fn(S) -> BoxFuture<Result<Option<(Vec<T>, S)>>> + Send + 'static,
    ) -> Self
    where
        S: Send + 'static,
    {
        let mut state = Some(state);
        let mut pending: Option<BoxFuture<_>> = None;
        Self::new(Source::Batches(Box::new(move |cx| {
            if pending.is_none() {
                pending = state.take().map(&next);
            }
            let Some(batch) = &mut pending else {
                return Poll::Ready(None);
            };
            let batch = std::task::ready!(batch.as_mut().poll(cx));
            pending = None;
            Poll::Ready(match batch {
                Ok(Some((items, rest))) => {
                    state = Some(rest);
                    Some(Ok(items))
                }
                Ok(None) => None,
                Err(err) => Some(Err(err)),
            })
        })))
    }

    /// At most `limit` items. No page is asked for that would only hold more.
    pub fn limited(mut self, limit: Option<u64>) -> Self {
        self.left = match (self.left, limit) {
            (Some(left), Some(limit)) => Some(left.min(limit)),
            (left, limit) => left.or(limit),
        };
        self
    }

    /// Without the items that `keep` says no to. They count for [`Items::limited`] all the same.
    pub(crate) fn filtered(mut self, keep: impl Fn(&T) -> bool + Send + 'static) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    /// The items page by page, as the server gave them.
    pub fn pages(self) -> Pages<T> {
        Pages { items: self }
    }

    /// The next item, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T>>
    where
        T: Unpin,
    {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// All items in one list.
    ///
    /// # Errors
    ///
    /// The first page that cannot be had.
    pub async fn collect_all(mut self) -> Result<Vec<T>>
    where
        T: Unpin,
    {
        let mut all = Vec::new();
        while let Some(item) = self.next().await {
            all.push(item?);
        }
        Ok(all)
    }

    /// The items as a blocking iterator.
    #[cfg(feature = "blocking")]
    pub fn into_blocking(self) -> BlockingItems<T> {
        BlockingItems { items: Some(self) }
    }

    /// Brings the next page in; `Ready(None)` at the end.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let page = match &mut self.source {
            Source::Nowhere => None,
            Source::Batches(poll) => std::task::ready!(poll(cx)),
            Source::Pages(pages, parse) => match std::task::ready!(pages.poll(cx)) {
                None => None,
                Some(Err(err)) => Some(Err(err)),
                Some(Ok(page)) => Some(parse(&page).map(|(items, more)| {
                    pages.proceed(more && !items.is_empty());
                    items
                })),
            },
        };
        Poll::Ready(match page {
            None => None,
            Some(Ok(items)) => {
                self.buffered = items.into();
                Some(Ok(()))
            }
            Some(Err(err)) => {
                self.source = Source::Nowhere;
                Some(Err(err))
            }
        })
    }
}

impl<T: Send + Unpin + 'static> Stream for Items<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.left == Some(0) {
                return Poll::Ready(None);
            }
            if let Some(item) = self.buffered.pop_front() {
                self.left = self.left.map(|left| left - 1);
                if self.keep.as_ref().is_some_and(|keep| !keep(&item)) {
                    continue;
                }
                return Poll::Ready(Some(Ok(item)));
            }
            match std::task::ready!(self.poll_page(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(())) => {}
                Some(Err(err)) => return Poll::Ready(Some(Err(err))),
            }
        }
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("buffered", &self.buffered.len())
            .finish_non_exhaustive()
    }
}

/// The pages of a listing, as a stream of lists.
#[derive(Debug)]
pub struct Pages<T> {
    items: Items<T>,
}

impl<T: Send + Unpin + 'static> Stream for Pages<T> {
    type Item = Result<Vec<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let items = &mut self.items;
        if items.left == Some(0) {
            return Poll::Ready(None);
        }
        if items.buffered.is_empty() {
            match std::task::ready!(items.poll_page(cx)) {
                None => return Poll::Ready(None),
                Some(Err(err)) => return Poll::Ready(Some(Err(err))),
                Some(Ok(())) => {}
            }
        }
        let mut page: Vec<T> = std::mem::take(&mut items.buffered).into();
        if let Some(left) = &mut items.left {
            page.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= page.len() as u64;
        }
        if let Some(keep) = &items.keep {
            page.retain(keep);
        }
        Poll::Ready(Some(Ok(page)))
    }
}

/// The items of a listing, as a blocking iterator: a page is asked for when its first item is wanted.
#[cfg(feature = "blocking")]
#[derive(Debug)]
pub struct BlockingItems<T> {
    items: Option<Items<T>>,
}

#[cfg(feature = "blocking")]
impl<T: Send + Unpin + 'static> Iterator for BlockingItems<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut items = self.items.take()?;
        let (items, item) = if items.buffered.is_empty() || items.left == Some(0) || items.keep.is_some() {
            crate::runtime::wait(async move {
                let item = items.next().await;
                (items, item)
            })
        } else {
            let item = items.buffered.pop_front().map(Ok);
            items.left = items.left.map(|left| left - 1);
            (items, item)
        };
        self.items = Some(items);
        item
    }
}

/// A page, and the request for the one that it links to.
type LinkedPage = (Answer, Option<Request>);

/// Asks for one page after the other; what is on them is not known here.
struct ServerPages {
    api: HfApi,
    /// The page that is asked for next.
    request: Option<Request>,
    next: Next,
    pending: Option<BoxFuture<Result<LinkedPage>>>,
}

/// How the page behind one is found.
enum Next {
    /// By the link in the reply.
    Linked,
    /// By its number, in the query's `key`.
    Numbered {
        request: Box<Request>,
        key: &'static str,
        number: u64,
    },
}

impl ServerPages {
    fn new(api: HfApi, first: Request, next: Next) -> Box<Self> {
        Box::new(Self {
            api,
            request: Some(first),
            next,
            pending: None,
        })
    }

    /// The next page, `None` behind the last one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Answer>>> {
        if let Some(request) = self.request.take() {
            self.pending = Some(Box::pin(page(self.api.clone(), request)));
        }
        let Some(pending) = &mut self.pending else {
            return Poll::Ready(None);
        };
        let page = std::task::ready!(pending.as_mut().poll(cx));
        self.pending = None;
        Poll::Ready(Some(page.map(|(answer, linked)| {
            if let Next::Linked = self.next {
                self.request = linked;
            }
            answer
        })))
    }

    /// Goes on to the page of the next number, if there are more.
    fn proceed(&mut self, more: bool) {
        if let Next::Numbered { request, key, number } = &mut self.next
            && more
        {
            *number += 1;
            self.request = Some(request.as_ref().clone().query(key, number.to_string()));
        }
    }
}

async fn page(api: HfApi, request: Request) -> Result<LinkedPage> {
    let again = request.clone();
    let (reply, body) = api.send_whole(request.retried()).await?;
    let url = reply.url();
    let next = match next_link(reply.headers()) {
        Some(link) => Some(again.follow(&api, url, &link)?),
        None => None,
    };
    if next.as_ref().is_some_and(|next| next.target == url) {
        return Err(Error::malformed(
            url,
            "a link to the next page that leads back to the same page",
        ));
    }
    let url = url.to_owned();
    Ok((Answer { url, body }, next))
}

/// The target of the link with `rel="next"`.
fn next_link(headers: &HeaderMap) -> Option<String> {
    link(headers, "next")
}

/// The target of the first link of relation `rel` in the `Link` headers.
pub(crate) fn link(headers: &HeaderMap, rel: &str) -> Option<String> {
    for value in headers.get_all("link") {
        let Ok(mut text) = value.to_str() else { continue };
        // Targets may hold commas and semicolons, so the brackets are what to go by.
        while let Some(open) = text.find('<') {
            let Some(close) = text[open..].find('>').map(|at| open + at) else {
                break;
            };
            let target = &text[open + 1..close];
            let rest = &text[close + 1..];
            let end = rest.find('<').unwrap_or(rest.len());
            let found = rest[..end].split([';', ',']).any(|parameter| {
                let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                key.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|word| word.eq_ignore_ascii_case(rel))
            });
            if found {
                return Some(target.to_owned());
            }
            text = &rest[end..];
        }
    }
    None
}

#[cfg(test)]
mod tests;
