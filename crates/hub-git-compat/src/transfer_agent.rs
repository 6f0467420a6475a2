//! The custom transfer agent: what git-lfs runs to send files above 5 GB in parts.
//!
//! One JSON object a line, in both directions, one file after the other. A file that fails is that file's error; the
//! process goes on. Source: the custom transfer protocol of Git LFS, and the Hub's rules for parts.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hub_types::Sha256;
use hub_types::env::Env;
use hub_types::lfs::LfsAction;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::git::{Call, Git};
use crate::remote::Sender;
use crate::repository::agent_settings;
use crate::{Error, Result};

/// How many bytes go by between two messages about them.
const STEP: u64 = 1 << 20;

/// The code of a refused beginning, which the protocol leaves to us.
const NOT_AN_UPLOAD: u32 = 32;
/// The code of a file that was not sent.
const NOT_SENT: u32 = 2;

/// Answers git-lfs until it says that it is done or closes the pipe: what `hub lfs-multipart-upload` does.
///
/// Parts are sent as the client of this environment is set, without a token: their addresses are signed.
///
/// # Errors
///
/// [`Error::Io`] when git-lfs cannot be talked to, and when it begins with something other than an upload. A file that
/// cannot be sent is told to git-lfs and is no error here.
pub fn run_transfer_agent(env: &Env, input: impl BufRead, output: impl Write + Send + 'static) -> Result<()> {
    let sender = Sender::new(env)?;
    serve(input, output, |upload, progress| sender.send(upload, progress))
}

/// Sets the clone in this folder up for files above 5 GB, by writing into its configuration: `program`, a `hub` command,
/// sends them in parts. What `hub lfs-enable-largefiles` does.
///
/// # Errors
///
/// [`Error::NotARepository`] when the folder is in none.
pub fn enable_large_files(env: &Env, dir: &Path, program: &Path) -> Result<()> {
    let git = Git::locate(env)?;
    if git.try_run(&Call::new(["rev-parse", "--git-dir"]).dir(dir))?.code != Some(0) {
        return Err(Error::NotARepository { dir: dir.to_owned() });
    }
    for (key, value) in agent_settings(program) {
        let call = Call::new(["config", "--local", "--replace-all", "--end-of-options", key]);
        git.run(&call.arg(value).dir(dir))?;
    }
    Ok(())
}

/// A line of git-lfs.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Message {
    Init {
        operation: String,
    },
    Upload {
        oid: String,
        size: u64,
        path: PathBuf,
        action: Option<LfsAction>,
    },
    Download {
        oid: String,
    },
    Terminate,
}

/// One file to send.
pub(crate) struct Upload {
    pub(crate) oid: Sha256,
    pub(crate) path: PathBuf,
    pub(crate) action: LfsAction,
}

fn serve<W: Write + Send + 'static>(
    input: impl BufRead,
    output: W,
    send: impl Fn(Upload, Arc<Report<W>>) -> Result<(), String>,
) -> Result<()> {
    let output = Arc::new(Mutex::new(output));
    for line in input.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(&line) {
            Ok(Message::Init { operation }) if operation == "upload" => say(&output, &json!({}))?,
            Ok(Message::Init { operation }) => {
                let message = format!("this agent uploads only, and was asked for '{operation}'");
                say(
                    &output,
                    &json!({ "error": { "code": NOT_AN_UPLOAD, "message": message } }),
                )?;
                return Err(io::Error::other(message).into());
            }
            Ok(Message::Upload {
                oid,
                size,
                path,
                action,
            }) => {
                let sent = upload(&output, &oid, size, path, action, &send);
                complete(&output, &oid, sent)?;
            }
            Ok(Message::Download { oid }) => complete(&output, &oid, Err("this agent uploads only".to_owned()))?,
            Ok(Message::Terminate) => return Ok(()),
            // Without an id there is nobody to answer; git-lfs shows what stands on the standard error.
            Err(err) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line of git-lfs: {err}")).into());
            }
        }
    }
    // git-lfs has gone without a word.
    Ok(())
}

fn upload<W: Write + Send + 'static>(
    output: &Arc<Mutex<W>>,
    oid: &str,
    size: u64,
    path: PathBuf,
    action: Option<LfsAction>,
    send: &impl Fn(Upload, Arc<Report<W>>) -> Result<(), String>,
) -> Result<(), String> {
    let action = action.ok_or("git-lfs names no address to send it to")?;
    let sha256: Sha256 = oid.parse().map_err(|_| format!("'{oid}' is no SHA-256"))?;
    let there = fs_err::metadata(&path).map_err(|err| err.to_string())?.len();
    if there != size {
        return Err(format!("{} has {there} bytes, not {size}", path.display()));
    }
    let report = Arc::new(Report {
        output: Arc::clone(output),
        oid: oid.to_owned(),
        size,
        counts: Mutex::default(),
    });
    report.begin();
    let upload = Upload {
        oid: sha256,
        path,
        action,
    };
    send(upload, Arc::clone(&report))?;
    report.end();
    Ok(())
}

fn complete(output: &Mutex<impl Write>, oid: &str, sent: Result<(), String>) -> io::Result<()> {
    let mut message = json!({ "event": "complete", "oid": oid });
    if let Err(err) = sent {
        message["error"] = json!({ "code": NOT_SENT, "message": crate::redact::redact(&err, None) });
    }
    say(output, &message)
}

fn say(output: &Mutex<impl Write>, message: &Value) -> io::Result<()> {
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(output, "{message}")?;
    output.flush()
}

/// Tells git-lfs how far one file is. What it is told never goes back: a part that is sent again was counted once.
pub(crate) struct Report<W> {
    output: Arc<Mutex<W>>,
    oid: String,
    size: u64,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    sent: u64,
    told: u64,
}

impl<W: Write> Report<W> {
    /// At once, so that git-lfs lets its other workers begin.
    fn begin(&self) {
        self.counts().told = 1.min(self.size);
        self.tell(1.min(self.size), 0);
    }

    /// `bytes` more have gone.
    pub(crate) fn advance(&self, bytes: u64) {
        let mut counts = self.counts();
        counts.sent += bytes;
        let so_far = counts.sent.min(self.size);
        if so_far >= counts.told + STEP {
            self.tell(so_far, so_far - counts.told);
            counts.told = so_far;
        }
    }

    /// `bytes` are to go once more.
    pub(crate) fn take_back(&self, bytes: u64) {
        let mut counts = self.counts();
        counts.sent = counts.sent.saturating_sub(bytes);
    }

    fn end(&self) {
        let mut counts = self.counts();
        self.tell(self.size, self.size - counts.told);
        counts.told = self.size;
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, so_far: u64, since_last: u64) {
        let message = json!({
            "event": "progress",
            "oid": self.oid,
            "bytesSoFar": so_far,
            "bytesSinceLast": since_last,
        });
        // When git-lfs is gone, the next answer to it fails.
        let _ = say(&self.output, &message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the agent answers to these lines, when sending goes as `send` says.
    fn answers(
        lines: &[Value],
        send: impl Fn(&Upload, &Report<Shared>) -> Result<(), String>,
    ) -> (Vec<Value>, Result<()>) {
        let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let output = Shared::default();
        let result = serve(input.as_bytes(), output.clone(), |upload, report| {
            send(&upload, &report)
        });
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        (
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            result,
        )
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn init(operation: &str) -> Value {
        json!({"event": "init", "operation": operation, "remote": "origin", "concurrent": false, "concurrenttransfers": 1})
    }

    fn file(bytes: usize) -> (tempfile::NamedTempFile, Value) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), vec![b'x'; bytes]).unwrap();
        let line = json!({
            "event": "upload",
            "oid": Sha256::of(b"x").to_string(),
            "size": bytes,
            "path": file.path(),
            "action": {"href": "https://hub.example/complete", "header": {"chunk_size": "5", "1": "https://store.example/1"}},
        });
        (file, line)
    }

    #[test]
    fn a_file_is_sent_with_progress_up_to_its_size() {
        let (_file, line) = file(3 << 20);
        let (said, result) = answers(
            &[init("upload"), line, json!({"event": "terminate"})],
            |upload, report| {
                assert_eq!(upload.action.header.0["1"], "https://store.example/1");
                for _ in 0..4 {
                    report.advance(1 << 20);
                }
                report.take_back(1 << 20);
                Ok(())
            },
        );
        result.unwrap();
        assert_eq!(said[0], json!({}));
        let progress: Vec<_> = said[1..said.len() - 1]
            .iter()
            .map(|line| {
                (
                    line["bytesSoFar"].as_u64().unwrap(),
                    line["bytesSinceLast"].as_u64().unwrap(),
                )
            })
            .collect();
        assert_eq!(progress[0], (1, 0));
        assert_eq!(progress.last().unwrap().0, 3 << 20);
        assert!(
            progress.windows(2).all(|pair| pair[0].0 + pair[1].1 == pair[1].0),
            "{progress:?}"
        );
        let last = said.last().unwrap();
        assert_eq!((&last["event"], last.get("error")), (&json!("complete"), None));
    }

    #[test]
    fn a_failure_is_that_files_alone() {
        let (_one, first) = file(5);
        let (_two, mut second) = file(6);
        let (_three, mut third) = file(7);
        second["size"] = json!(60);
        third["action"] = Value::Null;
        let (_four, fourth) = file(8);
        let (said, result) =
            answers(
                &[init("upload"), first, second, third, fourth],
                |upload, _| match fs_err::metadata(&upload.path).unwrap().len() {
                    5 => Err("https://store.example said no to hf_abcdefghijkl".to_owned()),
                    _ => Ok(()),
                },
            );
        // The pipe was closed without `terminate`.
        result.unwrap();
        let ends: Vec<_> = said.iter().filter(|line| line["event"] == "complete").collect();
        assert_eq!(ends.len(), 4);
        assert_eq!(
            ends[0]["error"],
            json!({"code": 2, "message": "https://store.example said no to ***"})
        );
        assert!(
            ends[1]["error"]["message"]
                .as_str()
                .unwrap()
                .ends_with("has 6 bytes, not 60")
        );
        assert_eq!(ends[2]["error"]["message"], "git-lfs names no address to send it to");
        assert!(ends[3].get("error").is_none());
    }

    #[test]
    fn only_uploads_are_taken() {
        let (said, result) = answers(&[init("download")], |_, _| Ok(()));
        assert_eq!(said[0]["error"]["code"], 32);
        assert!(result.is_err());
        let (said, result) = answers(&[json!("nonsense")], |_, _| Ok(()));
        assert!(said.is_empty() && result.is_err());
    }
}
