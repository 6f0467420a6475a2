//! One command: how long it took, the processor time of it, and the most memory that it held. And a few of them, in turn.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// What one run of a command took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) wall: Duration,
    /// Of the processor, by the command and by the system for it: what else the machine does hardly changes it.
    pub(super) processor: Duration,
    /// In KiB.
    pub(super) memory: u64,
}

impl Measured {
    /// The median times, and the largest memory: a peak is what it is.
    pub(super) fn median(runs: &[Self]) -> Self {
        let median = |time: fn(&Self) -> Duration| {
            let mut times: Vec<Duration> = runs.iter().map(time).collect();
            times.sort();
            times[times.len() / 2]
        };
        Self {
            wall: median(|run| run.wall),
            processor: median(|run| run.processor),
            memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
        }
    }

    pub(super) fn time(&self) -> String {
        shown(self.wall)
    }

    pub(super) fn processor(&self) -> String {
        shown(self.processor)
    }

    pub(super) fn peak(&self) -> String {
        format!("{:.0} MiB", self.memory as f64 / 1024.0)
    }
}

fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.2} s")
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

/// Takes memory and gives it back. The host of a virtual machine takes back what is free; whichever tool then comes first
/// would pay for getting it again, several times as much as for the download itself.
pub(super) fn touch_memory(wanted: u64) -> Result<()> {
    let free = fs_err::read_to_string("/proc/meminfo")?;
    let free = free.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free: u64 = free
        .context("the system tells how much memory is free")?
        .trim_end_matches("kB")
        .trim()
        .parse()?;
    let size = wanted.min(free * 1024 / 2) as usize;
    let mut memory: Vec<u8> = Vec::with_capacity(size);
    for page in memory.spare_capacity_mut().chunks_mut(4096) {
        page[0].write(1);
    }
    std::hint::black_box(memory.as_ptr());
    Ok(())
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
        let report = self.dir.join("used");
        let mut command = Command::new(&self.time);
        command
            .args(["--format", "%M %U %S", "--output"])
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
        let report = fs_err::read_to_string(&report)?;
        let numbers: Vec<f64> = report.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [memory, user, system] = numbers[..] else {
            bail!("GNU time printed '{}', not three numbers", report.trim());
        };
        Ok(Measured {
            wall,
            processor: Duration::from_secs_f64(user + system),
            memory: memory as u64,
        })
    }
}
