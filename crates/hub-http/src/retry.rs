//! When a request is sent again, and after which wait.
//!
//! As the Python client's `utils.http_backoff`: six statuses, five retries, waits of 1, 2, 4, 8 and 8 seconds; a
//! `RateLimit` header that says nothing is left, or a `Retry-After` in seconds or as a date, wins over those, up to ten
//! minutes. A little randomness is added to the former, so that many clients do not come back at one moment.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;

use crate::error::Error;

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// Retries after the first attempt.
    pub(crate) max_retries: u32,
    /// The first wait; each further one is twice as long.
    pub(crate) first_wait: Duration,
    /// The longest of those waits.
    pub(crate) longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(8),
        }
    }
}

/// The longest wait that a server may ask for. One that wants more is not waited for at all: nobody who looks at a program
/// that sleeps for a day can tell that it will go on.
const MOST_ASKED: Duration = Duration::from_secs(600);

impl RetryPolicy {
    /// How long to wait before retry number `retry` (1 for the first), given the reply's headers if there was a reply.
    /// `None` when it is time to give up, also because the server asks for more than ten minutes. `jitter`, from 0 to 1,
    /// makes a wait of ours up to a tenth longer; one that the server named stays as it is.
    pub(crate) fn wait(&self, retry: u32, reply: Option<(u16, &HeaderMap)>, jitter: f64) -> Option<Duration> {
        let asked = reply.and_then(|(status, headers)| {
            asked(status, RateLimit::from_headers(headers).as_ref(), retry_after(headers))
        });
        self.wait_asked(retry, asked, jitter)
    }

    /// How long to wait before retry number `retry` of what failed with `err`. `None` when it is time to give up.
    pub(crate) fn wait_after(&self, retry: u32, err: &Error) -> Option<Duration> {
        let asked = err
            .reply()
            .and_then(|reply| asked(reply.status, reply.rate_limit.as_ref(), reply.retry_after));
        self.wait_asked(retry, asked, fastrand::f64())
    }

    fn wait_asked(&self, retry: u32, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
        if retry > self.max_retries {
            return None;
        }
        if let Some(asked) = asked {
            return (asked <= MOST_ASKED).then(|| asked + Duration::from_secs(1));
        }
        let doubled = self.first_wait.saturating_mul(1 << retry.saturating_sub(1).min(16));
        let wait = doubled.min(self.longest_wait);
        Some(wait + wait.mul_f64(jitter.clamp(0.0, 1.0) / 10.0))
    }
}

/// How long the server asks to wait, if it does: until its window ends where nothing is left of that, else what
/// `Retry-After` says.
fn asked(status: u16, limit: Option<&RateLimit>, retry_after: Option<Duration>) -> Option<Duration> {
    match limit {
        Some(limit) if status == 429 && limit.remaining == 0 => Some(limit.reset),
        _ => retry_after,
    }
}

/// What `Retry-After` says: seconds, or a moment (RFC 9110, 10.2.3). `None` where it is neither.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are more than anybody waits.
        return Some(Duration::from_secs(u64::from(text.parse().unwrap_or(u32::MAX))));
    }
    let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let seconds = moment.duration_since(jiff::Timestamp::now()).as_secs();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The statuses after which the same request may succeed.
pub(crate) fn is_retryable_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// What a `RateLimit` header says, with its `RateLimit-Policy` where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Which quota: `api`, `resolvers` or `pages`.
    pub resource: String,
    /// Requests left in this window.
    pub remaining: u64,
    /// Time until the window ends.
    pub reset: Duration,
    /// Requests in a window, and its length.
    pub quota: Option<(u64, Duration)>,
}

impl RateLimit {
    /// Reads `RateLimit: "api";r=489;t=189` and `RateLimit-Policy: "fixed window";"api";q=500;w=300`. `None` when the
    /// first is absent or of another form.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("ratelimit")?.to_str().ok()?;
        let (resource, parameters) = text.split('"').collect::<Vec<_>>().get(1..3).map(|p| (p[0], p[1]))?;
        let number = |text: &str, name: &str| -> Option<u64> {
            text.split(';').find_map(|part| {
                let (key, value) = part.split_once('=')?;
                let digits: String = value.trim().chars().take_while(char::is_ascii_digit).collect();
                (key.trim() == name).then(|| digits.parse().ok())?
            })
        };
        if resource.is_empty() {
            return None;
        }
        let policy = headers.get("ratelimit-policy").and_then(|value| value.to_str().ok());
        Some(Self {
            resource: resource.to_owned(),
            remaining: number(parameters, "r")?,
            reset: Duration::from_secs(number(parameters, "t")?.min(u64::from(u32::MAX))),
            quota: policy.and_then(|text| Some((number(text, "q")?, Duration::from_secs(number(text, "w")?)))),
        })
    }
}

impl fmt::Display for RateLimit {
    /// As it goes behind "too many requests".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            " for '{}', again possible in {} seconds",
            self.resource,
            self.reset.as_secs()
        )?;
        if let Some((limit, window)) = &self.quota {
            write!(
                f,
                " ({}/{limit} requests remaining in current {}s window)",
                self.remaining,
                window.as_secs()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[track_caller]
    fn check(status: u16, pairs: &[(&'static str, &str)], seconds: u64) {
        let headers = headers(pairs);
        assert_eq!(
            RetryPolicy::default()
                .wait(1, Some((status, &headers)), 1.0)
                .map(|wait| Duration::from_secs(wait.as_secs())),
            Some(Duration::from_secs(seconds))
        );
    }

    #[test]
    fn waits_double_to_eight_seconds_and_end_after_five() {
        let waits: Vec<_> = (1..=6)
            .map(|n| RetryPolicy::default().wait(n, None, 0.0).map(|d| d.as_secs()))
            .collect();
        assert_eq!(waits, [Some(1), Some(2), Some(4), Some(8), Some(8), None]);
    }

    #[test]
    fn the_server_may_say_how_long() {
        check(429, &[("ratelimit", "\"api\";r=0;t=55")], 56);
        check(429, &[("ratelimit", " \"api\" ; r = 0 ; t = 55 ")], 56);
        check(429, &[("ratelimit", "\"api\";r=99794;t=55")], 1);
        check(503, &[("ratelimit", "\"api\";r=0;t=55")], 1);
        check(503, &[("retry-after", "120")], 121);
        check(503, &[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], 1);
        check(503, &[("retry-after", "600")], 601);
        check(503, &[("retry-after", "-1")], 1);
        check(503, &[("retry-after", "")], 1);
        check(429, &[("ratelimit", "garbage"), ("retry-after", "7")], 8);
    }

    #[test]
    fn a_moment_is_waited_for() {
        let soon = jiff::Timestamp::now() + Duration::from_secs(100);
        let text = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&soon)
            .unwrap();
        let headers = headers(&[("retry-after", &text)]);
        let wait = RetryPolicy::default().wait(1, Some((503, &headers)), 0.0).unwrap();
        assert!((98..=101).contains(&wait.as_secs()), "{text}: {wait:?}");
    }

    #[test]
    fn nobody_waits_for_hours() {
        for text in [
            "601",
            "86400",
            "4294967296",
            "18446744073709551615",
            "99999999999999999999",
        ] {
            let headers = headers(&[("retry-after", text)]);
            assert_eq!(
                RetryPolicy::default().wait(1, Some((503, &headers)), 0.0),
                None,
                "{text}"
            );
            assert!(retry_after(&headers).unwrap() > MOST_ASKED, "{text}");
        }
        let headers = headers(&[("ratelimit", "\"api\";r=0;t=86400")]);
        assert_eq!(RetryPolicy::default().wait(1, Some((429, &headers)), 0.0), None);
    }

    #[test]
    fn six_statuses_are_worth_another_try() {
        let retryable: Vec<u16> = (100..600).filter(|status| is_retryable_status(*status)).collect();
        assert_eq!(retryable, [408, 429, 500, 502, 503, 504]);
    }

    #[test]
    fn rate_limit_is_told_in_words() {
        let limit = RateLimit::from_headers(&headers(&[
            ("ratelimit", "\"api\";r=0;t=12"),
            ("ratelimit-policy", "\"fixed window\";\"api\";q=500;w=300"),
        ]));
        assert_eq!(
            limit.unwrap().to_string(),
            " for 'api', again possible in 12 seconds (0/500 requests remaining in current 300s window)"
        );
    }
}
