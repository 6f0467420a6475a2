//! Xet, end to end: the client and the cache against the embedded Hub with a content-addressed storage beside it, the one
//! that `xet-client` has for machines without a network. The official Python client, whose Xet is the same library,
//! judges what came of it.
//!
//! Kept out of the other tests since its libraries take minutes to compile: `cargo xtask test xet`.

#![expect(clippy::unwrap_used, reason = "what fails here fails its test")]

mod buckets;
mod download;
mod faults;
mod interop;
mod upload;
mod world;
