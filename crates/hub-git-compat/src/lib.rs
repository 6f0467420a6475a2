//! The git way to the Hub, for code that still depends on it.

mod credential;
mod error;
mod git;

pub use credential::{GitCredentials, USERNAME};
pub use error::{Error, Result};
