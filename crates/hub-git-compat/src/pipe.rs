//! Pipes that are read from the start, whether or not anyone wants to know what comes out of them.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long the pipes may stay open behind a git that has ended: a helper may have left a daemon that holds them.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A pipe that a thread reads from the start.
pub(crate) struct Drained {
    kept: Arc<Mutex<Kept>>,
    ended: Receiver<io::Result<()>>,
}

pub(crate) fn drain(mut pipe: impl Read + Send + 'static, kept: Kept, copy: Option<Arc<Mutex<Kept>>>) -> Drained {
    let kept = Arc::new(Mutex::new(kept));
    let shared = Arc::clone(&kept);
    let (send, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut buf = vec![0; 16 * 1024];
        let result = loop {
            match pipe.read(&mut buf) {
                Ok(0) => break Ok(()),
                Ok(length) => {
                    for kept in [Some(&shared), copy.as_ref()].into_iter().flatten() {
                        kept.lock().expect("no reader panics").push(&buf[..length]);
                    }
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => break Err(err),
            }
        };
        // Nobody listens any more when git timed out.
        let _ = send.send(result);
    });
    Drained { kept, ended }
}

impl Drained {
    /// All that was read, once the other side has closed the pipe or has had time to.
    pub(crate) fn finish(self, deadline: Instant) -> io::Result<Kept> {
        if let Ok(result) = self
            .ended
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            result?;
        }
        let mut kept = self.kept.lock().expect("no reader panics");
        Ok(std::mem::replace(&mut *kept, Kept::all()))
    }
}

/// Bytes of which, past a bound, only the beginning and the end are kept.
#[derive(Clone)]
pub(crate) struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
    bound: usize,
}

impl Kept {
    pub(crate) fn all() -> Self {
        Self::bounded(usize::MAX)
    }

    pub(crate) fn ends() -> Self {
        Self::bounded(64 * 1024)
    }

    fn bounded(bound: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            dropped: 0,
            bound,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(self.bound - self.head.len());
        self.head.extend_from_slice(&bytes[..fits]);
        self.tail.extend(&bytes[fits..]);
        let excess = self.tail.len().saturating_sub(self.bound);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes left out]\n", self.dropped).as_bytes());
        }
        bytes.extend(self.tail);
        bytes
    }
}
