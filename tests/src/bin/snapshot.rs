//! Downloads a snapshot on several threads at once, each with a client of its own: `snapshot REPO CACHE THREADS`.
//!
//! Begins when a line comes on standard input, so that several processes begin together, and prints the folder.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::process::ExitCode;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use hub_cache::HubCache;
use hub_http::HfApi;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [repo, cache, threads] = args.as_slice() else {
        eprintln!("usage: snapshot REPO CACHE THREADS");
        return ExitCode::from(2);
    };
    match run(repo, cache, threads) {
        Ok(folder) => {
            println!("{folder}");
            ExitCode::SUCCESS
        }
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(repo: &str, cache: &str, threads: &str) -> Result<String> {
    let threads: usize = threads.parse()?;
    std::io::stdin().read_line(&mut String::new())?;
    let download = || -> Result<String> {
        let cache = HubCache::new(HfApi::from_env()?, cache);
        let folder = cache.snapshot_download(repo).wait()?;
        Ok(folder.to_str().context("the folder's name is text")?.to_owned())
    };
    let folders = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(download)).collect();
        let ended = running
            .into_iter()
            .map(|thread| thread.join().expect("no thread panics"));
        ended.collect::<Result<Vec<String>>>()
    })?;
    let first = folders.first().context("there must be a thread")?;
    ensure!(
        folders.iter().all(|folder| folder == first),
        "several folders: {folders:?}"
    );
    Ok(first.clone())
}
