//! Does the same job through the deprecated `Repository` and through `HfApi`, and prints what each took: `repository MIB`.
//!
//! The job: the first download of a model of one large file and twenty texts, then a change of one text, then one of the
//! large file, each pushed. The bytes are all that went over the loopback in both directions, so this must run in a
//! network of its own, as `cargo xtask bench repository` sees to.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
#![expect(deprecated, reason = "it is what is measured")]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hub_cache::HubCache;
use hub_git_compat::{LfsTracking, Repository, RepositoryOptions};
use hub_http::HfApi;
use hub_http::api::upload::CommitOperation;
use hub_server::{Role, Server, ServerThread};
use hub_types::Token;
use hub_types::env::Env;

/// Each number is the median of so many runs.
const RUNS: usize = 5;
const TEXTS: usize = 20;
const TOKEN: &str = "hf_measuremeasuremeasuremeasure";
const STEPS: [&str; 3] = ["first download", "change a text", "change the large file"];

fn main() -> ExitCode {
    let size = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let Some(size) = size else {
        eprintln!("usage: repository MIB");
        return ExitCode::from(2);
    };
    match run(size) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// What one step took.
#[derive(Clone, Copy)]
struct Measured {
    wall: Duration,
    /// Over the network, both ways.
    bytes: u64,
    /// On the disk afterwards.
    disk: u64,
}

fn run(mib: usize) -> Result<()> {
    let (mut git, mut http) = (Vec::new(), Vec::new());
    for number in 0..RUNS {
        git.push(World::start(mib, number)?.through_git()?);
        http.push(World::start(mib, number)?.through_http()?);
    }
    println!("A model of one file of {mib} MiB and {TEXTS} texts of 10 KB; medians of {RUNS} runs.\n");
    println!("| step | | time | over the network | on disk afterwards |");
    println!("|---|---|---|---|---|");
    for (step, name) in STEPS.iter().enumerate() {
        for (way, runs) in [("`Repository`", &git), ("`HfApi`", &http)] {
            let median = |of: fn(&Measured) -> f64| {
                let mut values: Vec<f64> = runs.iter().map(|run| of(&run[step])).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            let wall = median(|m| m.wall.as_secs_f64());
            let bytes = median(|m| m.bytes as f64);
            let disk = median(|m| m.disk as f64);
            let wall = match wall {
                0.1.. => format!("{wall:.2} s"),
                _ => format!("{:.0} ms", wall * 1000.0),
            };
            println!("| {name} | {way} | {wall} | {} | {} |", shown(bytes), shown(disk));
        }
    }
    Ok(())
}

fn shown(bytes: f64) -> String {
    if bytes < 1e6 {
        format!("{:.0} KB", bytes / 1e3)
    } else {
        format!("{:.1} MB", bytes / 1e6)
    }
}

struct World {
    dir: tempfile::TempDir,
    server: ServerThread,
    api: HfApi,
    number: usize,
    mib: usize,
}

impl World {
    fn start(mib: usize, number: usize) -> Result<Self> {
        let dir = tempfile::TempDir::with_prefix("hub-measure-")?;
        let server = Server::builder(dir.path().join("hub"))
            .user("ada", TOKEN, Role::Write)
            .start_in_thread()?;
        let api = HfApi::builder()
            .endpoint(server.url())
            .token(Token::new(TOKEN)?)
            .build()?;
        api.create_repo("ada/demo").wait()?;
        let mut operations = vec![CommitOperation::add("model.bin", noise(mib, number as u32))];
        operations.extend((0..TEXTS).map(|i| CommitOperation::add(format!("text-{i}.txt"), text(i))));
        api.create_commit("ada/demo", operations, "Add a model").wait()?;
        Ok(Self {
            dir,
            server,
            api,
            number,
            mib,
        })
    }

    fn through_git(&self) -> Result<Vec<Measured>> {
        let options = RepositoryOptions::new(&Env::process(), self.server.url())?
            .token(Token::new(TOKEN)?)
            .git_user("Ada")
            .git_email("ada@example.org");
        let dir = self.dir.path().join("clone");
        let (repo, first) = measure(&dir, || Ok(Repository::clone_from(&dir, "ada/demo", &options)?))?;
        let push = |message: &str| -> Result<()> {
            repo.git_add(".", LfsTracking::Auto)?;
            repo.git_commit(message)?;
            repo.git_push()?;
            Ok(())
        };
        let ((), second) = measure(&dir, || {
            fs_err::write(dir.join("text-0.txt"), "changed\n")?;
            push("Change a text")
        })?;
        let bytes = noise(self.mib, self.number as u32 + 100);
        let ((), third) = measure(&dir, || {
            fs_err::write(dir.join("model.bin"), &bytes)?;
            push("Change the large file")
        })?;
        Ok(vec![first, second, third])
    }

    fn through_http(&self) -> Result<Vec<Measured>> {
        let dir = self.dir.path().join("cache");
        let cache = HubCache::new(self.api.clone(), &dir);
        let (snapshot, first) = measure(&dir, || Ok(cache.snapshot_download("ada/demo").wait()?))?;
        ensure!(
            fs_err::metadata(snapshot.join("model.bin"))?.len() == (self.mib as u64) << 20,
            "the download is not whole"
        );
        let changed = self.dir.path().join("changed");
        fs_err::create_dir(&changed)?;
        let upload = |name: &str, bytes: &[u8]| -> Result<()> {
            let path = changed.join(name);
            fs_err::write(&path, bytes)?;
            self.api.upload_file("ada/demo", path, name).wait()?;
            Ok(())
        };
        let ((), second) = measure(&dir, || upload("text-0.txt", b"changed\n"))?;
        let bytes = noise(self.mib, self.number as u32 + 100);
        let ((), third) = measure(&dir, || upload("model.bin", &bytes))?;
        Ok(vec![first, second, third])
    }
}

fn measure<T>(dir: &Path, work: impl FnOnce() -> Result<T>) -> Result<(T, Measured)> {
    let before = loopback()?;
    let start = Instant::now();
    let value = work()?;
    let wall = start.elapsed();
    let measured = Measured {
        wall,
        bytes: loopback()? - before,
        disk: held(dir)?,
    };
    Ok((value, measured))
}

/// What has gone over the loopback since it came up; what is sent there is received there, and counted once.
fn loopback() -> Result<u64> {
    let text = fs_err::read_to_string("/proc/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let first = line.and_then(|line| line.split_whitespace().next());
    first
        .context("this network has no loopback")?
        .parse()
        .context("the counter of the loopback is no number")
}

/// The bytes of all files below a folder; of a link nothing.
fn held(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sum += held(&entry.path())?;
        } else if kind.is_file() {
            sum += entry.metadata()?.len();
        }
    }
    Ok(sum)
}

fn noise(mib: usize, seed: u32) -> Vec<u8> {
    hub_tests::noise(mib << 20, seed + 1)
}

fn text(seed: usize) -> Vec<u8> {
    format!("line {seed} of a text that is one of many\n")
        .repeat(250)
        .into_bytes()
}
