//! One command: how long it took, and the most memory that it held. And a few of them, in turn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// What one run of a command took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) wall: Duration,
    /// In KiB.
    pub(super) memory: u64,
}

impl Measured {
    /// The median time, and the largest memory: a peak is what it is.
    pub(super) fn median(runs: &[Self]) -> Self {
        let mut walls: Vec<Duration> = runs.iter().map(|run| run.wall).collect();
        walls.sort();
        Self {
            wall: walls[walls.len() / 2],
            memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
        }
    }

    pub(super) fn time(&self) -> String {
        let wall = self.wall.as_secs_f64();
        if wall < 1.0 {
            format!("{:.1} ms", wall * 1000.0)
        } else {
            format!("{wall:.2} s")
        }
    }

    pub(super) fn peak(&self) -> String {
        format!("{:.0} MiB", self.memory as f64 / 1024.0)
    }
}

/// A command to measure, in an environment of its own.
pub(super) struct Run<'a> {
    pub(super) program: &'a Path,
    pub(super) args: Vec<String>,
    pub(super) variables: Vec<(&'static str, String)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(program: &'a Path, args: &[&str]) -> Self {
        Self {
            program,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            variables: Vec::new(),
        }
    }

    pub(super) fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((variable, value.into()));
        self
    }
}

/// GNU time, and a folder for what it writes.
pub(super) struct Stopwatch {
    pub(super) time: PathBuf,
    pub(super) dir: PathBuf,
}

impl Stopwatch {
    /// Runs a command, which must succeed.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<Measured> {
        // What an earlier run has left to write must not count for this one.
        Command::new("sync").status().context("cannot run sync")?;
        let report = self.dir.join("memory");
        let mut command = Command::new(&self.time);
        command
            .args(["--format", "%M", "--output"])
            .arg(&report)
            .arg(run.program)
            .args(&run.args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.dir)
            .env("HF_HUB_DISABLE_TELEMETRY", "1")
            .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
            .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
            .envs(run.variables.iter().map(|(name, value)| (name, value)));
        let start = Instant::now();
        let output = command
            .output()
            .with_context(|| format!("cannot run {}", run.program.display()))?;
        let wall = start.elapsed();
        ensure!(
            output.status.success(),
            "{} {} failed: {}{}",
            run.program.display(),
            run.args.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let memory = fs_err::read_to_string(&report)?;
        Ok(Measured {
            wall,
            memory: memory.trim().parse().context("GNU time printed no number")?,
        })
    }
}
