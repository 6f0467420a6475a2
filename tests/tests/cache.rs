//! The cache: downloads from hub-server into it and out of it, with and without a Hub to ask.

use std::path::Path;

use hub_cache::{Error, HubCache};
use hub_http::HfApi;
use hub_tests::{ADA, TestEnv, TestHub, noise};
use hub_types::Sha256;

fn cache(env: &TestEnv, hub: &TestHub) -> HubCache {
    HubCache::new(hub.api(ADA), env.cache())
}

/// The same cache with a client that asks nobody.
fn offline(env: &TestEnv) -> HubCache {
    let api = HfApi::builder().offline(true).build().unwrap();
    HubCache::new(api, env.cache())
}

/// The files below a folder, but for the cache's own notes.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() && name != ".cache" {
            names.extend(
                self::names(&entry.path())
                    .into_iter()
                    .map(|below| format!("{name}/{below}")),
            );
        } else if name != ".cache" {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn what_was_downloaded_is_there_without_a_hub() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &["private"]);
    let snapshot = cache(&env, &hub).snapshot_download("ada/demo").await.unwrap();
    assert_eq!(
        names(&snapshot),
        [".gitattributes", "config.json", "model.safetensors", "sub/notes.txt"]
    );
    let head = hub.api(ADA).resolve_revision("ada/demo").await.unwrap();
    assert!(
        snapshot.ends_with(format!("models--ada--demo/snapshots/{head}")),
        "{}",
        snapshot.display()
    );
    drop(hub);

    let offline = offline(&env);
    assert_eq!(offline.snapshot_download("ada/demo").await.unwrap(), snapshot);
    for (name, bytes) in &files {
        let path = offline.download_file("ada/demo", *name).await.unwrap();
        assert_eq!(path, snapshot.join(name));
        assert_eq!(&fs_err::read(path).unwrap(), bytes);
        let path = offline
            .download_file("ada/demo", *name)
            .revision(&*head.to_string())
            .await
            .unwrap();
        assert_eq!(path, snapshot.join(name));
    }
    let err = offline.download_file("ada/demo", "none.txt").await.unwrap_err();
    assert!(matches!(err, Error::NotCached { .. }), "{err}");
    let err = offline.snapshot_download("ada/other").await.unwrap_err();
    assert!(matches!(err, Error::NotCached { .. }), "{err}");
}

#[tokio::test]
async fn a_plain_folder_gets_the_files_that_are_wanted() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    let cache = cache(&env, &hub);
    let plain = env.work().join("plain");
    let path = cache
        .snapshot_download("ada/demo")
        .local_dir(plain.as_path())
        .allow_patterns(["*.json", "*.txt"])
        .ignore_patterns("sub/*")
        .await
        .unwrap();
    assert_eq!(path, plain);
    assert_eq!(names(&plain), ["config.json"]);
    assert!(!plain.join("config.json").is_symlink());
    cache
        .download_file("ada/demo", "sub/notes.txt")
        .local_dir(plain.as_path())
        .await
        .unwrap();
    assert_eq!(names(&plain), ["config.json", "sub/notes.txt"]);

    // A file that the user has changed is fetched again only when it is asked for.
    fs_err::write(plain.join("config.json"), "mine\n").unwrap();
    cache
        .download_file("ada/demo", "config.json")
        .local_dir(plain.as_path())
        .force_download(true)
        .await
        .unwrap();
    assert_eq!(
        fs_err::read_to_string(plain.join("config.json")).unwrap(),
        "{\"hidden\": 4}\n"
    );
}

#[tokio::test]
async fn wrong_bytes_leave_the_cache_as_it_was() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &[]);
    let cache = cache(&env, &hub);
    cache.download_file("ada/demo", "config.json").await.unwrap();
    let (_, bytes) = files.iter().find(|(name, _)| *name == "model.safetensors").unwrap();
    let hex = Sha256::of(bytes).to_string();
    let stored = hub.root().join("lfs").join(&hex[..2]).join(&hex[2..4]).join(&hex);
    let before = names(&env.cache());

    fs_err::write(&stored, noise(bytes.len(), 99)).unwrap();
    let err = cache.download_file("ada/demo", "model.safetensors").await.unwrap_err();
    assert!(matches!(err, Error::Http(_)), "{err}");
    let left: Vec<String> = names(&env.cache())
        .into_iter()
        .filter(|name| !before.contains(name) && !name.contains("/.locks/") && !name.starts_with(".locks/"))
        .collect();
    assert_eq!(left, [""; 0]);

    // The Hub is mended: so is the download.
    fs_err::write(&stored, bytes).unwrap();
    let path = cache.download_file("ada/demo", "model.safetensors").await.unwrap();
    assert_eq!(&fs_err::read(path).unwrap(), bytes);
}

#[tokio::test]
async fn a_moved_branch_gives_a_second_snapshot() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    let cache = cache(&env, &hub);
    let first = cache.snapshot_download("ada/demo").await.unwrap();
    env.write("seed/config.json", "{\"hidden\": 8}\n");
    env.python(hub_tests::Python::V2_4, "python/upload.py", ["ada/demo", "seed"])
        .success();
    let second = cache.snapshot_download("ada/demo").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(
        fs_err::read_to_string(first.join("config.json")).unwrap(),
        "{\"hidden\": 4}\n"
    );
    assert_eq!(
        fs_err::read_to_string(second.join("config.json")).unwrap(),
        "{\"hidden\": 8}\n"
    );
    // What did not change is one file on the disk.
    let target = |folder: &Path| fs_err::canonicalize(folder.join("model.safetensors")).unwrap();
    assert_eq!(target(&first), target(&second));
}
