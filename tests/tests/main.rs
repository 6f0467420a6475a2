//! The end-to-end tests, one module an area, in one binary so that they link once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod cache;
mod cache_list;
mod cache_prune;
mod cache_python;
mod cards;
mod cli;
mod collections;
mod commits;
mod concurrency;
mod crash;
mod discussions;
mod files;
mod git;
mod git_guide;
mod git_large;
mod git_lives;
mod git_repository;
mod git_security;
mod git_server;
mod harness;
mod hostile;
mod network;
mod peers;
mod progress;
mod python;
mod repos;
mod requests;
mod restart;
mod resume;
mod scheduler;
mod search;
mod shared_caches;
mod spaces;
mod users;
mod webhooks;
mod wire;

use std::path::Path;

/// A file that no `mod` line names would never run.
#[test]
fn every_file_beside_this_one_is_declared() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in fs_err::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else {
            continue;
        };
        let declared = include_str!("main.rs")
            .lines()
            .any(|line| line == format!("mod {module};"));
        assert!(declared, "tests/tests/{name} is not declared in main.rs");
    }
}
