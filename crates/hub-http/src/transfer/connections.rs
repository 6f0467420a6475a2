//! How many connections the downloads of one client have together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit for each connection that a download may have.
#[derive(Debug)]
pub(crate) struct Connections {
    permits: Arc<Semaphore>,
    /// Files that wait for their first one.
    waiting: AtomicUsize,
}

/// Counts a file as long as it waits, also if it is dropped meanwhile.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A file's first connection: waits until there may be one.
    pub(super) async fn first(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        // The semaphore is never closed, so this cannot fail.
        self.permits.clone().acquire_owned().await.ok()
    }

    /// One more for a file that has some; none while others wait for their first.
    pub(super) fn more(&self) -> Option<OwnedSemaphorePermit> {
        match self.is_wanted() {
            true => None,
            false => self.permits.clone().try_acquire_owned().ok(),
        }
    }

    /// Whether a file waits for its first connection: those that have several leave one to it.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn who_has_none_comes_before_who_has_some() {
        let connections = Connections::new(2);
        let mut cx = Context::from_waker(Waker::noop());
        let one = connections.more().unwrap();
        let two = connections.more().unwrap();
        assert!(connections.more().is_none() && !connections.is_wanted());
        {
            let mut first = pin!(connections.first());
            assert!(first.as_mut().poll(&mut cx).is_pending());
            assert!(connections.is_wanted());
            drop(one);
            assert!(connections.more().is_none());
            assert!(first.as_mut().poll(&mut cx).is_ready());
        }
        assert!(!connections.is_wanted());
        drop(two);
        {
            let (mut one, mut two) = (pin!(connections.first()), pin!(connections.first()));
            let std::task::Poll::Ready(_one) = one.as_mut().poll(&mut cx) else {
                panic!("two are free");
            };
            let std::task::Poll::Ready(_two) = two.as_mut().poll(&mut cx) else {
                panic!("one is free");
            };
            let mut given_up = Box::pin(connections.first());
            assert!(given_up.as_mut().poll(&mut cx).is_pending() && connections.is_wanted());
            drop(given_up);
            assert!(!connections.is_wanted());
        }
    }
}
