//! The official client's scan of caches.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};

use crate::{Python, TestEnv};

/// The official client, which scans caches as they are named to it.
#[derive(Debug)]
pub struct Scanner {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Scanner {
    /// Starts it, release 2.4.0.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(env: &TestEnv) -> Self {
        let mut child = env.python(Python::V2_4, "python/scan.py", [""; 0]).start();
        Self {
            input: child.stdin.take().expect("stdin is piped"),
            output: BufReader::new(child.stdout.take().expect("stdout is piped")),
            child,
        }
    }

    /// What the official client says of the cache at `root`: its warnings, the sizes, the partial files, and each repository
    /// with its revisions and their files.
    ///
    /// # Panics
    ///
    /// When the official client cannot scan it.
    #[track_caller]
    pub fn report(&mut self, root: &Path) -> serde_json::Value {
        writeln!(self.input, "{}", root.display()).expect("the official client reads");
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        read.expect("the official client answers");
        serde_json::from_str(&line).expect("the official client scans any cache")
    }

    /// The files of all snapshots of the cache at `root`, as `COMMIT/PATH`.
    ///
    /// # Panics
    ///
    /// When the official client warns of anything, or cannot scan it.
    #[track_caller]
    pub fn scan(&mut self, root: &Path) -> BTreeSet<String> {
        let report = self.report(root);
        assert_eq!(report["warnings"], serde_json::json!([]), "the official client warns");
        let all = |value: &serde_json::Value, key: &str| value[key].as_array().expect("the script gives it").clone();
        let mut names = BTreeSet::new();
        for revision in all(&report, "repos").iter().flat_map(|repo| all(repo, "revisions")) {
            let files = revision["files"].as_object().expect("the script gives the files");
            let commit = revision["commit"].as_str().expect("the script gives the commit");
            names.extend(files.keys().map(|path| format!("{commit}/{path}")));
        }
        names
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
