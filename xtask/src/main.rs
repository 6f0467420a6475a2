//! Chores of this workspace: `cargo xtask help` lists them.
//!
//! Does nothing that cargo does already, and depends on no crate of ours, so that it builds in seconds.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to a person")]

mod bench;
mod coverage;
mod dist;
mod layers;
mod setup;
mod test;
mod tidy;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::Shell;

const HELP: &str = "\
Chores of this workspace

Usage: cargo xtask COMMAND

Commands:
  test [STEP]...    Run every check and test, or only these steps; installs what they need
  bench [write] [CASE]... [--size MIB] [--runs N] [--dev]
                    Measure the release binary against its peers: all cases or these, with a large file of 2048 MiB,
                    7 times; write puts the table into docs/benchmarks.md; --dev tries a build for
                    development. Installs the peers
  bench repository [MIB]
                    Measure the git way against the HTTP way: time, bytes and disk, with a file of 256 MiB or this size
  coverage [write]  Check that every operation of the official client is there, or write the table of them
  dist              Build hub as it is released, with Xet, and pack it with its completions and a checksum
  help              Print this

Steps of test, in their order:
";

fn main() {
    if let Err(err) = run() {
        eprintln!("error: {err:#}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(workspace_root());
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{HELP}");
            for step in test::STEPS {
                println!("  {:<8} {}", step.name, step.what);
            }
            Ok(())
        }
        ["bench", "repository"] => bench::repository(&sh, bench::REPOSITORY_SIZE),
        ["bench", "repository", size] => {
            bench::repository(&sh, size.parse().context("the size must be a whole number of MiB")?)
        }
        ["bench", words @ ..] => bench::run(&sh, words),
        ["coverage"] => coverage::run(&sh, false),
        ["coverage", "write"] => coverage::run(&sh, true),
        ["dist"] => dist::run(&sh),
        ["test", steps @ ..] => test::run(&sh, steps),
        [other, ..] => bail!("there is no command '{other}'; see cargo xtask help"),
    }
}

/// The folder of the workspace's `Cargo.toml`.
fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}
