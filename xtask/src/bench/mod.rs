//! `cargo xtask bench`: the release binary against the official client, on a Hub of this machine, medians of a few runs.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, TempDir, cmd};

use crate::setup::{self, PYTHONS};

/// Runs of `hub version`, and of each transfer.
const QUICK_RUNS: usize = 30;
const TRANSFER_RUNS: usize = 3;

/// Size of the transferred file, in MiB, unless another is given.
pub(crate) const SIZE: u64 = 2048;

pub(crate) fn run(sh: &Shell, size: u64) -> Result<()> {
    let time = setup::gnu_time(sh)?;
    let python = &PYTHONS[0];
    setup::virtual_environment(sh, python)?;
    let hf = setup::interpreter(sh, python)?.with_file_name("hf");
    cmd!(sh, "cargo build --locked --release --package hub-cli").run()?;
    let hub = setup::target_dir(sh)?.join("release").join("hub");
    let binary = hub.metadata()?.len();
    println!("hub: {:.1} MB, built for release without Xet", binary as f64 / 1e6);

    let bench = Bench {
        dir: sh.create_temp_dir()?,
        time,
        size,
    };
    let ours = bench.quick(&hub, &["version"])?;
    println!("hub version: {ours}");
    let theirs = bench.quick(&hf, &["version"])?;
    println!("hf version:  {theirs}");

    let server = bench.serve(&hub)?;
    let tools = [("hub", &hub), ("hf", &hf)];
    for (kind, transfer) in [("upload", Bench::upload as Transfer), ("download", Bench::download)] {
        let mut rates = Vec::new();
        for (name, program) in tools {
            let mut runs = Vec::new();
            for number in 0..TRANSFER_RUNS {
                runs.push(transfer(&bench, &server, name, program, number)?);
            }
            let measured = Measured::median(runs);
            let rate = size as f64 * 1.048_576 / measured.wall.as_secs_f64();
            println!("{name} {kind} of {size} MiB: {measured}, {rate:.0} MB/s");
            rates.push(rate);
        }
        println!("{kind}: hub has {:.1} times the throughput of hf", rates[0] / rates[1]);
    }
    Ok(())
}

/// Size of the large file that the git way and the HTTP way are measured with, in MiB.
pub(crate) const REPOSITORY_SIZE: u64 = 256;

/// The same job through `Repository` and through `HfApi`, in a network of its own, so that its bytes can be counted.
pub(crate) fn repository(sh: &Shell, size: u64) -> Result<()> {
    cmd!(
        sh,
        "cargo build --locked --release --package hub-tests --bin repository"
    )
    .run()?;
    let program = setup::target_dir(sh)?.join("release").join("repository");
    let size = size.to_string();
    let script = "ip link set lo up && exec \"$0\" \"$1\"";
    cmd!(sh, "unshare --net --map-root-user sh -c {script} {program} {size}").run()?;
    Ok(())
}

type Transfer = fn(&Bench, &Server, &str, &Path, usize) -> Result<Measured>;

/// Where it all happens, and GNU time to measure memory with.
struct Bench {
    dir: TempDir,
    time: PathBuf,
    /// In MiB.
    size: u64,
}

/// How long one command took, and the most memory that it held.
#[derive(Clone, Copy)]
struct Measured {
    wall: Duration,
    /// In KiB.
    memory: u64,
}

impl Measured {
    /// The median time, and the largest memory: a peak is what it is.
    fn median(mut runs: Vec<Self>) -> Self {
        runs.sort_by_key(|run| run.wall);
        Self {
            wall: runs[runs.len() / 2].wall,
            memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wall = self.wall.as_secs_f64();
        let memory = self.memory as f64 / 1024.0;
        if wall < 1.0 {
            write!(f, "{:.1} ms, {memory:.1} MiB", wall * 1000.0)
        } else {
            write!(f, "{wall:.2} s, {memory:.1} MiB")
        }
    }
}

impl Bench {
    fn quick(&self, program: &Path, args: &[&str]) -> Result<Measured> {
        let mut runs = Vec::new();
        for _ in 0..QUICK_RUNS {
            runs.push(self.measure(program, args, &[])?);
        }
        Ok(Measured::median(runs))
    }

    /// Runs a command that must succeed, in an environment of its own.
    fn measure(&self, program: &Path, args: &[&str], variables: &[(&str, &str)]) -> Result<Measured> {
        let report = self.dir.path().join("memory");
        let mut command = Command::new(&self.time);
        command
            .args(["--format", "%M", "--output"])
            .arg(&report)
            .arg(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("HF_HUB_DISABLE_XET", "1")
            .env("HF_HUB_DISABLE_TELEMETRY", "1")
            .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
            .envs(variables.iter().copied());
        let start = Instant::now();
        let output = command
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let wall = start.elapsed();
        ensure!(
            output.status.success(),
            "{} {} failed: {}",
            program.display(),
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        let memory = Shell::new()?.read_file(&report)?;
        Ok(Measured {
            wall,
            memory: memory.trim().parse().context("GNU time printed no number")?,
        })
    }

    /// Starts the Hub that both clients talk to.
    fn serve(&self, hub: &Path) -> Result<Server> {
        let mut child = Command::new(hub)
            .args(["serve", "--json", "--port", "0", "--root"])
            .arg(self.dir.path().join("hub"))
            .env("HOME", self.dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start hub serve")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        let read = BufReader::new(stdout).read_line(&mut line);
        // From here on the child ends with the value.
        let mut server = Server {
            child,
            url: String::new(),
            token: String::new(),
        };
        read?;
        let ready: serde_json::Value = serde_json::from_str(&line).context("hub serve did not say that it is ready")?;
        let field = |name: &str| ready[name].as_str().map(str::to_owned);
        server.url = field("url").context("hub serve named no url")?;
        server.token = field("token").context("hub serve named no token")?;
        Ok(server)
    }

    fn upload(&self, server: &Server, name: &str, program: &Path, number: usize) -> Result<Measured> {
        let file = self.dir.path().join("large.bin");
        // Other bytes in each run: a Hub that has them would ask for none.
        noise(&file, self.size, seed(name, number))?;
        let path = file.to_str().context("the temporary folder's name is text")?;
        let repo = repo(name, number);
        let home = self.home(name, number)?;
        self.measure(
            program,
            &["upload", &repo, path, "large.bin", "--quiet"],
            &[
                ("HF_ENDPOINT", &server.url),
                ("HF_TOKEN", &server.token),
                ("HF_HOME", &home),
            ],
        )
    }

    /// Downloads what `upload` has put there, into an empty cache.
    fn download(&self, server: &Server, name: &str, program: &Path, number: usize) -> Result<Measured> {
        let repo = repo(name, number);
        let home = self.home(name, number)?;
        let measured = self.measure(
            program,
            &["download", &repo, "large.bin", "--quiet"],
            &[
                ("HF_ENDPOINT", &server.url),
                ("HF_TOKEN", &server.token),
                ("HF_HOME", &home),
            ],
        );
        Shell::new()?.remove_path(&home)?;
        measured
    }

    fn home(&self, name: &str, number: usize) -> Result<String> {
        let home = self.dir.path().join(format!("home-{name}-{number}"));
        let text = home.to_str().context("the temporary folder's name is text")?;
        Ok(text.to_owned())
    }
}

fn repo(name: &str, number: usize) -> String {
    format!("local/bench-{name}-{number}")
}

fn seed(name: &str, number: usize) -> u64 {
    name.len() as u64 * 1000 + number as u64 + 1
}

/// Writes a file of so many MiB that no compression shortens.
fn noise(path: &Path, size: u64, seed: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..size << 17 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes())?;
    }
    out.flush()?;
    Ok(())
}

/// The Hub; it ends when this is dropped.
struct Server {
    child: Child,
    url: String,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // So that it frees its folder in order.
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
