//! The one place that runs git.
//!
//! A child gets one argument per value and never a shell, an environment without any `GIT_*` variable that could redirect
//! it, settings through `GIT_CONFIG_COUNT` (which no file of the repository can override, and no process list shows), no
//! way to prompt, and pipes that are read from the start. What it prints is freed of secrets before anyone sees it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hub_types::Token;
use hub_types::env::Env;

use crate::background::Watch;
use crate::pipe::{Kept, PATIENCE, drain};
use crate::redact::redact;
use crate::{Error, Result};

/// The first release that takes configuration from `GIT_CONFIG_COUNT`.
const OLDEST: (u32, u32) = (2, 31);

/// `GIT_*` variables that a child keeps, by their beginnings: how to reach the network, and where git's programs are.
const KEPT: &[&str] = &["GIT_SSL_", "GIT_HTTP_", "GIT_PROXY_", "GIT_EXEC_PATH"];

/// Variables that a child must not see although git does not own them.
const REMOVED: &[&str] = &["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// Git on this machine, found once.
#[derive(Clone)]
pub(crate) struct Git {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Git {
    /// Finds git in `PATH` and checks its version.
    pub(crate) fn locate(env: &Env) -> Result<Self> {
        let git = Self {
            program: find_program(env, "git")?,
            environment: env
                .iter()
                .filter(|(name, _)| is_kept(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        let output = git.run(&Call::new(["version"]))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let found = text.strip_prefix("git version ").unwrap_or(&text);
        match version(found) {
            Some(version) if version >= OLDEST => Ok(git),
            _ => Err(Error::GitTooOld {
                found: found.to_owned(),
                needed: "2.31",
            }),
        }
    }

    /// Checks that git-lfs is there, and warns of a release with known holes.
    pub(crate) fn require_lfs(&self) -> Result<()> {
        let output = self.try_run(&Call::new(["lfs", "version"]))?;
        if output.code != Some(0) {
            return Err(Error::ProgramMissing { program: "git-lfs" });
        }
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let found = text.strip_prefix("git-lfs/").and_then(version);
        // CVE-2024-53263 (3.6.1) and CVE-2025-26625 (3.7.1). Distributions bring the fixes to older releases.
        if found.is_some_and(|version| version < (3, 7)) {
            tracing::warn!(version = %text, "this git-lfs may have known holes; 3.7.1 or later has none of them");
        }
        Ok(())
    }

    /// The `hub` command in `PATH`, if it is ours: another program has that name too.
    pub(crate) fn transfer_program(&self, env: &Env) -> Option<PathBuf> {
        let other = Self {
            program: find_program(env, "hub").ok()?,
            environment: self.environment.clone(),
        };
        let call = Call::new([AGENT, "--help"]).timeout(Some(Duration::from_secs(10)));
        let output = other.try_run(&call).ok()?;
        (output.code == Some(0)).then_some(other.program)
    }

    /// Runs a call that must succeed.
    pub(crate) fn run(&self, call: &Call) -> Result<Output> {
        let output = self.try_run(call)?;
        if output.code == Some(0) {
            return Ok(output);
        }
        Err(Error::Git {
            command: call.name(),
            code: output.code,
            stderr: output.stderr.into(),
        })
    }

    /// Runs a call whose exit code is an answer.
    pub(crate) fn try_run(&self, call: &Call) -> Result<Output> {
        let mut command = self.command(call);
        if call.timeout.is_some() || call.watch.is_some() {
            own_group(&mut command);
        }
        let started = Instant::now();
        let mut spawn = || {
            command.spawn().map_err(|err| {
                io::Error::new(err.kind(), format!("cannot run {}: {err}", self.program.display())).into()
            })
        };
        let mut child = match &call.watch {
            None => spawn()?,
            Some(watch) => watch.begin(&call.name(), spawn)?,
        };
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let bytes = call.stdin.clone();
        // Git may end without reading all of it; that is not an error of its own.
        let writer = thread::spawn(move || drop(stdin.write_all(&bytes)));
        let watched = |copy: fn(&Watch) -> _| call.watch.as_deref().map(copy);
        let stdout = drain(
            child.stdout.take().expect("stdout is piped"),
            Kept::all(),
            watched(Watch::stdout),
        );
        let stderr = drain(
            child.stderr.take().expect("stderr is piped"),
            Kept::ends(),
            watched(Watch::stderr),
        );

        let status = match (call.timeout, &call.watch) {
            (None, None) => child.wait()?,
            (limit, watch) => match wait_until(&mut child, limit.map(|limit| started + limit), watch.as_deref())? {
                Some(status) => status,
                None => {
                    if let Some(watch) = watch {
                        watch.let_go();
                    }
                    end_group(&mut child)?;
                    return Err(Error::TimedOut {
                        command: call.name(),
                        after: limit.unwrap_or_default(),
                    });
                }
            },
        };
        if call.watch.as_ref().is_some_and(|watch| watch.is_killed()) && !status.success() {
            return Err(Error::Killed { command: call.name() });
        }
        let _ = writer.join();
        let deadline = Instant::now() + PATIENCE;
        let (stdout, stderr) = (stdout.finish(deadline)?, stderr.finish(deadline)?);
        let output = Output {
            code: status.code(),
            stdout: stdout.into_bytes(),
            stderr: redact(&String::from_utf8_lossy(&stderr.into_bytes()), call.secret.as_ref()),
        };
        tracing::debug!(command = %call.name(), code = ?output.code, elapsed = ?started.elapsed(), "git ended");
        Ok(output)
    }

    fn command(&self, call: &Call) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // Messages are read nowhere but in error mapping, and there in English.
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            // Set but empty: silences core.askPass and SSH_ASKPASS too.
            .env("GIT_ASKPASS", "")
            .env("GIT_EDITOR", ":")
            .env("GIT_PAGER", "cat")
            .env("GIT_CONFIG_COUNT", call.config.len().to_string())
            .envs(call.variables.iter().map(|(name, value)| (name, value)));
        for (index, (key, value)) in call.config.iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{index}"), key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        if let Some(dir) = &call.dir {
            command.current_dir(dir);
        }
        command
            .args(&call.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// The command of `hub` that git-lfs runs.
pub(crate) const AGENT: &str = "lfs-multipart-upload";

/// One run of git: arguments, settings, and what it may know.
#[derive(Clone, Default)]
pub(crate) struct Call {
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    config: Vec<(String, OsString)>,
    variables: Vec<(&'static str, OsString)>,
    stdin: Vec<u8>,
    secret: Option<Token>,
    timeout: Option<Duration>,
    watch: Option<Arc<Watch>>,
}

impl Call {
    pub(crate) fn new<S: Into<OsString>>(args: impl IntoIterator<Item = S>) -> Self {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// A setting that wins over every file.
    pub(crate) fn config(mut self, key: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.config.push((key.into(), value.into()));
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// A token that must not show in anything that git prints.
    pub(crate) fn secret(mut self, token: &Token) -> Self {
        self.secret = Some(token.clone());
        self
    }

    pub(crate) fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets others see and end this run while it goes on.
    pub(crate) fn watch(mut self, watch: Option<&Arc<Watch>>) -> Self {
        self.watch = watch.cloned();
        self
    }

    /// The git command for a message: `push`, `lfs push`.
    fn name(&self) -> String {
        let words = self.args.iter().map(|arg| arg.to_string_lossy());
        let count = if self.args.first().is_some_and(|arg| arg == "lfs") {
            2
        } else {
            1
        };
        words.take(count).collect::<Vec<_>>().join(" ")
    }
}

/// How a run ended.
pub(crate) struct Output {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    /// Freed of secrets, and of its middle when it is very long.
    pub(crate) stderr: String,
}

impl Output {
    /// Standard output as text, without the line break at its end.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout)
            .trim_end_matches(['\r', '\n'])
            .to_owned()
    }
}

fn is_kept(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return true;
    };
    !REMOVED.contains(&name) && (!name.starts_with("GIT_") || KEPT.iter().any(|kept| name.starts_with(kept)))
}

/// The absolute path of a program. A relative folder in `PATH` is passed over: what it names depends on who looks.
fn find_program(env: &Env, program: &'static str) -> Result<PathBuf> {
    let path = env.iter().find(|(name, _)| name.eq_ignore_ascii_case("PATH"));
    let folders = path.map(|(_, value)| std::env::split_paths(value));
    folders
        .into_iter()
        .flatten()
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
        .find(|candidate| is_executable(candidate))
        .ok_or(Error::ProgramMissing { program })
}

fn is_executable(path: &Path) -> bool {
    let Ok(metadata) = fs_err::metadata(path) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    {
        metadata.is_file()
    }
}

/// The first two numbers of `2.47.3` or `3.3.0 (GitHub; …)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Makes the child the head of a process group, so that what it starts can be ended with it. Only where there is a
/// time-out: a child in a group of its own does not get the terminal's Ctrl-C.
fn own_group(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    #[cfg(not(unix))]
    let _ = command;
}

fn end_group(child: &mut Child) -> io::Result<()> {
    kill_group(child.id());
    let _ = child.kill();
    child.wait().map(drop)
}

/// Ends a child that has a group of its own and is not collected yet, and all that it started.
pub(crate) fn kill_group(id: u32) {
    #[cfg(unix)]
    {
        let group = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // Fails only when all of it has ended.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
    #[cfg(not(unix))]
    let _ = id;
}

/// Waits for the child; `None` when the deadline has come.
fn wait_until(child: &mut Child, deadline: Option<Instant>, watch: Option<&Watch>) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(1);
    loop {
        let ended = match watch {
            Some(watch) => watch.collect(child)?,
            None => child.try_wait()?,
        };
        if ended.is_some() {
            return Ok(ended);
        }
        let left = deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return Ok(None);
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_variables_of_the_caller_do_not_pass() {
        let env = Env::process()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(
                [
                    ("GIT_DIR", "/nowhere"),
                    ("GIT_CONFIG_COUNT", "x"),
                    ("HF_TOKEN", "hf_planted0123456789"),
                ]
                .map(|(name, value)| (name.into(), value.into())),
            )
            .collect::<Vec<(OsString, OsString)>>();
        let git = Git::locate(&Env::from_pairs(env)).unwrap();
        let output = git
            .run(&Call::new(["config", "--get", "user.name"]).config("user.name", "Ada L."))
            .unwrap();
        assert_eq!(output.text(), "Ada L.");
        let names: Vec<_> = git.environment.iter().map(|(name, _)| name.as_os_str()).collect();
        assert!(!names.contains(&OsStr::new("GIT_DIR")) && !names.contains(&OsStr::new("HF_TOKEN")));
    }

    #[test]
    fn a_relative_folder_is_not_searched() {
        let err = find_program(&Env::from_pairs([("PATH", ".:bin")]), "git").unwrap_err();
        assert_eq!(err.to_string(), "cannot find the program 'git'");
    }

    /// A stand-in for git that runs a script.
    #[cfg(unix)]
    fn fake(dir: &Path, script: &str) -> Env {
        use std::os::unix::fs::PermissionsExt;
        let program = dir.join("git");
        let text = format!("#!/bin/sh\nif [ \"$1\" = version ]; then echo git version 2.40.0; exit; fi\n{script}\n");
        fs_err::write(&program, text).unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Env::from_pairs([("PATH", format!("{}:/usr/bin:/bin", dir.display()))])
    }

    #[cfg(unix)]
    #[test]
    fn a_flood_of_talk_is_read_and_cut() {
        let dir = tempfile::tempdir().unwrap();
        let script = "i=0; while [ $i -lt 6000 ]; do echo 'a line of some forty characters, again and again' >&2; i=$((i+1)); done; echo fatal: last >&2; exit 1";
        let git = Git::locate(&fake(dir.path(), script)).unwrap();
        let err = git.run(&Call::new(["status"])).err().unwrap();
        let Error::Git { stderr, code, .. } = err else {
            panic!("{err}");
        };
        assert_eq!(code, Some(1));
        assert!(stderr.len() < 140_000 && stderr.contains(" bytes left out]") && stderr.ends_with("fatal: last\n"));
    }

    #[cfg(unix)]
    #[test]
    fn a_time_out_ends_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let marker = dir.path().join("pid");
        // The grandchild holds the pipes: reading them to the end would wait for it.
        let script = format!("sleep 600 & echo $! >{}; wait", marker.display());
        let git = Git::locate(&fake(dir.path(), &script)).unwrap();
        let err = git
            .run(&Call::new(["fetch"]).timeout(Some(Duration::from_millis(300))))
            .err()
            .unwrap();
        assert_eq!(err.to_string(), "git fetch did not end within 300ms");
        let pid: i32 = fs_err::read_to_string(&marker).unwrap().trim().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while rustix::process::test_kill_process(pid).is_ok() && !is_zombie(pid) {
            assert!(Instant::now() < deadline, "the grandchild still runs");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nobody may be there to collect it: it has ended all the same.
    #[cfg(unix)]
    fn is_zombie(pid: rustix::process::Pid) -> bool {
        let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
        fs_err::read_to_string(stat).is_ok_and(|text| text.contains(") Z "))
    }

    #[cfg(unix)]
    #[test]
    fn a_daemon_that_holds_the_pipes_does_not_hold_us() {
        let dir = tempfile::tempdir().unwrap();
        let marker = dir.path().join("pid");
        let script = format!("echo said; sleep 600 & echo $! >{}", marker.display());
        let git = Git::locate(&fake(dir.path(), &script)).unwrap();
        let output = git.run(&Call::new(["credential", "approve"])).unwrap();
        assert_eq!(output.text(), "said");
        let pid: i32 = fs_err::read_to_string(&marker).unwrap().trim().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn another_program_of_the_name_hub_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let env = fake(dir.path(), "");
        let git = Git::locate(&env).unwrap();
        assert_eq!(git.transfer_program(&env), None);
        let hub = dir.path().join("hub");
        for (script, expected) in [
            ("[ \"$1\" = lfs-multipart-upload ]", Some(hub.clone())),
            ("echo no such command >&2; exit 1", None),
        ] {
            fs_err::copy(dir.path().join("git"), &hub).unwrap();
            fs_err::write(&hub, format!("#!/bin/sh\n{script}\n")).unwrap();
            assert_eq!(git.transfer_program(&env), expected, "{script}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_old_git_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let env = fake(dir.path(), "");
        let program = dir.path().join("git");
        let text = fs_err::read_to_string(&program).unwrap().replace("2.40.0", "2.30.2");
        fs_err::write(&program, text).unwrap();
        let err = Git::locate(&env).err().unwrap();
        assert_eq!(err.to_string(), "git 2.30.2 is too old, 2.31 or later is needed");
    }
}
