use std::os::unix::fs::MetadataExt;

use hub_types::GitOid;

use super::*;
use crate::lock;
use crate::scan::scan;
use crate::testing::{COMMIT, FakeHub, NEXT, etag_of};
use crate::{Cache, Lookup};

mod layout;
mod local_dir;
mod offline;
mod resume;
mod together;
mod wrong;

const TEXT: &str = "{\"hello\": 1}\n";

async fn hub() -> FakeHub {
    FakeHub::start(&[
        ("config.json", TEXT),
        ("d/e/large.bin", "large content"),
        ("same.json", TEXT),
    ])
    .await
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
