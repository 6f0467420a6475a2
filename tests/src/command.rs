//! A command of a test and what came out of it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::filter;

/// Longer than any command of a test takes on a busy machine; one that is still running then hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// A command that sees only the variables given to it. Made by [`TestEnv`](crate::TestEnv).
#[derive(Debug)]
#[must_use = "a command does nothing until it is run"]
pub struct Cmd {
    command: Command,
    stdin: Vec<u8>,
    root: PathBuf,
}

impl Cmd {
    pub(crate) fn new(program: &OsStr, root: &Path) -> Self {
        let mut command = Command::new(program);
        command.env_clear();
        Self {
            command,
            stdin: Vec::new(),
            root: root.to_owned(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in this folder.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs as this user and group, and in no other group; only root can do that.
    #[cfg(unix)]
    pub fn user(mut self, user: u32, group: u32) -> Self {
        use std::os::unix::process::CommandExt as _;
        self.command.uid(user).gid(group);
        self
    }

    /// Gives these bytes on standard input, which is empty otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs the command, which must succeed.
    ///
    /// # Panics
    ///
    /// When it does not, with all that it printed.
    #[track_caller]
    pub fn success(self) -> Output {
        let output = self.run();
        assert!(output.code == Some(0), "{} was to succeed\n{output}", output.command);
        output
    }

    /// Runs the command, which must end with this code.
    ///
    /// # Panics
    ///
    /// When it ends otherwise, with all that it printed.
    #[track_caller]
    pub fn failure(self, code: i32) -> Output {
        let output = self.run();
        assert!(
            output.code == Some(code),
            "{} was to end with {code}\n{output}",
            output.command
        );
        output
    }

    /// Starts the command, with its standard input and output to talk to it, for a test that ends it itself. What it
    /// says on standard error is the test's own.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(mut self) -> Child {
        let command = self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
            .spawn()
            .unwrap_or_else(|err| panic!("cannot start {command:?}: {err}"))
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or has not ended after three minutes.
    #[must_use = "say whether the command was to succeed"]
    pub fn run(mut self) -> Output {
        let command = format!("{:?}", self.command);
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("cannot start {command}: {err}"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let bytes = std::mem::take(&mut self.stdin);
        // A command may end without reading what it is given.
        thread::spawn(move || drop(stdin.write_all(&bytes)));
        let stdout = drain(child.stdout.take().expect("stdout is piped"));
        let stderr = drain(child.stderr.take().expect("stderr is piped"));

        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        let status = loop {
            match child.try_wait().expect("a child can be waited for") {
                Some(status) => break status,
                None if start.elapsed() > DEADLINE => {
                    let _ = child.kill();
                    let _ = child.wait();
                    panic!("{command} did not end within {DEADLINE:?}");
                }
                None => thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        Output {
            code: status.code(),
            stdout: stdout.join().expect("the reader does not panic"),
            stderr: stderr.join().expect("the reader does not panic"),
            command,
            root: self.root,
        }
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What a command printed and how it ended. [`Output::snapshot`] and `Display` show all of it, filtered.
#[derive(Debug)]
pub struct Output {
    /// The exit code, or `None` when a signal ended the command.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    command: String,
    root: PathBuf,
}

impl Output {
    /// Exit code, standard output and standard error as one text, without what differs between runs.
    pub fn snapshot(&self) -> String {
        filter(&self.to_string(), &self.root)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code: {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        writeln!(f, "----- stdout -----\n{}", self.stdout)?;
        write!(f, "----- stderr -----\n{}", self.stderr)
    }
}
