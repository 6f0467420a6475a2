//! The runtime behind `.wait()`, and behind `.spawn()` where the caller has none.
//!
//! It has threads of its own, so waiting is safe inside another runtime too.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// A handle to the caller's runtime, else to ours.
pub(crate) fn handle() -> Handle {
    Handle::try_current().unwrap_or_else(|_| own().clone())
}

/// A handle to our own runtime, started at first use and kept for the life of the process.
fn own() -> &'static Handle {
    static OWN: OnceLock<Runtime> = OnceLock::new();
    OWN.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("hub-http")
            .enable_all()
            .build()
            .expect("the system gives this process threads and sockets")
    })
    .handle()
}

/// Runs a future on our own runtime and blocks this thread until it is through.
#[cfg(feature = "blocking")]
pub(crate) fn wait<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    own().spawn(async move {
        // The receiver is there until the answer is: only a panic of ours ends this early.
        let _ = sender.send(future.await);
    });
    receiver
        .recv()
        .expect("an operation ends with a value, not with a panic")
}
