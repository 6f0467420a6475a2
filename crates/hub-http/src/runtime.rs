//! The runtime behind `.wait()` and `.spawn()`.
//!
//! It has threads of its own, so waiting is safe inside another runtime too: also in one with a single thread, which
//! could not go on while that thread waits. For the same reason it has connections of its own (see
//! [`HfApi::client`](crate::HfApi)).

use std::any::Any;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::operation::BoxFuture;

static OWN: OnceLock<Runtime> = OnceLock::new();

/// A handle to our own runtime, started at first use and kept for the life of the process.
pub(crate) fn own() -> &'static Handle {
    OWN.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Builder::new_multi_thread()
            .worker_threads(threads.clamp(2, 8))
            .thread_name("hub-http")
            .enable_all()
            .build()
            .expect("the system gives this process threads and sockets")
    })
    .handle()
}

/// Whether the calling thread belongs to our own runtime.
pub(crate) fn is_own() -> bool {
    match (OWN.get(), Handle::try_current()) {
        (Some(own), Ok(current)) => own.handle().id() == current.id(),
        _ => false,
    }
}

/// What any task of ours gives; only who started it knows its type.
pub(crate) type Erased = Box<dyn Any + Send>;

/// Runs a future on our own runtime.
///
/// All of them are of one type for the runtime: its tasks are large generic code, which would be compiled again for
/// the output of every operation, and took half of this crate's time to build.
pub(crate) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<Erased> {
    spawn_erased(Box::pin(Erase(Box::pin(future))))
}

/// A future whose output is erased. Written by hand: it is compiled for every type of output.
struct Erase<F>(Pin<Box<F>>);

impl<T: Send + 'static, F: Future<Output = T>> Future for Erase<F> {
    type Output = Erased;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Erased> {
        self.0.as_mut().poll(cx).map(|output| Box::new(output) as Erased)
    }
}

fn spawn_erased(future: BoxFuture<Erased>) -> JoinHandle<Erased> {
    own().spawn(future)
}

/// What a task gave, in its own type again.
pub(crate) fn unerase<T: 'static>(output: Erased) -> T {
    *output
        .downcast()
        .expect("the output of a task has the type with which it was started")
}

/// Runs what blocks on a thread for that. A panic in it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    unerase(blocking_erased(Box::new(move || Box::new(work()) as Erased)).await?)
}

async fn blocking_erased(work: Box<dyn FnOnce() -> Erased + Send>) -> Result<Erased> {
    tokio::task::spawn_blocking(work).await.map_err(|ended| {
        if ended.is_panic() {
            resume_unwind(ended.into_panic());
        }
        // The caller's runtime is going down.
        Error::Aborted
    })
}

/// Runs a future on our own runtime and blocks this thread until it is through. A panic in it goes on here.
#[cfg(feature = "blocking")]
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    unerase(wait_erased(spawn(future)))
}

#[cfg(feature = "blocking")]
fn wait_erased(task: JoinHandle<Erased>) -> Erased {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    own().spawn(async move {
        // The receiver waits for this.
        let _ = sender.send(task.await);
    });
    let receive = || {
        receiver
            .recv()
            .expect("the task above sends, whatever becomes of what it waits for")
    };
    // On a thread of ours, which is how a progress receiver may get here, the others must be able to go on.
    let result = if is_own() {
        tokio::task::block_in_place(receive)
    } else {
        receive()
    };
    result.unwrap_or_else(|ended| resume_unwind(ended.into_panic()))
}

#[cfg(all(test, feature = "blocking"))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_goes_on_where_it_is_waited_for() {
        let caught = std::panic::catch_unwind(|| wait(async { panic!("on purpose") }));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
        assert_eq!(wait(async { 1 }), 1);
    }

    #[tokio::test]
    async fn is_safe_inside_another_runtime() {
        assert_eq!(wait(async { 1 }), 1);
        assert!(!is_own());
    }

    #[test]
    fn is_safe_inside_our_own_runtime_however_deep() {
        fn nested(depth: u32) -> u32 {
            if depth == 0 {
                return 0;
            }
            wait(async move { nested(depth - 1) }) + 1
        }
        assert_eq!(nested(20), 20);
        let blocking = wait(async { own().spawn_blocking(|| nested(2)).await.unwrap() });
        assert_eq!(blocking, 2);
    }
}
