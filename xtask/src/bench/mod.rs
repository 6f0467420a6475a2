//! `cargo xtask bench`: the release binary against what people could use in its place, in turn and in one run.

mod cases;
mod files;
mod link;
mod measure;
mod peers;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::setup;
use measure::Measured;

/// Where the table stands.
const TABLE: &str = "docs/benchmarks.md";

/// Size of the large file, in MiB, unless another is given.
const SIZE: u64 = 2048;
/// Runs of each tool in each case, unless another number is given.
const RUNS: usize = 7;

/// Measures the cases named, or all of them; with `write` the table goes into the docs.
pub(crate) fn run(sh: &Shell, words: &[&str]) -> Result<()> {
    let (mut size, mut runs, mut write, mut wanted) = (SIZE, RUNS, false, Vec::new());
    let mut profile = "release";
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut number = |name| -> Result<u64> {
            let value = words.next().with_context(|| format!("{name} needs a number"))?;
            value.parse().with_context(|| format!("'{value}' is no whole number"))
        };
        match word {
            "--size" => size = number(word)?,
            "--runs" => runs = number(word)?.max(1) as usize,
            "--dev" => profile = "dev",
            "write" => write = true,
            name if cases::CASES.iter().any(|case| case.name == name) => wanted.push(name),
            other => {
                let names: Vec<&str> = cases::CASES.iter().map(|case| case.name).collect();
                bail!("there is no case '{other}': they are {}", names.join(", "));
            }
        }
    }
    let dir = sh.create_temp_dir()?;
    ensure!(
        !(write && profile == "dev"),
        "a build for development is not what the table is about"
    );
    let is_wanted = |case: &cases::Case| wanted.is_empty() || wanted.contains(&case.name);
    let with_xet = cases::CASES
        .iter()
        .any(|case| is_wanted(case) && case.name.starts_with("xet-"));
    let peers = peers::Peers::find(sh, profile, with_xet)?;
    let bench = cases::Bench::start(sh, dir.path(), &peers, size)?;
    let earlier = sh.read_file(TABLE).unwrap_or_default();
    let mut table = String::new();
    for case in cases::CASES {
        let what = (case.what)(&bench);
        if !is_wanted(case) {
            table += earlier_rows(&earlier, &what).unwrap_or_default();
            continue;
        }
        println!("\n{}: {what}", case.name);
        let tools = (case.tools)(&bench)?;
        let measured = in_turn(&tools, runs)?;
        let rows = rows(&what, &tools, &measured, runs, size);
        println!("{rows}");
        table += &rows;
    }
    let page = format!("{}{table}", head(sh, &peers)?);
    if write {
        sh.write_file(TABLE, page)?;
    }
    Ok(())
}

/// What the page says of a case that is not measured now.
fn earlier_rows<'a>(page: &'a str, what: &str) -> Option<&'a str> {
    let start = page.find(&format!("\n## {what}\n"))?;
    let section = &page[start..];
    let end = section[1..].find("\n## ").map_or(section.len(), |end| end + 1);
    Some(&section[..end])
}

/// A tool in a case: one run of it, from an empty state to the checked result.
pub(crate) struct Tool<'a> {
    name: &'static str,
    /// Less than the others', where a run takes minutes and always as long.
    most_runs: usize,
    /// How many bytes a run moves, where that is what counts.
    bytes: u64,
    run: Box<dyn Fn(usize) -> Result<Measured> + 'a>,
}

/// Each tool once, and again: what else the machine does meets all of them.
fn in_turn(tools: &[Tool<'_>], runs: usize) -> Result<Vec<Measured>> {
    let mut measured = vec![Vec::new(); tools.len()];
    for number in 0..runs {
        // Another one comes first in each round: what a tool leaves behind must not always meet the same next one.
        for turn in 0..tools.len() {
            let at = (number + turn) % tools.len();
            let (tool, measured) = (&tools[at], &mut measured[at]);
            if number < tool.most_runs {
                if tool.bytes > 0 {
                    // The file that is written, and what a tool holds of it in memory.
                    measure::touch_memory(2 * tool.bytes + (512 << 20))?;
                }
                let result = (tool.run)(number).with_context(|| format!("{} failed", tool.name))?;
                println!(
                    "  {} {}: {}, {} of the processor, {}",
                    tool.name,
                    number + 1,
                    result.time(),
                    result.processor(),
                    result.peak()
                );
                measured.push(result);
            }
        }
    }
    Ok(measured.iter().map(|runs| Measured::median(runs)).collect())
}

fn rows(what: &str, tools: &[Tool<'_>], measured: &[Measured], runs: usize, size: u64) -> String {
    let runs = runs.min(tools[0].most_runs);
    let of = match tools[0].bytes == size << 20 {
        true => format!(" of {size} MiB"),
        false => String::new(),
    };
    let mut rows = format!(
        "\n## {what}\n\nRuns{of}: {runs}.\n\n| | time | rate | processor time | peak memory | `hub` is faster by |\n|---|---|---|---|---|---|\n"
    );
    let ours = measured[0].wall.as_secs_f64();
    for (tool, measured) in tools.iter().zip(measured) {
        let seconds = measured.wall.as_secs_f64();
        let rate = match tool.bytes {
            0 => String::new(),
            bytes => format!("{:.0} MB/s", bytes as f64 / seconds / 1e6),
        };
        let _ = writeln!(
            rows,
            "| {} | {} | {rate} | {} | {} | {:.2} |",
            tool.name,
            measured.time(),
            measured.processor(),
            measured.peak(),
            seconds / ours
        );
    }
    rows
}

fn head(sh: &Shell, peers: &peers::Peers) -> Result<String> {
    let cpu = sh.read_file("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let cpu = cpu.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism()?;
    let memory = sh.read_file("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .unwrap_or_default();
    let memory: u64 = memory.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    let kernel = cmd!(sh, "uname -sr").quiet().read()?;
    let rustc = cmd!(sh, "rustc --version").quiet().read()?;
    Ok(format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench write`. Every tool of a case runs in turn (one that takes minutes, less often), in one\n\
         go; times are medians of whole commands, memory is the largest of all runs. Downloads come from nginx, which\n\
         serves files as the Hub does, uploads go to `hub serve`, all on this machine: {cores} cores ({cpu}), {:.0} GiB, {kernel}, {rustc}.\n\
         Xet goes to the storage that its own library has for tests, which both ends of a run share the processor with.\n\n\
         {}\n",
        memory as f64 / 1048576.0,
        peers.versions(sh)?,
    ))
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

/// The path as text: the commands' arguments are.
fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the temporary folder's name is text")
}
