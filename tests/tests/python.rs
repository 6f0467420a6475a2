//! The official Python clients as judges of hub-server, which must be a Hub to them.

use hub_tests::{Python, TestEnv};

#[test]
fn python_2_4_makes_and_describes_repositories() {
    TestEnv::judge(Python::V2_4, "python/repos.py");
}

#[test]
fn python_0_36_makes_and_describes_repositories() {
    TestEnv::judge(Python::V0_36, "python/repos.py");
}

#[test]
fn python_2_4_moves_files() {
    TestEnv::judge(Python::V2_4, "python/files.py");
}

#[test]
fn python_0_36_moves_files() {
    TestEnv::judge(Python::V0_36, "python/files.py");
}

#[test]
fn python_2_4_uploads_in_parts() {
    TestEnv::judge_with(Python::V2_4, "python/multipart.py", |builder| {
        builder.part_size(5 << 20)
    });
}

#[test]
fn python_0_36_uploads_in_parts() {
    TestEnv::judge_with(Python::V0_36, "python/multipart.py", |builder| {
        builder.part_size(5 << 20)
    });
}
