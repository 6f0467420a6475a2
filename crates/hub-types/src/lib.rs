//! The vocabulary of the Hugging Face Hub: ids, revisions, paths, digests, patterns, and the data of requests and
//! replies.
//!
//! ```
//! use hub_types::{HubUri, RepoId, RepoType};
//!
//! let repo: RepoId = "ada/demo".parse()?;
//! assert_eq!(repo.api_path(), "models/ada/demo");
//!
//! let uri: HubUri = "hf://datasets/ada/notes@v1/train.csv".parse()?;
//! assert_eq!(uri.repo_type(), Some(RepoType::Dataset));
//! assert_eq!(uri.revision().map(|revision| revision.as_str()), Some("v1"));
//! assert_eq!(uri.path(), "train.csv");
//! # Ok::<(), hub_types::ValidationError>(())
//! ```
//!
//! What lives here: values that cannot be wrong (each is parsed once, at the edge) and plain data. What does not: input
//! and output, web addresses, directories, async. Those are in `hub-http`, `hub-cache` and `hub-server`, which all
//! build on this crate.
//!
//! Features: `cards` adds `cards`, the metadata of READMEs, and the YAML parser that it needs.
//!
//! Invariants:
//!
//! - A [`RepoPath`] is relative, has no `..` and no drive, so joining it below a directory stays below it.
//! - An [`Etag`] is a safe file name.
//! - A [`Token`] is never shown: not by `Debug`, not in an error. Its memory is cleared when it is dropped.
//! - A reply parses whatever more it holds than we know, and whatever optional part it lacks.

mod argument;
#[cfg(test)]
mod examples;
mod model;
mod validation;

mod commit_hash;
mod digest;
mod etag;
mod path;
mod patterns;
mod repo_id;
mod revision;
mod secret;
mod timestamp;
mod token;
mod uri;

pub mod env;

pub mod access;
pub mod account;
pub mod buckets;
#[cfg(feature = "cards")]
pub mod cards;
pub mod collections;
pub mod commits;
pub mod datasets;
pub mod discussions;
pub mod endpoints;
pub mod files;
pub mod gguf;
pub mod jobs;
pub mod lfs;
pub mod papers;
pub mod repos;
pub mod resolve;
pub mod safetensors;
pub mod search;
pub mod spaces;
pub mod users;
pub mod webhooks;

pub use argument::Argument;
pub use commit_hash::CommitHash;
pub use digest::{GitOid, GitOidHasher, Sha256, Sha256Hasher, XetHash};
pub use etag::Etag;
pub use path::RepoPath;
pub use patterns::{OneOrMany, Pattern, PatternFilter};
pub use repo_id::{RepoId, RepoType};
pub use revision::Revision;
pub use secret::Secret;
pub use timestamp::Timestamp;
pub use token::Token;
pub use uri::{HubMount, HubUri, HubUriKind};

pub use validation::ValidationError;
