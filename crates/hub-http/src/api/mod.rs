//! The operations, a file for each area of the Hub.

pub mod account;
pub mod repos;
