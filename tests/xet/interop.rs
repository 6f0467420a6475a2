//! The official Python client with its own Xet, and the hub command.

use hub_cache::HubCache;
use hub_tests::Python;

use crate::world::{World, random};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_and_ours_read_what_the_other_stored() {
    let world = World::new().await;
    let bytes = random(7 * MIB, 1);
    world.env.write("theirs/a.bin", &bytes);
    world.env.write("theirs/sub/config.json", "{}");
    let python = |script: &str, args: &[&str]| {
        world
            .env
            .python(Python::V2_4, script, args)
            .env("HF_HUB_DISABLE_XET", "0")
            .success()
    };
    python("python/upload.py", &["ada/theirs", "theirs"]);
    assert_eq!(world.files_in_store(), 0, "it went by Xet");
    let cache = HubCache::new(world.api(), world.env.root().join("cache"));
    let folder = cache.snapshot_download("ada/theirs").await.unwrap();
    assert!(fs_err::read(folder.join("a.bin")).unwrap() == bytes);

    let ours = random(5 * MIB, 2);
    world.upload(ours.clone(), "b.bin").await;
    world.gate.forget();
    let output = python("python/xet.py", &["ada/demo", "b.bin"]);
    assert_eq!(
        output.stdout.trim(),
        format!("{} {}", ours.len(), hub_types::Sha256::of(&ours))
    );
    assert!(
        world.gate.count("GET", "/v1/reconstructions") + world.gate.count("GET", "/v2/reconstructions") > 0,
        "it came by Xet"
    );
    assert_eq!(world.files_in_store(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_what_was_deduplicated() {
    let world = World::new().await;
    let mut bytes = random(4 * MIB, 3);
    world.env.write("w.bin", &bytes);
    let _ = world.env.hub(["upload", "ada/demo", "w.bin", "w.bin"]).success();
    bytes.extend(random(100_000, 4));
    world.env.write("w.bin", &bytes);
    let again = world
        .env
        .hub([
            "upload",
            "ada/demo",
            "w.bin",
            "w.bin",
            "--progress",
            "plain",
            "--format",
            "human",
        ])
        .success();
    assert!(again.stderr.contains("MB deduplicated"), "{again}");
    assert_eq!(world.files_in_store(), 0);
    world.gate.forget();
    let down = world
        .env
        .hub([
            "download",
            "ada/demo",
            "w.bin",
            "--local-dir",
            "out",
            "--format",
            "quiet",
        ])
        .success();
    assert!(
        fs_err::read(world.env.work().join("out/w.bin")).unwrap() == bytes,
        "{down}"
    );
    assert!(world.gate.count("GET", "/v1/reconstructions") + world.gate.count("GET", "/v2/reconstructions") > 0);
}
