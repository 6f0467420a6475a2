//! Serves a folder until Ctrl-C, for trying clients by hand: `cargo run -p hub-server --example serve -- DIR PORT`.
#![expect(clippy::print_stdout, reason = "an example")]

use hub_server::{Role, Server};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let root = args.next().unwrap_or_else(|| "hub-data".to_owned());
    let port = args.next().map_or(Ok(0), |port| port.parse())?;
    let server = Server::builder(root)
        .port(port)
        .part_size(args.next().map_or(Ok(128 << 20), |size| size.parse())?)
        .user("ada", "hf_ada", Role::Write)
        .user("bob", "hf_bob", Role::Write)
        .user("eve", "hf_eve", Role::Read)
        .organization("acme", ["ada"])
        .welcome(true)
        .start()
        .await?;
    println!(
        "ready {} blobs {} token {}",
        server.url(),
        server.blob_url(),
        server.token().reveal()
    );
    // Until its standard input ends, or it is killed.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    server.stop().await;
    Ok(())
}
