//! Replays recorded calls of the official client through the library: `wire FILE.jsonl`.
//!
//! Prints a line for each difference, and at the end how many calls matched. Fails if one did not, or names no
//! operation of the library.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    let [file] = files.as_slice() else {
        eprintln!("usage: wire FILE.jsonl");
        return ExitCode::from(2);
    };
    match hub_tests::wire::run(Path::new(file)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(report.mismatched() + report.unknown() > 0))
        }
        Err(err) => {
            eprintln!("wire: {err:#}");
            ExitCode::from(2)
        }
    }
}
