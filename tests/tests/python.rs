//! The official Python clients as judges: of hub-server, which must be a Hub to them, and of our cache, which must be
//! theirs.

use hub_tests::{Python, TestEnv};

/// Runs a script under one release against a Hub of its own.
#[track_caller]
fn judge(python: Python, script: &str) {
    let mut env = TestEnv::new();
    let _hub = env.start_hub();
    let output = env.python(python, script, [""; 0]).success();
    assert_eq!(output.stdout, "ok\n", "{output}");
}

#[test]
fn python_2_4_makes_and_describes_repositories() {
    judge(Python::V2_4, "python/repos.py");
}

#[test]
fn python_0_36_makes_and_describes_repositories() {
    judge(Python::V0_36, "python/repos.py");
}

#[test]
fn python_2_4_moves_files() {
    judge(Python::V2_4, "python/files.py");
}

#[test]
fn python_0_36_moves_files() {
    judge(Python::V0_36, "python/files.py");
}

/// Runs the script on a Hub that takes large files in small parts.
#[track_caller]
fn judge_parts(python: Python) {
    let mut env = TestEnv::new();
    let _hub = env.start_hub_with(|builder| builder.part_size(5 << 20));
    let output = env.python(python, "python/multipart.py", [""; 0]).success();
    assert_eq!(output.stdout, "ok\n", "{output}");
}

#[test]
fn python_2_4_uploads_in_parts() {
    judge_parts(Python::V2_4);
}

#[test]
fn python_0_36_uploads_in_parts() {
    judge_parts(Python::V0_36);
}
