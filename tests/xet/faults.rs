//! What goes wrong midway.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::world::{Told, World, random};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_midway_is_replaced() {
    // Both ways last longer than a token is valid.
    let world = World::with(|builder| builder.xet_token_lifetime(Duration::from_secs(1))).await;
    let bytes = random(20 * MIB, 1);
    let slow = world.builder().bandwidth_limit(8 * MIB as u64).build().unwrap();
    slow.upload_file("ada/demo", bytes.clone(), "w.bin").await.unwrap();
    let tokens = |world: &World| -> HashSet<String> {
        let seen = world.gate.seen();
        seen.into_iter().filter_map(|seen| seen.token).collect()
    };
    assert!(tokens(&world).len() > 1, "{:?}", tokens(&world));
    world.gate.forget();
    let target = world.env.root().join("w.bin");
    let fetched = slow.download_to_path("ada/demo", "w.bin", &target).await.unwrap();
    assert!(fetched.by_xet && fs_err::read(target).unwrap() == bytes);
    assert!(!tokens(&world).is_empty());
    assert_eq!(world.gate.expired(), 0, "none was sent that was past its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn c_047_a_storage_that_fails_midway_leaves_the_rest_to_plain_http() {
    let world = World::new().await;
    let bytes = random(40 * MIB, 2);
    world.upload(bytes.clone(), "w.bin").await;
    let target = world.env.root().join("w.bin");
    // Nothing of it, and some.
    for (n, let_out) in [0, 1000, 25 * MIB as i64].into_iter().enumerate() {
        world.gate.break_after(let_out);
        let (told, progress) = Told::new();
        let fetched = world
            .api()
            .download_to_path("ada/demo", "w.bin", &target)
            .progress(progress)
            .await
            .unwrap();
        assert_eq!(fetched.bytes, bytes.len() as u64, "{n}");
        assert!(fs_err::read(&target).unwrap() == bytes, "{n}");
        assert_eq!(
            (told.get(|told| &told.files_done), told.get(|told| &told.files_failed)),
            (1, 0)
        );
        let read = world.api().download_bytes("ada/demo", "w.bin").await.unwrap();
        assert!(read == bytes, "{n}");
        fs_err::remove_file(&target).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_falls_silent_is_left_after_a_while() {
    let world = World::new().await;
    let bytes = random(20 * MIB, 3);
    world.upload(bytes.clone(), "w.bin").await;
    world.gate.fall_silent();
    let api = world
        .builder()
        .download_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    let begun = Instant::now();
    let target = world.env.root().join("w.bin");
    let fetched = api.download_to_path("ada/demo", "w.bin", &target).await.unwrap();
    assert!(fs_err::read(&target).unwrap() == bytes);
    assert_eq!(fetched.bytes, bytes.len() as u64);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_takes_nothing_leaves_uploads_to_lfs() {
    let world = World::new().await;
    world.gate.refuse_uploads(true);
    let bytes = random(6 * MIB, 4);
    let (told, progress) = Told::new();
    world
        .api()
        .upload_file("ada/demo", bytes.clone(), "w.bin")
        .progress(progress)
        .await
        .unwrap();
    assert_eq!(world.files_in_store(), 1);
    assert_eq!(
        (told.get(|told| &told.files_done), told.get(|told| &told.files_failed)),
        (1, 0)
    );
    assert!(world.api().download_bytes("ada/demo", "w.bin").await.unwrap() == bytes);

    // A later one goes to the storage again.
    world.gate.refuse_uploads(false);
    world.upload(random(MIB, 5), "x.bin").await;
    assert_eq!(world.files_in_store(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_what_was_never_stored_is_refused() {
    let world = World::new().await;
    let sha256 = hub_types::Sha256::of(b"never");
    let body = format!(
        "{{\"key\":\"header\",\"value\":{{\"summary\":\"x\"}}}}\n{{\"key\":\"lfsFile\",\"value\":{{\"path\":\"x.bin\",\"algo\":\"sha256\",\"oid\":\"{sha256}\",\"size\":5}}}}\n"
    );
    assert_eq!(
        world
            .hub
            .post(hub_tests::ADA, "/api/models/ada/demo/commit/main", &body),
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_begins_to_refuse_midway_leaves_uploads_to_lfs() {
    let world = World::new().await;
    let bytes = random(20 * MIB, 6);
    let slow = world.builder().bandwidth_limit(8 * MIB as u64).build().unwrap();
    let upload = slow.upload_file("ada/demo", bytes.clone(), "w.bin").spawn();
    while world.gate.sent_bytes() < 4 * MIB as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.gate.refuse_uploads(true);
    upload.await.unwrap();
    assert_eq!(world.files_in_store(), 1, "it came by LFS");
    assert!(world.plain().download_bytes("ada/demo", "w.bin").await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_dropped_midway_ends() {
    let world = World::new().await;
    let bytes = random(40 * MIB, 7);
    let slow = world.builder().bandwidth_limit(8 * MIB as u64).build().unwrap();
    let upload = {
        let (slow, bytes) = (slow.clone(), bytes.clone());
        tokio::spawn(async move { slow.upload_file("ada/demo", bytes, "w.bin").await })
    };
    while world.gate.sent_bytes() < 4 * MIB as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    // What was under way ends by itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = world.gate.sent_bytes();
    assert!(sent < 32 * MIB as u64, "{sent}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.gate.sent_bytes(), sent, "nothing is sent any more");
    assert!(!world.api().file_exists("ada/demo", "w.bin").await.unwrap());
    world.upload(bytes.clone(), "w.bin").await;
    assert!(world.api().download_bytes("ada/demo", "w.bin").await.unwrap() == bytes);
}
