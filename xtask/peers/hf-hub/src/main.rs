//! The official Rust crate as a command, so that it can be timed: `peer file|snapshot NAMESPACE/NAME [FILE]` or
//! `peer upload NAMESPACE/NAME FILE PATH`, with the
//! endpoint and the cache from the usual environment variables.

use std::error::Error;

use hf_hub::HFClient;
use hf_hub::repository::AddSource;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let client = HFClient::new()?;
    let repo = |id: &str| {
        let (namespace, name) = id.split_once('/').expect("an id has a namespace");
        client.model(namespace, name)
    };
    match words.as_slice() {
        ["file", id, file] => {
            repo(id).download_file().filename(*file).send().await?;
        }
        ["snapshot", id] => {
            repo(id).snapshot_download().send().await?;
        }
        ["upload", id, file, path] => {
            let source = AddSource::File((*file).into());
            repo(id).upload_file().source(source).path_in_repo(*path).send().await?;
        }
        other => return Err(format!("unknown command: {other:?}").into()),
    }
    Ok(())
}
