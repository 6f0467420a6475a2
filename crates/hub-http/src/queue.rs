//! Background work in order: one operation at a time, in the order in which they were given.

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::operation::BoxFuture;

/// The operations that wait for their turn.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    waiting: mpsc::UnboundedSender<BoxFuture<()>>,
}

impl Queue {
    /// A queue whose worker lives on our own runtime until the queue is dropped and what is in it is done.
    pub(crate) fn start() -> Self {
        let (waiting, mut next) = mpsc::unbounded_channel::<BoxFuture<()>>();
        crate::runtime::own().spawn(async move {
            while let Some(work) = next.recv().await {
                work.await;
            }
        });
        Self { waiting }
    }

    fn push<T, E>(&self, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Job<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (mut sender, receiver) = oneshot::channel();
        let turn = async move {
            tokio::select! {
                biased;
                // Aborted: those behind it need not wait.
                () = sender.closed() => {}
                result = AssertUnwindSafe(work).catch_unwind() => {
                    // Nobody may want to know.
                    let _ = sender.send(result);
                }
            }
        };
        // The worker is there as long as the queue is.
        let _ = self.waiting.send(Box::pin(turn));
        Job::start(async move {
            match receiver.await {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => Err(Error::Aborted.into()),
            }
        })
    }
}

impl HfApi {
    /// Runs an operation in the background, when all those are done that this client and its clones were given before.
    ///
    /// `.spawn()` runs operations side by side; here they run one after the other, in the order in which they were
    /// given, as the Python client's `run_as_future` runs them. One that fails does not stop those behind it. Dropping
    /// the job lets its operation run on; [`Job::abort`] takes it out of the queue, or ends it. What is still waiting
    /// when the process ends is lost: wait for the last job.
    ///
    /// Takes operations of this crate and of those above it, and any other future of a `Result`.
    ///
    /// Endpoint: none; the operation asks its own.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let first = api.run_as_future(api.create_repo("ada/demo").exist_ok(true));
    /// let second = api.run_as_future(api.upload_folder("ada/demo", "./run"));
    /// // Other work goes on here. The folder is sent when the repo is there.
    /// second.await?;
    /// assert!(first.is_done());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the operation, from the job; [`Error::Aborted`] from one that was aborted.
    pub fn run_as_future<W, T, E>(&self, operation: W) -> Job<T, E>
    where
        W: IntoFuture<Output = Result<T, E>>,
        W::IntoFuture: Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let queue = self.shared.queue.get_or_init(Queue::start);
        queue.push(operation.into_future())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    fn api() -> HfApi {
        HfApi::builder().build().unwrap()
    }

    #[tokio::test]
    async fn one_runs_at_a_time_in_the_order_given() {
        let (api, log) = (api(), Arc::new(Mutex::new(Vec::new())));
        let jobs: Vec<Job<u32>> = (0..20)
            .map(|n| {
                let log = log.clone();
                // The earlier ones take longer.
                api.clone().run_as_future(async move {
                    log.lock().unwrap().push(("begins", n));
                    tokio::time::sleep(Duration::from_millis(u64::from(20 - n) / 4)).await;
                    log.lock().unwrap().push(("ends", n));
                    Ok(n)
                })
            })
            .collect();
        for (n, job) in (0..).zip(jobs) {
            assert_eq!(job.await.unwrap(), n);
        }
        let expected: Vec<_> = (0..20).flat_map(|n| [("begins", n), ("ends", n)]).collect();
        assert_eq!(*log.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn failures_panics_and_aborted_ones_do_not_stop_the_others() {
        let api = api();
        let failing: Job<()> = api.run_as_future(async { Err(Error::TokenNotFound) });
        let panicking: Job<()> = api.run_as_future(async { panic!("on purpose") });
        let stuck: Job<()> = api.run_as_future(std::future::pending());
        let waiting: Job<()> = api.run_as_future(async { unreachable!("it was aborted before its turn") });
        waiting.abort();
        let last: Job<u32> = api.run_as_future(async { Ok(5) });
        assert!(matches!(failing.await, Err(Error::TokenNotFound)));
        assert!(matches!(panicking.await, Err(Error::Panicked { message }) if message == "on purpose"));
        assert!(!last.is_done());
        stuck.abort();
        assert!(matches!(stuck.await, Err(Error::Aborted)));
        assert_eq!(last.await.unwrap(), 5);
        assert!(matches!(waiting.await, Err(Error::Aborted)));
    }

    #[tokio::test]
    async fn what_was_given_is_done_although_the_client_and_the_job_are_gone() {
        let (sender, receiver) = oneshot::channel();
        let (go, wait) = oneshot::channel::<()>();
        let api = api();
        drop(api.run_as_future(async move {
            let _ = wait.await;
            sender.send(1).map_err(|_| Error::Aborted)
        }));
        drop(api);
        go.send(()).unwrap();
        assert_eq!(receiver.await.unwrap(), 1);
    }
}
