//! `cargo xtask test`: the checks and tests, fastest first.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use crate::setup::{self, PYTHONS};
use crate::{coverage, layers, tidy};

/// One step. A later one may count on what an earlier one built.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    run: fn(&Shell) -> Result<()>,
}

pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        what: "Check that the code is formatted",
        run: |sh| Ok(cmd!(sh, "cargo fmt --all --check").run()?),
    },
    Step {
        name: "tidy",
        what: "Check the files: leftovers, manifests, links",
        run: tidy::run,
    },
    Step {
        name: "layers",
        what: "Check which crate depends on which",
        run: layers::run,
    },
    Step {
        name: "coverage",
        what: "Check that every operation of the official client is there",
        run: |sh| coverage::run(sh, false),
    },
    Step {
        name: "setup",
        what: "Get what the tests need: git, git-lfs, the official Python clients",
        run: setup::run,
    },
    Step {
        name: "clippy",
        what: "Lint everything, warnings are errors",
        run: |sh| Ok(cmd!(sh, "cargo clippy --locked --workspace --all-targets -- --deny warnings").run()?),
    },
    Step {
        name: "docs",
        what: "Build the documentation, warnings are errors",
        run: |sh| {
            let _flags = sh.push_env("RUSTDOCFLAGS", "--deny warnings");
            Ok(cmd!(sh, "cargo doc --locked --workspace --no-deps").run()?)
        },
    },
    Step {
        name: "build",
        what: "Build the hub binary and every test",
        run: |sh| Ok(cmd!(sh, "cargo build --locked --workspace --all-targets").run()?),
    },
    Step {
        name: "tests",
        what: "Run every test: units, documentation, end to end, git, Python interop",
        run: tests,
    },
    Step {
        name: "tls",
        what: "Build with the system's TLS library and no other (`layers` looks at the tree)",
        run: tls,
    },
    Step {
        name: "xet",
        what: "Build with Xet, lint that, and run its tests against a storage of their own",
        run: xet,
    },
];

/// Runs all steps, or those named, and says how long each took.
pub(crate) fn run(sh: &Shell, names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("there is no step '{unknown}'; see cargo xtask help");
    }
    // Incremental state is of no use to a build that starts from nothing.
    let _incremental = sh.var_os("CI").map(|_| sh.push_env("CARGO_INCREMENTAL", "0"));
    let start = Instant::now();
    let mut times = Vec::new();
    for step in STEPS
        .iter()
        .filter(|step| names.is_empty() || names.contains(&step.name))
    {
        println!("==> {}: {}", step.name, step.what);
        let before = Instant::now();
        (step.run)(sh).with_context(|| format!("step '{}' failed", step.name))?;
        times.push((step.name, before.elapsed()));
        println!("    {}: {}", step.name, seconds(before.elapsed()));
    }
    println!("==> all passed in {}", seconds(start.elapsed()));
    for (name, time) in times {
        println!("    {name:<8} {}", seconds(time));
    }
    Ok(())
}

fn tests(sh: &Shell) -> Result<()> {
    let hub = binary(sh, "hub")?;
    if !hub.is_file() {
        bail!("{} is missing; run the step 'build' first", hub.display());
    }
    let _hub = sh.push_env("HUB_TEST_BIN", hub);
    let mut _pythons = Vec::new();
    for python in PYTHONS {
        _pythons.push(sh.push_env(python.variable, setup::interpreter(sh, python)?));
    }
    Ok(cmd!(sh, "cargo test --locked --workspace --no-fail-fast").run()?)
}

fn tls(sh: &Shell) -> Result<()> {
    setup::openssl(sh)?;
    cmd!(
        sh,
        "cargo check --locked --package hub-http --no-default-features --features native-tls,blocking,cards"
    )
    .run()?;
    Ok(cmd!(
        sh,
        "cargo check --locked --package hub-cli --no-default-features --features native-tls"
    )
    .run()?)
}

/// A step of its own, since the libraries of Xet and of its storage take minutes to build. One set of features for all
/// commands that build code, so that it is built once.
fn xet(sh: &Shell) -> Result<()> {
    let packages = ["-p", "hub-http", "-p", "hub-cache", "-p", "hub-cli", "-p", "hub-tests"];
    let features = ["--features", "hub-http/xet,hub-cache/xet,hub-cli/xet,hub-tests/xet"];
    cmd!(
        sh,
        "cargo clippy --locked {packages...} {features...} --all-targets -- --deny warnings"
    )
    .run()?;
    cmd!(
        sh,
        "cargo build --locked {packages...} {features...} --bin hub --test xet"
    )
    .run()?;
    let _hub = sh.push_env("HUB_TEST_BIN", binary(sh, "hub")?);
    let mut _pythons = Vec::new();
    for python in PYTHONS {
        _pythons.push(sh.push_env(python.variable, setup::interpreter(sh, python)?));
    }
    Ok(cmd!(sh, "cargo test --locked {packages...} {features...} --test xet").run()?)
}

/// Where a dev build puts a binary.
fn binary(sh: &Shell, name: &str) -> Result<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(setup::target_dir(sh)?.join("debug").join(name))
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
