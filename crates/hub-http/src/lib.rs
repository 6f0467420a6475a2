//! The Hugging Face Hub over HTTP: every operation, and the engine that moves file bytes.
//!
//! ```no_run
//! # async fn example() -> hub_http::Result<()> {
//! use hub_http::HfApi;
//!
//! let api = HfApi::from_env()?;
//! api.create_repo("ada/demo").private(true).exist_ok(true).await?;
//! let job = api.whoami().spawn(); // in the background
//! println!("{}", job.await?.name);
//! # Ok(()) }
//! ```
//!
//! An operation is a value: its method begins it, its setters fill it in, and it runs when it is awaited, waited for
//! (`.wait()`, feature `blocking`) or spawned. Names and defaults are the Python client's.
//!
//! What lives here: requests, tokens, retries, pages, and [`transfer`]. What does not: directories. The cache that is
//! shared with Python is the crate `hub-cache`, which builds on this one.
//!
//! Features:
//!
//! - `blocking` (on by default) adds `.wait()` to every operation.
//! - `cards` (on by default) adds [`api::cards`]: the READMEs of repositories and their metadata.
//! - `rustls` (on by default), `aws-lc` or `native-tls` choose the library for TLS: rustls with ring, rustls with
//!   aws-lc, or the system's. Without default features one of them has to be named. Where several are on,
//!   `native-tls` is used before `aws-lc`, and that before `rustls`. All trust the system's roots, and those of
//!   [`HfApiBuilder::ca_bundle`] beside them.
//!
//! - `xet` (off by default, since it adds about 110 packages) brings large files to the Hub's Xet storage and from there,
//!   and files into buckets. Without it they go through Git LFS, and come over plain HTTP.
//!
//! Invariants:
//!
//! - The token goes to the endpoint's own origin and the Hub's, to no other host: not by a redirect, not by a link to a
//!   next page, not to a signed address.
//! - No token and no signed address's query stands in an error, a log line or a `Debug`.
//! - What may not be done twice is sent once.

mod auth;
mod bandwidth;
mod client;
mod endpoint;
mod error;
mod events;
mod job;
mod login;
mod oidc;
mod operation;
mod page;
mod progress;
mod queue;
mod request;
mod retry;
mod runtime;
mod scheduler;
mod tls;

pub mod api;
#[doc(hidden)]
pub mod fault;
pub mod oauth;
pub mod stored_tokens;
pub mod transfer;

pub use auth::TokenChoice;
pub use client::{HfApi, HfApiBuilder};
pub use endpoint::DEFAULT_ENDPOINT;
pub use error::{Error, Reply, Result};
pub use job::Job;
pub use login::{LogIn, LogInArgs, Login};
#[doc(hidden)]
pub use operation::{__Data, __required, __set};
pub use operation::{BoxFuture, Operation};
#[cfg(feature = "blocking")]
pub use page::BlockingItems;
pub use page::{Items, Pages};
#[doc(hidden)]
pub use progress::{__Skipped, __Watched};
pub use progress::{FileProgress, JobProgress, Outcome, Phase, Progress, ProgressHandle, ProgressId};
pub use retry::RateLimit;
pub use scheduler::{CommitScheduler, CommitSchedulerBuilder};

/// Runs a future on this crate's own runtime and blocks until it is through. What `operation!` makes of `.wait()`.
#[cfg(feature = "blocking")]
#[doc(hidden)]
pub fn __wait<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    runtime::wait(future)
}
