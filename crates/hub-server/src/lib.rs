//! A Hugging Face Hub in a folder: the HTTP API, git and LFS, for tests, demos, CI and closed networks.
//!
//! ```no_run
//! # async fn demo() -> hub_server::Result<()> {
//! use hub_server::{Role, Server};
//!
//! let server = Server::builder("./hub-data")
//!     .port(8080)
//!     .user("ada", "hf_ada", Role::Write)
//!     .start()
//!     .await?;
//! println!("ready {}", server.url());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The folder holds bare git repositories that `git` itself can read (`repos/`), large files by their SHA-256
//! (`lfs/`), a SQL database of accounts and repositories (`hub.db`) and the token of the user `local` (`token`).
//! Large files are served from a second origin, with signed addresses, as the real Hub serves them from an object
//! store.
//!
//! Without a Xet storage beside it ([`Builder::xet_cas`]) no reply names one, and clients that ask which ways there are
//! take LFS. The official Python client from 1.0 on does not ask when it uploads: where it has `hf_xet`, it is to be run
//! with `HF_HUB_DISABLE_XET=1`, as the answer to its request for a token says.
//!
//! What lives here: the store, the routes (a file an area, below `routes`), the two origins. What does not: any client;
//! and of `hub-types` only what cannot be wrong (ids, revisions, paths, digests) is used, never the models of replies, so
//! that client and server cannot agree on a mistake.
//!
//! Invariants:
//!
//! - One server a folder: a second one is refused.
//! - A file gets its name in the content store only once its SHA-256 has been checked.
//! - A token is stored as its SHA-256; only the one of `local` can be read back, from a file of mode 0600.
//! - A request never ends the server: a panic in a handler is that request's status 500.
//! - Memory does not grow with the size of a file, up or down.

mod app;
mod auth;
mod clock;
mod delivery;
mod error;
mod happening;
mod origin;
mod routes;
mod server;
mod signing;
mod store;
mod stream;
#[cfg(test)]
mod testing;
mod xet;

mod seed;

pub use auth::Role;
pub use error::{Error, Result};
pub use server::{Builder, Server, ServerThread};
