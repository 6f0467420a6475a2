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

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_switches_xet_off() {
    let mut world = World::new().await;
    world.env.set("HF_HUB_DISABLE_XET", "1");
    world.env.write("w.bin", random(2 * MIB, 9));
    let _ = world.env.hub(["upload", "ada/demo", "w.bin", "w.bin"]).success();
    assert_eq!(world.files_in_store(), 1, "it came by LFS");
    // What lies in the storage comes through the Hub's own address.
    world.upload(random(2 * MIB, 10), "stored.bin").await;
    assert_eq!(world.files_in_store(), 1);
    let _ = world
        .env
        .hub(["download", "ada/demo", "stored.bin", "--local-dir", "out"])
        .success();
    assert!(fs_err::read(world.env.work().join("out/stored.bin")).unwrap() == random(2 * MIB, 10));
}

/// The store that the repositories of a cache share: filled by one client, used by the other, let go of by either.
#[tokio::test(flavor = "multi_thread")]
async fn either_client_links_what_the_other_has_put_into_the_shared_store() {
    let world = World::new().await;
    let files = [("theirs.bin", random(3 * MIB, 11)), ("ours.bin", random(2 * MIB, 12))];
    for repo in ["ada/a", "ada/b"] {
        world.api().create_repo(repo).await.unwrap();
        for (name, bytes) in &files {
            world.api().upload_file(repo, bytes.clone(), *name).await.unwrap();
        }
    }
    let python = |args: &[&str]| {
        let command = world.env.python(Python::V2_4, "python/shared_blobs.py", args);
        command
            .env("HF_HUB_DISABLE_XET", "0")
            .success()
            .stdout
            .trim_end()
            .to_owned()
    };
    let fetched = || world.gate.count("GET", "/v1/reconstructions") + world.gate.count("GET", "/v2/reconstructions");
    let root = fs_err::canonicalize(world.env.hf_home()).unwrap().join("hub");
    let store = root.join("blobs");
    let cache = HubCache::new(world.api(), &root);

    let link = python(&["download", "ada/a", "theirs.bin"]);
    assert!(link.starts_with("../../blobs/"), "{link}");
    world.gate.forget();
    let path = cache.download_file("ada/b", "theirs.bin").await.unwrap();
    assert!(fs_err::read(&path).unwrap() == files[0].1);
    assert!(fs_err::canonicalize(path).unwrap().starts_with(&store));
    assert_eq!(fetched(), 0, "it was here");

    let path = cache.download_file("ada/a", "ours.bin").await.unwrap();
    assert!(
        fs_err::canonicalize(path).unwrap().starts_with(&store),
        "it came by Xet"
    );
    world.gate.forget();
    let link = python(&["download", "ada/b", "ours.bin"]);
    assert!(link.starts_with("../../blobs/"), "{link}");
    assert_eq!(fetched(), 0, "it was here");

    // Either client knows the other's references, and counts each payload once.
    let state: serde_json::Value = serde_json::from_str(&python(&["state"])).unwrap();
    assert_eq!(state["warnings"], serde_json::json!([]));
    assert_eq!(state["unreferenced"], serde_json::json!([]));
    let references = state["payloads"].as_object().unwrap();
    assert_eq!(references.len(), 2);
    assert!(
        references.values().all(|blobs| blobs.as_array().unwrap().len() == 2),
        "{state}"
    );
    let report = hub_cache::scan(&root).unwrap();
    assert_eq!(
        (report.warnings.len(), report.size),
        (0, state["size"].as_u64().unwrap())
    );
    assert!(
        report
            .shared
            .iter()
            .all(|blob| blob.references.as_ref().unwrap().len() == 2)
    );

    // The official client's deletion leaves what ours needs, and ours then lets go of it.
    assert_eq!(python(&["delete", "ada/a"]), "0");
    assert!(fs_err::read(cache.download_file("ada/b", "ours.bin").await.unwrap()).unwrap() == files[1].1);
    let report = hub_cache::scan(&root).unwrap();
    let last = hub_cache::Target::Repo(hub_types::RepoType::Model, "ada/b".to_owned());
    let deleted = hub_cache::DeletionPlan::delete(&report, &[last]).execute().unwrap();
    assert_eq!((deleted.repos, deleted.shared), (1, 2));
    let state: serde_json::Value = serde_json::from_str(&python(&["state"])).unwrap();
    assert_eq!(
        (&state["payloads"], &state["size"]),
        (&serde_json::json!({}), &serde_json::json!(0))
    );
}
