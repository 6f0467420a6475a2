//! The git way to the Hub, for code that still depends on it.
//!
//! ```no_run
//! # #![allow(deprecated, reason = "the whole crate is")]
//! use hub_git_compat::{LfsTracking, Repository, RepositoryOptions};
//! use hub_types::{Token, env::Env};
//!
//! let options = RepositoryOptions::new(&Env::process(), "https://huggingface.co")?.token(Token::new("hf_…")?);
//! let repo = Repository::clone_from("demo", "ada/demo", &options)?;
//! std::fs::write(repo.dir().join("notes.txt"), "a line")?;
//! repo.git_add(".", LfsTracking::Auto)?;
//! repo.git_commit("Add a line")?;
//! println!("{}", repo.git_push()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Repository`] drives the `git` command, with `git-lfs` for large files. It is deprecated from its first release: each
//! method says which call of `hub_http::HfApi` or `hub_cache::HubCache` to use instead, for those need neither program,
//! keep no second copy of every file, and make a commit that is whole or not there.
//!
//! Also here, for people who run git by hand: [`GitCredentials`] keeps a token in git's own store, and
//! [`run_transfer_agent`] answers git-lfs when it sends files above 5 GB.
//!
//! What each method becomes over HTTP stands side by side in `docs/from-repository-to-hfapi.md`.
//!
//! Invariants:
//!
//! - One file runs git: no shell, one argument for each value, no `GIT_*` variable of the caller's that could redirect it.
//! - A token stands in no address, argument, configuration file or message.
//! - Nothing outside the working copy is written, and the process's folder and environment stay as they are.
//! - A repository's own hooks, filters and helpers do not run.

mod repository;

mod attributes;
mod background;
mod credential;
mod git;
mod local_config;
mod pipe;
mod pointer;
mod redact;
mod remote;
mod transfer_agent;

mod error;

pub use background::{CommandInProgress, LfsProgress, Status};
pub use credential::{GitCredentials, USERNAME};
pub use error::{Error, Result};
pub use pointer::Pointer;
pub use repository::{CommitOptions, Committed, LfsTracking, PushOptions, Repository, RepositoryOptions};
#[expect(deprecated, reason = "the whole crate is")]
pub use repository::{is_binary_file, is_git_repo, is_local_clone};
pub use transfer_agent::{enable_large_files, run_transfer_agent};
