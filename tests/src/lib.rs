//! What the end-to-end tests share: a world of their own ([`TestEnv`]), commands run in it ([`Cmd`], [`Output`]) and the
//! filters that make what they print the same on every run.
//!
//! A test reads and writes nothing outside its [`TestEnv`]: the home folder, the cache and the temporary folder lie in one
//! that is removed at its end, and a command sees only the variables that the test gave it. What has to be installed
//! (the official Python clients, git-lfs) is there because `cargo xtask test` has seen to it; a test that misses it fails.

mod command;
mod env;
pub mod fake;
mod filter;
mod hub;
mod proxy;
mod scanner;
mod tls;
pub mod wire;

pub use command::{Cmd, Output};
pub use env::{Python, TestEnv, fixture};
pub use filter::filter;
pub use hub::{ADA, ADA_READS, BOB, TestHub, files_below, noise};
pub use proxy::{Carried, Proxy};
pub use scanner::Scanner;
pub use tls::TlsFront;
