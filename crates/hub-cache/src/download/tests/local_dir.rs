//! Downloads into a plain folder.

use super::*;

#[tokio::test]
async fn c_076_a_plain_folder_knows_what_it_has() {
    let hub = hub().await;
    let cache = HubCache::new(hub.api(), hub.root());
    let dir = hub.dir.path().join("plain");
    let get = || cache.download_file("o/n", "d/e/large.bin").local_dir(&dir);
    let path = get().await.unwrap();
    assert_eq!(path, fs::canonicalize(&dir).unwrap().join("d/e/large.bin"));
    assert_eq!(read(&path), "large content");
    assert!(!hub.root().exists(), "the cache is not touched");
    assert_eq!(hub.count().await, 2);
    get().await.unwrap();
    assert_eq!(hub.count().await, 1);
    get().revision(COMMIT).await.unwrap();
    assert_eq!(hub.count().await, 0);
    let left: Vec<_> = walkdir::WalkDir::new(&dir)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(&dir).unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left.len(), 5, "{left:?}");
}

#[tokio::test]
async fn c_077_w_013_without_its_note_a_file_is_compared_by_hash() {
    for name in ["d/e/large.bin", "config.json"] {
        let hub = hub().await;
        let cache = hub.cache();
        let dir = hub.dir.path().join("plain");
        let get = || cache.download_file("o/n", name).local_dir(&dir);
        let path = get().await.unwrap();
        fs::remove_file(dir.join(".cache/huggingface/download").join(format!("{name}.metadata"))).unwrap();
        hub.requests().await;
        get().await.unwrap();
        assert_eq!(hub.count().await, 1, "{name}");
        // Edited later: the note does not hold, the hash does not agree.
        fs::write(
            &path,
            hub.state().files[name].0.iter().map(|b| b ^ 1).collect::<Vec<u8>>(),
        )
        .unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() + Duration::from_secs(5))
            .unwrap();
        get().await.unwrap();
        assert_eq!(hub.count().await, 2, "{name}");
        assert_eq!(fs::read(&path).unwrap(), hub.state().files[name].0);
    }
}

#[tokio::test]
async fn c_079_a_failing_download_leaves_the_old_file() {
    let hub = hub().await;
    let cache = hub.cache();
    let dir = hub.dir.path().join("plain");
    let get = || cache.download_file("o/n", "config.json").local_dir(&dir);
    let path = get().await.unwrap();
    {
        let mut state = hub.state();
        state
            .files
            .insert("config.json".into(), (b"{\"hello\": 2}\n".to_vec(), false));
        state.commit = NEXT.into();
        state.get_status = Some(403);
    }
    assert!(get().await.is_err());
    assert_eq!(read(&path), TEXT);
    hub.state().get_status = None;
    get().await.unwrap();
    assert_eq!(read(&path), "{\"hello\": 2}\n");
    // Unreachable: what is there is given.
    hub.state().status = Some((503, ""));
    assert_eq!(get().await.unwrap(), path);
}

#[tokio::test]
async fn c_081_what_the_cache_has_is_copied() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.download_file("o/n", "config.json").await.unwrap();
    hub.requests().await;
    let dir = hub.dir.path().join("plain");
    let path = cache.download_file("o/n", "config.json").local_dir(&dir).await.unwrap();
    assert_eq!(hub.count().await, 1);
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(
        GitOid::of(&fs::read(&path).unwrap()).to_string(),
        etag_of(TEXT.as_bytes(), false)
    );
}

#[tokio::test]
async fn c_080_a_dry_run_into_a_plain_folder_creates_nothing() {
    let hub = hub().await;
    let dir = hub.dir.path().join("plain");
    let get = hub.cache().download_file("o/n", "config.json").local_dir(&dir);
    let path = get.dry_run(true).await.unwrap();
    assert!(path.ends_with("plain/config.json"), "{}", path.display());
    let all = hub.cache().snapshot_download("o/n").local_dir(&dir).dry_run(true);
    all.await.unwrap();
    assert!(!dir.exists() && !hub.root().exists());
}
