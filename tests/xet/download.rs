//! Large files out of a repository.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt as _;
use hub_cache::HubCache;
use hub_http::transfer::{FetchOptions, FileSource};
use hub_http::{Progress, ProgressHandle, ProgressId};

use crate::world::{World, random};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_by_xet_into_the_cache_and_to_a_path() {
    let world = World::new().await;
    let bytes = random(20 * MIB, 1);
    world.upload(bytes.clone(), "w.bin").await;

    let cache = HubCache::new(world.api(), world.env.cache());
    let path = cache.download_file("ada/demo", "w.bin").await.unwrap();
    assert!(fs_err::read(path).unwrap() == bytes);
    // By a listing, which tells the hash alone.
    let other = HubCache::new(world.api(), world.env.root().join("other"));
    let folder = other.snapshot_download("ada/demo").await.unwrap();
    assert!(fs_err::read(folder.join("w.bin")).unwrap() == bytes);
    let target = world.env.root().join("out/w.bin");
    let fetched = world
        .api()
        .download_to_path("ada/demo", "w.bin", &target)
        .await
        .unwrap();
    assert!(fetched.by_xet && fetched.sha256 == Some(hub_types::Sha256::of(&bytes)));
    assert!(fs_err::read(&target).unwrap() == bytes);
    // One answer over plain HTTP, which was dropped: that it is there by Xet was not known before.
    assert!(world.gate.count("GET", "/simulation/files") <= 1);

    let plain = world
        .plain()
        .download_to_path("ada/demo", "w.bin", &target)
        .await
        .unwrap();
    assert!(!plain.by_xet);
    assert!(fs_err::read(&target).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_streams_are_read() {
    let world = World::new().await;
    let bytes = random(40 * MIB, 2);
    let api = world.api();
    api.upload_file("ada/demo", bytes.clone(), "w.bin").await.unwrap();
    world.gate.forget();
    let (start, end) = (3 * MIB + 7, 37 * MIB - 1);
    let read = api
        .download_range("ada/demo", "w.bin", start as u64, end as u64)
        .await
        .unwrap();
    assert!(read == bytes[start..end]);
    let reconstructions =
        |world: &World| world.gate.count("GET", "/v1/reconstructions") + world.gate.count("GET", "/v2/reconstructions");
    assert!(reconstructions(&world) > 0, "{:?}", world.gate.seen());
    world.gate.forget();
    let read = api.download_range("ada/demo", "w.bin", 5, 25).await.unwrap();
    assert!(read == bytes[5..25]);
    assert_eq!(
        reconstructions(&world),
        0,
        "for a little, plain HTTP is one request less"
    );

    let mut stream = api
        .download_stream("ada/demo", "w.bin")
        .start(MIB as u64)
        .await
        .unwrap();
    let mut at = MIB;
    while let Some(piece) = stream.try_next().await.unwrap() {
        assert!(piece == bytes[at..at + piece.len()]);
        at += piece.len();
    }
    assert_eq!(at, bytes.len());
    assert!(reconstructions(&world) > 0);

    let file = api.open_file("ada/demo", "w.bin").await.unwrap();
    let read = file.read_at(MIB as u64, 30 * MIB as u64).await.unwrap();
    assert!(read == bytes[MIB..31 * MIB]);
}

/// Tells how much has come.
struct Count(Arc<AtomicU64>);

impl Progress for Count {
    fn advanced(&self, _: ProgressId, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_dropped_midway_is_gone_on_with() {
    let world = World::new().await;
    let bytes = random(24 * MIB, 3);
    world.upload(bytes.clone(), "w.bin").await;
    let api = world.builder().bandwidth_limit(12 * MIB as u64).build().unwrap();
    let metadata = api.get_hf_file_metadata("ada/demo", "w.bin").await.unwrap();
    let mut source = FileSource::new(
        "ada/demo".parse().unwrap(),
        "main".parse().unwrap(),
        "w.bin".parse().unwrap(),
    );
    (source.etag, source.size, source.xet) = (Some(metadata.etag), metadata.size, metadata.xet);
    let partial = world.env.root().join("partial");
    let came = Arc::new(AtomicU64::new(0));
    let options = FetchOptions {
        resume: true,
        progress: ProgressHandle::new(Count(came.clone())),
        ..FetchOptions::default()
    };
    let fetch = {
        let (api, source, partial, options) = (api.clone(), source.clone(), partial.clone(), options.clone());
        tokio::spawn(async move { api.fetch_to_file(&source, &partial, &options).await })
    };
    while came.load(Ordering::SeqCst) < 6 * MIB as u64 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    fetch.abort();
    assert!(fetch.await.unwrap_err().is_cancelled());
    // A write that was under way ends by itself.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let fetched = world.api().fetch_to_file(&source, &partial, &options).await.unwrap();
    assert!(fetched.by_xet && fetched.resumed_from >= 4 * MIB as u64, "{fetched:?}");
    assert!(fs_err::read(&partial).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_midway_leaves_what_the_next_goes_on_with() {
    let world = World::new().await;
    let bytes = random(24 * MIB, 4);
    world.upload(bytes.clone(), "w.bin").await;
    let download = || world.env.hub(["download", "ada/demo", "w.bin", "--progress", "json"]);
    let snapshots = world.env.cache().join("models--ada--demo/snapshots");
    for millis in [50, 300, 700, 1100] {
        // Two seconds in all.
        let mut child = download().args(["--limit-rate", "12000000"]).start();
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let named = hub_tests::files_below(&snapshots);
        assert!(named.is_empty(), "{millis}: {named:?}");
    }
    let output = download().success();
    let done = output.stderr.lines().last().unwrap();
    let done: serde_json::Value = serde_json::from_str(done).unwrap();
    assert_eq!(done["resumed"], 1, "{output}");
    assert!(done["bytes"].as_u64().unwrap() < bytes.len() as u64, "{output}");
    let named: Vec<_> = hub_tests::files_below(&snapshots).into_values().collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(fs_err::read(&named[0]).unwrap() == bytes);
    // The cache holds the one content, and nothing that was begun.
    let blobs = hub_tests::files_below(&world.env.cache().join("models--ada--demo/blobs"));
    assert_eq!(blobs.len(), 1, "{blobs:?}");
    let again = download().success();
    assert_eq!(again.stdout, output.stdout);
}
