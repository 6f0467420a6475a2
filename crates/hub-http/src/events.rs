//! Server-sent events: logs and metrics as streams that survive a dropped connection.
//!
//! The Hub replays a log from its beginning at every connection, so what was given already is skipped: by counting
//! events, or, where the first connection asked for a tail only, by looking for the last event that was given. The
//! rules are those of the Python client's `hf_api._stream_sse_events`, with two more for jobs: a stream that breaks asks
//! whether the job has ended before it is opened anew, and that question is itself repeated when it fails.

use std::time::Duration;

use hub_types::Timestamp;
use hub_types::jobs::JobInfo;
use serde::Deserialize;
use serde_json::Value;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::page::Items;
use crate::request::{Request, Response};

/// When a stream ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Follow {
    /// With what is there now.
    No,
    /// When the server closes it: its word is good (Spaces).
    UntilClosed,
    /// When the job at this path has ended: its connections may close before (jobs).
    WhileJobRuns(String),
}

/// A line of a log, as an event has it.
#[derive(Debug, Deserialize)]
pub(crate) struct LogLine {
    pub(crate) data: String,
}

const MAX_RETRIES: u32 = 5;
/// The longest wait before another connection, in first waits of the client's retries (1 second by default).
const LONGEST_PAUSE: u32 = 10;
/// The longest line that is kept: what is longer is no event of the Hub's.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// A stream of events of one address.
pub(crate) struct Events {
    api: HfApi,
    path: String,
    follow: Follow,
    tail: Option<u64>,
    /// Whether a new connection replays what was given. A sample of metrics is new each time.
    replays: bool,
    /// Statuses that mean the end and no error.
    ends_with: &'static [u16],
    read_timeout: Duration,
    connection: Option<Connection>,
    connections: u32,
    /// Events given so far.
    given: u64,
    last: Option<Value>,
    tries: u32,
    pause: Duration,
    ended: bool,
}

struct Connection {
    reply: Response,
    buffer: Vec<u8>,
    index: u64,
    /// Events after this moment came after the question.
    asked_at: Option<jiff::Timestamp>,
    searching: bool,
}

/// What reading a connection once gave.
enum Step {
    Events(Vec<Value>),
    /// The connection is over; `clean` when the server closed it.
    Over {
        clean: bool,
    },
}

impl Events {
    pub(crate) fn new(api: HfApi, path: String, follow: Follow) -> Self {
        let read_timeout = Duration::from_secs(if follow == Follow::No { 5 } else { 120 });
        Self {
            api,
            path,
            follow,
            tail: None,
            replays: true,
            ends_with: &[],
            read_timeout,
            connection: None,
            connections: 0,
            given: 0,
            last: None,
            tries: 0,
            pause: Duration::ZERO,
            ended: false,
        }
    }

    /// Only the last `lines` that are there at first.
    pub(crate) fn tail(mut self, lines: Option<u64>) -> Self {
        self.tail = lines;
        self
    }

    /// Samples, not a log: nothing is replayed, and these statuses mean that there will be no more.
    pub(crate) fn samples(mut self, ends_with: &'static [u16]) -> Self {
        self.replays = false;
        self.ends_with = ends_with;
        self.read_timeout = Duration::from_secs(10);
        self
    }

    /// The stream, each event made an item by `item`; `None` drops it.
    pub(crate) fn into_items<T, F>(self, item: F) -> Items<T>
    where
        T: Send + 'static,
        F: Fn(Value) -> Option<T> + Send + Sync + 'static,
    {
        let item = std::sync::Arc::new(item);
        Items::unfold(self, move |mut events| {
            let item = item.clone();
            Box::pin(async move {
                Ok(events.next_batch().await?.map(|batch| {
                    let items = batch.into_iter().filter_map(|event| item(event)).collect();
                    (items, events)
                }))
            })
        })
    }

    /// The next events, `None` at the end.
    async fn next_batch(&mut self) -> Result<Option<Vec<Value>>> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.connection.is_none() && !self.connect().await? {
                return Ok(None);
            }
            match self.read().await {
                Ok(Step::Events(events)) => {
                    if !events.is_empty() {
                        self.tries = 0;
                        self.pause = Duration::ZERO;
                        return Ok(Some(events));
                    }
                }
                Ok(Step::Over { clean }) => {
                    self.connection = None;
                    match &self.follow {
                        Follow::No => return Ok(None),
                        Follow::UntilClosed if clean => return Ok(None),
                        Follow::UntilClosed => {
                            if !self.wait_for_retry().await {
                                return Ok(None);
                            }
                        }
                        Follow::WhileJobRuns(_) => {
                            if self.job_has_ended().await? {
                                return Ok(None);
                            }
                            // The stage lags behind the last line by more than a second.
                            self.sleep(2).await;
                            if self.job_has_ended().await? {
                                return Ok(None);
                            }
                        }
                    }
                }
                Err(err) => {
                    self.connection = None;
                    if self.follow == Follow::No {
                        // What ends in the middle of a line has given all that it had.
                        return Ok(None);
                    }
                    if !self.wait_for_retry().await {
                        return Err(err);
                    }
                    // What broke may have been the job's end.
                    if self.job_has_ended().await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Opens the stream; `false` when a status says that there is none any more.
    async fn connect(&mut self) -> Result<bool> {
        if self.connections > 0 && self.last.is_none() {
            // Without an event to look for, the whole log is new, and its events can be counted.
            self.tail = None;
        }
        loop {
            let mut request = Request::get(&self.path);
            if self.connections == 0 {
                request = request.query_opt("tail", self.tail);
            }
            match self.api.send(request).await {
                Ok(reply) => {
                    self.connections += 1;
                    let asked_at = reply
                        .header("date")
                        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
                        .map(|date| date.timestamp());
                    // Counting events does not work behind a tail: look for the last one instead.
                    let searching = self.connections > 1 && self.tail.is_some() && self.last.is_some();
                    self.connection = Some(Connection {
                        reply,
                        buffer: Vec::new(),
                        index: 0,
                        asked_at,
                        searching,
                    });
                    return Ok(true);
                }
                Err(err) if err.status().is_some_and(|status| self.ends_with.contains(&status)) => {
                    // A job that has not begun yet has no samples either.
                    if self.follow == Follow::No || self.job_has_ended().await? {
                        return Ok(false);
                    }
                    self.sleep(2).await;
                    if self.job_has_ended().await? {
                        return Ok(false);
                    }
                }
                Err(err @ (Error::Connect { .. } | Error::Timeout { .. } | Error::Transport { .. }))
                    if self.follow != Follow::No =>
                {
                    if !self.wait_for_retry().await {
                        return Err(err);
                    }
                }
                Err(err) => return Err(err),
            }
        }
    }

    /// Sleeps before another try; `false` when there have been enough.
    async fn wait_for_retry(&mut self) -> bool {
        self.tries += 1;
        if self.tries > MAX_RETRIES {
            return false;
        }
        self.sleep(1).await;
        true
    }

    /// Sleeps twice as long as before, and at least so many of the client's first waits.
    async fn sleep(&mut self, at_least: u32) {
        let unit = self.api.shared.config.retry.first_wait;
        self.pause = (self.pause * 2).clamp(unit * at_least, unit * LONGEST_PAUSE);
        tokio::time::sleep(self.pause).await;
    }

    /// Whether this is a job's stream and the job has ended.
    async fn job_has_ended(&self) -> Result<bool> {
        let Follow::WhileJobRuns(path) = &self.follow else {
            return Ok(false);
        };
        let (reply, body) = self.api.send_whole(Request::get(path).retried()).await?;
        let job: JobInfo = crate::request::parse_json(reply.url(), &body)?;
        Ok(job.status.is_some_and(|status| status.stage.is_terminal()))
    }

    /// Reads once from the connection.
    async fn read(&mut self) -> Result<Step> {
        let Some(connection) = &mut self.connection else {
            return Ok(Step::Over { clean: true });
        };
        let chunk = match tokio::time::timeout(self.read_timeout, connection.reply.chunk()).await {
            // The client's own bound is as long as the one here.
            Ok(Err(Error::Timeout { .. })) | Err(_) => return Ok(Step::Over { clean: false }),
            Ok(chunk) => chunk?,
        };
        let lines: Vec<u8> = match chunk {
            Some(chunk) => {
                connection.buffer.extend_from_slice(&chunk);
                if connection.buffer.len() > LONGEST_LINE {
                    return Err(Error::malformed(&self.path, "an event without an end"));
                }
                let Some(end) = connection.buffer.iter().rposition(|byte| *byte == b'\n') else {
                    return Ok(Step::Events(Vec::new()));
                };
                connection.buffer.drain(..=end).collect()
            }
            // A last line may lack its end, if the server has closed and not just gone.
            None if connection.buffer.is_empty() => return Ok(Step::Over { clean: true }),
            None => std::mem::take(&mut connection.buffer),
        };
        let mut events = Vec::new();
        for event in lines.split(|byte| *byte == b'\n').filter_map(event) {
            let index = connection.index;
            connection.index += 1;
            if self.follow == Follow::No
                && let (Some(asked), Some(at)) = (connection.asked_at, moment(&event))
                && at > asked + Duration::from_secs(1)
            {
                // Written after the question: that was all there was.
                self.ended = true;
                return Ok(Step::Events(events));
            }
            if connection.searching {
                let last = self.last.as_ref();
                // Once the place is found, events are counted from there: further connections replay the same log.
                if last == Some(&event) {
                    connection.searching = false;
                    self.tail = None;
                    self.given = index + 1;
                    continue;
                }
                if moment(&event)
                    .zip(last.and_then(moment))
                    .is_some_and(|(at, last)| at <= last)
                {
                    continue;
                }
                connection.searching = false;
                self.tail = None;
                self.given = index;
            } else if self.replays && self.tail.is_none() && index < self.given {
                continue;
            }
            self.given += 1;
            self.last = Some(event.clone());
            events.push(event);
        }
        Ok(Step::Events(events))
    }
}

/// The event of a line `data: {…}`; every other line is none (names, comments that keep the connection up, blanks).
fn event(line: &[u8]) -> Option<Value> {
    let json = line.strip_prefix(b"data: ").filter(|json| json.starts_with(b"{"))?;
    serde_json::from_slice(json).ok()
}

fn moment(event: &Value) -> Option<jiff::Timestamp> {
    event
        .get("timestamp")?
        .as_str()?
        .parse::<Timestamp>()
        .ok()
        .map(|moment| moment.0)
}

#[cfg(test)]
mod tests;
