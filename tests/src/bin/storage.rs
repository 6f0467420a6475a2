//! A Xet storage for machines without a network, in a folder of its own: `storage`.
//!
//! Prints its address, and ends when its standard input does: with who started it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::process::ExitCode;

use hub_http::HfApi;
use xet_client::cas_client::LocalTestServerBuilder;

#[tokio::main]
async fn main() -> ExitCode {
    // The first client chooses the library for TLS, which the storage's own tools need as well.
    if let Err(err) = HfApi::builder().build() {
        eprintln!("error: {err}");
        return ExitCode::FAILURE;
    }
    let storage = LocalTestServerBuilder::new().with_ephemeral_disk().start().await;
    println!("{}", storage.http_endpoint());
    let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    // However it ends, it has ended.
    let _ = ended.await;
    ExitCode::SUCCESS
}
