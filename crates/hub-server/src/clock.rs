//! The time of day, as the store writes it.

use hub_types::Timestamp;

/// Now, to the millisecond that the Hub shows.
pub(crate) fn now() -> Timestamp {
    let now = jiff::Timestamp::now();
    Timestamp(jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now))
}

/// The moment `seconds` after the epoch.
pub(crate) fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}
