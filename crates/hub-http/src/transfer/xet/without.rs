//! What stands in for Xet in a build without it: nothing of it can be made.

use std::convert::Infallible;
use std::ops::Range;

use bytes::Bytes;
use hub_types::resolve::XetFileData;

use super::{Stored, Upload};
use crate::client::HfApi;
use crate::error::Result;

/// What a client keeps for its transfers.
#[derive(Debug, Default)]
pub(crate) struct State(());

/// A file's bytes, in order.
#[derive(Debug)]
pub(crate) struct Stream(Infallible);

impl Stream {
    /// Never asked for: [`is_on`](super::is_on) says no.
    pub(crate) async fn open(api: &HfApi, _: &XetFileData, _: u64, _: Range<u64>) -> Result<Self> {
        super::available(api)?;
        unreachable!("a build without Xet has said that it is without")
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.0 {}
    }
}

/// Stores bytes.
#[derive(Debug)]
pub(crate) struct Uploader(Infallible);

impl Uploader {
    pub(crate) async fn open(_: &HfApi, _: &str) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) async fn open_only(api: &HfApi, _: &str) -> Result<Self> {
        super::available(api)?;
        unreachable!("a build without Xet has said that it is without")
    }

    pub(crate) async fn send(self, _: Vec<Upload>) -> Result<Vec<Stored>> {
        match self.0 {}
    }
}
