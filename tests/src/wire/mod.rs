//! Recorded calls of the official Python client, replayed through the library.
//!
//! A vector holds a call, the requests that the official client made for it, and the replies it was given. [`run`] gives
//! our library the same call and the same replies, and compares what it sends. The comparison is as loose as HTTP
//! allows and no looser; see `compare`.

mod calls;
mod compare;
mod server;
mod vector;

use std::fmt;
use std::io::BufRead;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

pub use vector::Vector;

use calls::{Call, Called, Outcome};
use server::Replies;

/// How long one call may take: they all talk to this process.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a vector fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// We send what the official client sends. With fewer requests, those that were not needed.
    Matched {
        /// Recorded requests that we do without.
        spared: Vec<String>,
    },
    /// We do not; each line tells one difference.
    Mismatched(Vec<String>),
    /// There is no operation of this name.
    Unknown,
}

/// What became of a file of vectors.
#[derive(Debug, Default)]
pub struct Report {
    verdicts: Vec<(String, Verdict)>,
}

impl Report {
    /// How many vectors matched.
    pub fn matched(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Matched { .. }))
    }

    /// How many did not.
    pub fn mismatched(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Mismatched(_)))
    }

    /// How many name an operation that there is not.
    pub fn unknown(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Unknown))
    }

    fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.verdicts.iter().filter(|(_, verdict)| is(verdict)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, verdict) in &self.verdicts {
            match verdict {
                Verdict::Matched { spared } if spared.is_empty() => {}
                Verdict::Matched { spared } => {
                    writeln!(f, "{id}: matched with fewer requests, without {}", spared.join(", "))?
                }
                Verdict::Mismatched(differences) => {
                    for difference in differences {
                        writeln!(f, "{id}: MISMATCH: {difference}")?;
                    }
                }
                Verdict::Unknown => writeln!(f, "{id}: unknown")?,
            }
        }
        let (matched, mismatched, unknown) = (self.matched(), self.mismatched(), self.unknown());
        write!(f, "{matched} matched, {mismatched} mismatched, {unknown} unknown")
    }
}

/// The names of all operations that can be replayed.
pub fn operations() -> Vec<&'static str> {
    calls::names()
}

/// Reads a file of vectors, one JSON object a line.
///
/// # Errors
///
/// When it cannot be read; the error names the line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Vector>> {
    let mut vectors = Vec::new();
    for (number, line) in std::io::BufReader::new(fs_err::File::open(path)?).lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            let vector = serde_json::from_str(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
            vectors.push(vector);
        }
    }
    Ok(vectors)
}

/// Replays all vectors of a file, one after another, with one cache, as they were recorded: a file that one call brought
/// is there for the next.
///
/// # Errors
///
/// When the file cannot be read or no server can be started. What a call does wrong is in the report.
pub fn run(path: &Path) -> anyhow::Result<Report> {
    let vectors = read(path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let home = tempfile::tempdir()?;
    let mut report = Report::default();
    for vector in vectors {
        let id = vector.id.clone();
        let verdict = runtime.block_on(replay_in(vector, home.path()))?;
        report.verdicts.push((id, verdict));
    }
    Ok(report)
}

/// Replays one vector, with an empty cache.
///
/// # Errors
///
/// When no server can be started or no folder made.
pub async fn replay(vector: Vector) -> anyhow::Result<Verdict> {
    let home = tempfile::tempdir()?;
    replay_in(vector, home.path()).await
}

async fn replay_in(vector: Vector, home: &Path) -> anyhow::Result<Verdict> {
    let Some(call) = Call::of(&vector) else {
        return Ok(Verdict::Unknown);
    };
    let replies = Replies::start(&vector).await;
    let called = tokio::time::timeout(PATIENCE, call.make(&vector, replies.url(), home)).await;
    let outcome = match called {
        Err(_) => {
            return Ok(Verdict::Mismatched(vec![format!(
                "the call did not end in {PATIENCE:?}"
            )]));
        }
        Ok(Err(err)) => return Err(err),
        Ok(Ok(outcome)) => outcome,
    };
    let outcome = match outcome {
        Called::Ended(outcome) => outcome,
        // What cannot be right is refused as data already.
        Called::NotAccepted(problem) if !problem.contains("unknown field") && vector.exchanges.is_empty() => {
            Outcome::refused(problem)
        }
        Called::NotAccepted(problem) => {
            let difference = format!("its arguments are not accepted: {problem}");
            return Ok(Verdict::Mismatched(vec![difference]));
        }
    };
    Ok(compare::verdict(&vector, &replies.asked(), &outcome))
}
