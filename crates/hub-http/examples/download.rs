//! Downloads one file to a path: `cargo run --example download -- REPO FILE PATH [REVISION]`.
//!
//! The environment is read as always: `HF_ENDPOINT`, `HF_TOKEN`, `HUB_CONNECTIONS`, `HUB_VERIFY`, …

use std::time::Instant;

use hub_http::HfApi;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "what it found is what it is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [repo, file, path, rest @ ..] = &args[..] else {
        return Err("usage: download REPO FILE PATH [REVISION]".into());
    };
    let api = HfApi::from_env()?;
    let began = Instant::now();
    let fetched = api
        .download_to_path(repo.as_str(), file.as_str(), path.as_str())
        .revision(rest.first().map(String::as_str))
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    let rate = fetched.bytes as f64 / seconds / 1e6;
    println!("{} bytes in {seconds:.2} s, {rate:.0} MB/s", fetched.bytes);
    Ok(())
}
