//! What the other tests stand on: the cleared environment, the filters, the set-up clients.

use std::path::Path;

use hub_tests::{Python, TestEnv, filter};

#[test]
fn a_command_sees_only_its_own_environment() {
    let mut env = TestEnv::new();
    env.set("EXTRA", "given");
    let output = env.command("env").success();
    let mut names: Vec<&str> = output
        .stdout
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "COLUMNS",
            "EXTRA",
            "GIT_CONFIG_NOSYSTEM",
            "HF_HOME",
            "HF_HUB_DISABLE_TELEMETRY",
            "HF_HUB_DISABLE_UPDATE_CHECK",
            "HOME",
            "LC_ALL",
            "PATH",
            "TMPDIR",
            "TZ",
        ]
    );
}

#[test]
fn output_is_shown_whole_and_filtered() {
    let env = TestEnv::new();
    let script = "cat; echo $HOME; echo oops >&2; exit 3";
    let output = env.command("sh").args(["-c", script]).stdin("in\n").failure(3);
    assert_eq!(
        output.snapshot(),
        "exit code: 3\n----- stdout -----\nin\n[ROOT]/home\n\n----- stderr -----\noops\n"
    );
}

#[test]
fn what_differs_between_runs_is_replaced() {
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let sha = "0123456789abcdef".repeat(4);
    let text = format!(
        "http://127.0.0.1:4321/a/resolve/{hash} at 2026-01-02T03:04:05.678Z, sha256:{sha} x{hash} {hash}0 hf_abcdefghijklmnopqrst"
    );
    assert_eq!(
        filter(&text, Path::new("/nowhere")),
        format!("[HUB]/a/resolve/[HASH] at [TIME], sha256:[SHA256] x{hash} {hash}0 [TOKEN]")
    );
}

#[test]
fn the_official_clients_are_the_releases_that_we_name() {
    let env = TestEnv::new();
    for (python, version) in [(Python::V2_4, "2.4.0\n"), (Python::V0_36, "0.36.2\n")] {
        let output = env.python(python, "python/version.py", [""; 0]).success();
        assert_eq!(output.stdout, version);
    }
}

#[test]
fn git_has_lfs() {
    let env = TestEnv::new();
    let output = env.git(["lfs", "version"]).success();
    assert!(output.stdout.starts_with("git-lfs/"), "{output}");
}
