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
//! Also here is [`GitCredentials`], which keeps a token in git's own store for people who run git by hand.
//!
//! Invariants:
//!
//! - One file runs git: no shell, one argument for each value, no `GIT_*` variable of the caller's that could redirect it.
//! - A token stands in no address, argument, configuration file or message.
//! - Nothing outside the working copy is written, and the process's folder and environment stay as they are.
//! - A repository's own hooks, filters and helpers do not run.

mod attributes;
mod credential;
mod error;
mod git;
mod local_config;
mod pointer;
mod remote;
mod repository;

pub use credential::{GitCredentials, USERNAME};
pub use error::{Error, Result};
pub use pointer::Pointer;
pub use repository::{LfsTracking, Repository, RepositoryOptions};
