//! How many bytes a second all transfers of a client may move together, each way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hub_types::ValidationError;
use tokio::time::Instant;

/// Less than this could not be told from a connection that has stalled.
pub(crate) const LEAST: u64 = 1024;
/// What is sent is handed on in pieces of this size, so that it flows instead of coming in bursts.
const PIECE: usize = 16 << 10;

/// A limit that every transfer draws from; without one, nothing waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bandwidth(Option<Arc<Limit>>);

#[derive(Debug)]
struct Limit {
    bytes_per_second: f64,
    /// When all that was granted will have been moved at the limit's rate.
    paid: Mutex<Option<Instant>>,
}

impl Bandwidth {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Result<Self, ValidationError> {
        let Some(limit) = bytes_per_second else {
            return Ok(Self(None));
        };
        if limit < LEAST {
            let rule = "must be 1024 bytes a second or more";
            return Err(ValidationError::new("bandwidth limit", limit.to_string(), rule));
        }
        Ok(Self(Some(Arc::new(Limit {
            bytes_per_second: limit as f64,
            paid: Mutex::new(None),
        }))))
    }

    /// Waits until `bytes` more may have been moved.
    pub(crate) async fn take(&self, bytes: usize) {
        let Some(limit) = &self.0 else { return };
        let time = Duration::from_secs_f64(bytes as f64 / limit.bytes_per_second);
        let until = {
            // What the lock guards is one instant: valid, whoever panicked with it.
            let mut paid = limit.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // Time in which nothing moved is not saved up: the limit is of each second, not of a day.
            let until = paid.map_or(now, |at| at.max(now)) + time;
            *paid = Some(until);
            until
        };
        tokio::time::sleep_until(until).await;
    }

    /// Cuts what is to be sent into the pieces that it is granted in: all of it, where there is no limit.
    pub(crate) fn next_piece(&self, bytes: &mut Bytes) -> Bytes {
        match &self.0 {
            Some(_) if bytes.len() > PIECE => bytes.split_to(PIECE),
            _ => std::mem::take(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_transfers_together_keep_the_limit() {
        let limit = Bandwidth::new(Some(100_000)).unwrap();
        let start = Instant::now();
        let (a, b) = (limit.clone(), limit.clone());
        let move_all = async |limit: Bandwidth| {
            for _ in 0..50 {
                limit.take(10_000).await;
            }
        };
        tokio::join!(move_all(a), move_all(b));
        assert_eq!(start.elapsed().as_secs_f64().round(), 10.0);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_not_saved_up() {
        let limit = Bandwidth::new(Some(10_000)).unwrap();
        limit.take(10_000).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        limit.take(30_000).await;
        assert_eq!(start.elapsed().as_secs_f64().round(), 3.0);
    }

    #[test]
    fn a_limit_too_low_is_refused_and_none_cuts_nothing() {
        let err = Bandwidth::new(Some(1023)).unwrap_err().to_string();
        assert!(err.contains("1023") && err.contains("1024"), "{err}");
        let mut bytes = Bytes::from(vec![0; 40_000]);
        let limit = Bandwidth::new(Some(LEAST)).unwrap();
        assert_eq!(limit.next_piece(&mut bytes).len(), PIECE);
        assert_eq!(Bandwidth::default().next_piece(&mut bytes).len(), 40_000 - PIECE);
        assert!(bytes.is_empty());
    }
}
