//! `hub serve`

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use hub_server::{Role, Server};

use crate::cli::Secret;
use crate::context::Context;
use crate::error::Failure;
use crate::output::row;

/// Run a Hub in a folder, until Ctrl-C
///
/// Prints one line, `ready URL`, when it accepts connections. The first start makes the user `local`, whose write token
/// stands in the folder's file `token`. Large files are served from a second origin on another loopback address.
///
/// Without --xet-cas, clients that upload by Xet without asking (Python's huggingface_hub from 1.0 on, with hf_xet) have
/// to be run with HF_HUB_DISABLE_XET=1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The Hub's folder, made if it is not there; by default that of --local
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The port to listen on; 0 takes one that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The address that large files are served from [default: 127.0.0.2 for a Hub on 127.0.0.1, else that of --host]
    #[arg(long, value_name = "ADDRESS")]
    blob_host: Option<IpAddr>,
    /// Add an account whose token may write or read (can be repeated)
    #[arg(long = "user", value_name = "NAME:TOKEN:ROLE")]
    users: Vec<Secret>,
    /// A Xet storage beside this Hub, for large files: the address of a local_cas_server, which asks nobody for a token
    #[arg(long, value_name = "URL")]
    xet_cas: Option<String>,
    /// Put the model hub/welcome on it
    #[arg(long)]
    welcome: bool,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let root = match self.root {
            Some(root) => root,
            None => context.settings.env.hf_home().join("local-hub"),
        };
        let mut builder = Server::builder(root)
            .host(self.host)
            .port(self.port)
            .welcome(self.welcome);
        if let Some(host) = self.blob_host {
            builder = builder.blob_host(host);
        }
        if let Some(url) = self.xet_cas {
            builder = builder.xet_cas(url);
        }
        for user in &self.users {
            let (name, token, role) = account(&user.0)?;
            builder = builder.user(name, token, role);
        }
        // Before anybody can know that it runs: who reads the line may end it at once.
        let mut end = context.end()?;
        let server = builder.start_in_thread()?;
        if context.out.is_json() {
            context.out.object(row! {
                "url": server.url(),
                "blob_url": server.blob_url(),
                "root": server.root().to_string_lossy(),
                "user": server.user(),
                "token": server.token().reveal(),
            })?;
        } else {
            context.out.raw(&format!("ready {}", server.url()))?;
        }
        context.runtime()?.block_on(end.came());
        server.stop();
        Ok(())
    }
}

/// Reads `NAME:TOKEN:ROLE`. An error shows everything but the token.
fn account(text: &str) -> anyhow::Result<(&str, &str, Role)> {
    let mut parts = text.splitn(3, ':');
    let (Some(name), Some(token), Some(role)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Failure::usage("invalid value for '--user': must be NAME:TOKEN:ROLE").into());
    };
    let role = match role {
        "write" => Role::Write,
        "read" => Role::Read,
        other => {
            let message = format!("invalid role '{other}' of '--user {name}': must be write or read");
            return Err(Failure::usage(message).into());
        }
    };
    Ok((name, token, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_three_parts_and_errors_no_token() {
        let (name, token, role) = account("ada:hf_ada:read").unwrap();
        assert_eq!((name, token), ("ada", "hf_ada"));
        assert!(matches!(role, Role::Read));
        for bad in ["ada", "ada:hf_secret", "ada:hf_secret:admin"] {
            let err = account(bad).unwrap_err().to_string();
            assert!(!err.contains("secret"), "{err}");
        }
    }
}
