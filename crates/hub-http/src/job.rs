//! What `.spawn()` returns: an operation that runs in the background.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;

use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::operation::BoxFuture;
use crate::progress::{__Watched, JobProgress};
use crate::runtime::{Erased, spawn, unerase};

/// An operation in the background.
///
/// Dropping it lets the operation run on, as the Python client's futures do; [`Job::abort`] ends it. Await it, or
/// [`Job::wait`] for it, to get its result.
#[derive(Debug)]
#[must_use = "a job runs on by itself, but its result is lost"]
pub struct Job<T, E = Error> {
    task: JoinHandle<Erased>,
    watched: __Watched,
    output: PhantomData<fn() -> Result<T, E>>,
}

impl<T: Send + 'static, E: From<Error> + Send + 'static> Job<T, E> {
    /// Starts `future` on this crate's own runtime, so that it runs whatever the caller does.
    pub fn start(future: impl Future<Output = Result<T, E>> + Send + 'static) -> Self {
        Self {
            task: spawn(future),
            watched: __Watched::default(),
            output: PhantomData,
        }
    }

    /// The same for an operation that is watched.
    #[doc(hidden)]
    pub fn __start(future: impl Future<Output = Result<T, E>> + Send + 'static, watched: __Watched) -> Self {
        Self {
            watched,
            ..Self::start(future)
        }
    }

    /// How far it is, if it is an upload or a download that was begun by `.spawn()`; all zero otherwise.
    ///
    /// A receiver that was given to the operation (`.progress(…)`) is told of everything besides.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let job = api.upload_folder("ada/demo", "./run").spawn();
    /// // Other work goes on here.
    /// let progress = job.progress();
    /// println!("{} of {} files, {} of {} bytes", progress.files_done, progress.files, progress.bytes_done, progress.bytes);
    /// job.await?;
    /// # Ok(()) }
    /// ```
    pub fn progress(&self) -> JobProgress {
        self.watched
            .0
            .as_ref()
            .map(|tally| tally.progress())
            .unwrap_or_default()
    }

    /// Whether it has ended, be it well or not.
    pub fn is_done(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it at its next step. Nothing half-written has a final name afterwards; awaiting it gives
    /// [`Error::Aborted`], unless it had ended before.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Blocks until it has ended.
    ///
    /// # Errors
    ///
    /// The operation's own, or [`Error::Aborted`].
    #[cfg(feature = "blocking")]
    pub fn wait(self) -> Result<T, E> {
        crate::runtime::wait(self.into_future())
    }
}

impl<T: Send + 'static, E: From<Error> + Send + 'static> IntoFuture for Job<T, E> {
    type Output = Result<T, E>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match ended(self.task).await {
                Ok(output) => unerase(output),
                Err(err) => Err(err.into()),
            }
        })
    }
}

/// What a task gave, or how it ended otherwise.
async fn ended(task: JoinHandle<Erased>) -> Result<Erased> {
    task.await.map_err(|ended| {
        if ended.is_cancelled() {
            return Error::Aborted;
        }
        let message = match ended.try_into_panic() {
            Ok(panic) => match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
                (Some(text), _) => (*text).to_owned(),
                (_, Some(text)) => text.clone(),
                _ => "unknown panic".to_owned(),
            },
            Err(ended) => ended.to_string(),
        };
        Error::Panicked { message }
    })
}
