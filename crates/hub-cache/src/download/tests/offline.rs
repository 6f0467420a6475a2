//! What the cache answers by itself: cached files, no Hub, offline, a read-only disk.

use super::*;

#[tokio::test]
async fn a_cached_file_takes_one_question_at_a_branch_and_none_at_a_commit() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.download_file("o/n", "config.json").await.unwrap();
    hub.requests().await;
    cache.download_file("o/n", "config.json").await.unwrap();
    assert_eq!(hub.requests().await, ["HEAD /o/n/resolve/main/config.json"]);
    cache
        .download_file("o/n", "config.json")
        .revision(COMMIT)
        .await
        .unwrap();
    assert_eq!(hub.count().await, 0);
    // C-14: a commit has no ref.
    assert_eq!(fs::read_dir(hub.repo().join("refs")).unwrap().count(), 1);
}

#[tokio::test]
async fn the_same_content_is_fetched_once() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.download_file("o/n", "config.json").await.unwrap();
    hub.requests().await;
    let path = cache.download_file("o/n", "same.json").await.unwrap();
    assert_eq!(read(&path), TEXT);
    assert_eq!(hub.requests().await, ["HEAD /o/n/resolve/main/same.json"]);
}

#[tokio::test]
async fn a_new_commit_with_the_same_content_moves_the_ref_and_fetches_nothing() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.download_file("o/n", "config.json").await.unwrap();
    hub.requests().await;
    hub.state().commit = NEXT.into();
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    assert!(path.starts_with(hub.repo().join("snapshots").join(NEXT)));
    assert_eq!(read(&hub.repo().join("refs/main")), NEXT);
    assert_eq!(hub.count().await, 1);
}

#[tokio::test]
async fn c_068_w_021_a_cached_file_serves_where_the_hub_cannot() {
    let hub = hub().await;
    let cache = hub.cache();
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    for (status, code) in [(401, ""), (403, "GatedRepo"), (403, ""), (500, ""), (503, "")] {
        hub.state().status = Some((status, code));
        assert_eq!(
            cache.download_file("o/n", "config.json").await.unwrap(),
            path,
            "{status} {code}"
        );
    }
    hub.state().status = None;
    hub.state().wrong_commit = Some("main");
    assert_eq!(cache.download_file("o/n", "config.json").await.unwrap(), path);
    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let api = hub_http::HfApi::builder().endpoint(&address).build().unwrap();
    let unreachable = HubCache::new(api, hub.root());
    assert_eq!(unreachable.download_file("o/n", "config.json").await.unwrap(), path);
    // One that hangs up in the middle of the headers, one that resets the connection, and one that says nothing.
    let hang_up = |mut socket: std::net::TcpStream| {
        let _ = std::io::Write::write_all(&mut socket, b"HTTP/1.1 200 O");
    };
    // What is not read when the socket is closed is answered with a reset.
    let reset = |socket: std::net::TcpStream| drop(socket.peek(&mut [0]));
    let silent = |socket: std::net::TcpStream| std::mem::forget(socket);
    type Answer = fn(std::net::TcpStream);
    let ways: [(&str, Answer); 3] = [("hangs up", hang_up), ("resets", reset), ("is silent", silent)];
    for (way, answer) in ways {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                answer(socket);
            }
        });
        let builder = hub_http::HfApi::builder().endpoint(&address);
        let api = builder.retries(2, Duration::from_millis(1)).build().unwrap();
        let broken = HubCache::new(api, hub.root());
        let get = broken.download_file("o/n", "config.json").etag_timeout(0.3);
        assert_eq!(get.await.unwrap(), path, "the Hub {way}");
        // What is not cached is asked for once more, for up to a minute.
        if way != "is silent" {
            let err = broken.download_file("o/n", "other.json").await.unwrap_err();
            assert!(err.is_not_cached(), "the Hub {way}: {err:?}");
        }
    }
}

#[tokio::test]
async fn c_069_what_the_hub_says_does_not_exist_is_not_served() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.download_file("o/n", "config.json").await.unwrap();
    for code in ["EntryNotFound", "RevisionNotFound"] {
        hub.state().status = Some((404, code));
        let err = cache.download_file("o/n", "config.json").await.unwrap_err();
        assert!(err.is_not_found(), "{err:?}");
    }
    hub.state().status = Some((401, "RepoNotFound"));
    let err = cache.download_file("o/n", "same.json").await.unwrap_err();
    assert!(matches!(err.http(), Some(HttpError::RepoNotFound(_))), "{err:?}");
}

#[tokio::test]
async fn c_073_offline_nothing_leaves_the_process() {
    let hub = hub().await;
    let path = hub.cache().download_file("o/n", "config.json").await.unwrap();
    hub.requests().await;
    let offline = hub.offline();
    assert_eq!(offline.download_file("o/n", "config.json").await.unwrap(), path);
    let err = offline.download_file("o/n", "same.json").await.unwrap_err();
    assert!(
        matches!(
            err,
            Error::NotCached {
                reason: NotFetched::Offline,
                ..
            }
        ),
        "{err:?}"
    );
    assert_eq!(
        err.to_string(),
        "same.json of model 'o/n' at main is not in the cache, and offline mode is on"
    );
    let local = hub.cache().download_file("o/n", "same.json").local_files_only(true);
    assert!(local.await.unwrap_err().is_not_cached());
    assert_eq!(hub.count().await, 0);
}

#[tokio::test]
async fn c_019_a_read_only_cache_serves_what_it_has() {
    use std::os::unix::fs::PermissionsExt;

    let hub = hub().await;
    let cache = hub.cache();
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    fs::remove_file(hub.repo().join("refs/main")).unwrap();
    let dirs = [
        hub.root(),
        hub.repo(),
        hub.repo().join("refs"),
        hub.repo().join("blobs"),
    ];
    for dir in &dirs {
        fs::set_permissions(dir, std::fs::Permissions::from_mode(0o555)).unwrap();
    }
    assert_eq!(cache.download_file("o/n", "config.json").await.unwrap(), path);
    for dir in &dirs {
        fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn names_that_would_leave_are_refused_before_anything() {
    let hub = hub().await;
    let cache = hub.cache();
    for name in ["../x", "/x", "a/../../x", "C:/x", ""] {
        let err = cache.download_file("o/n", name).await.unwrap_err();
        assert!(matches!(err, Error::Invalid(_)), "{name}: {err:?}");
    }
    assert!(cache.download_file("o/n", "x").revision("../../x").await.is_err());
    assert!(cache.download_file("o--n", "x").await.is_err());
    assert!(cache.download_file("o/n", "x").subfolder("..").await.is_err());
    assert!(cache.download_file("o/n", "x").etag_timeout(-1.0).await.is_err());
    assert_eq!(hub.count().await, 0);
    assert!(!hub.root().exists());
}

#[tokio::test]
async fn a_plan_writes_nothing() {
    let hub = hub().await;
    let cache = hub.cache();
    let plan = cache.download_file("o/n", "config.json").plan().await.unwrap();
    assert_eq!(
        (plan.size, plan.is_cached, plan.will_download),
        (Some(TEXT.len() as u64), false, true)
    );
    let path = cache.download_file("o/n", "config.json").dry_run(true).await.unwrap();
    assert_eq!(path, plan.local_path);
    assert!(!hub.root().exists());
    let local = hub.dir.path().join("plain");
    let plan = cache
        .download_file("o/n", "config.json")
        .local_dir(&local)
        .plan()
        .await
        .unwrap();
    assert!(plan.will_download && plan.local_path.ends_with("plain/config.json"));
    assert!(!local.exists(), "C-80");
    cache.download_file("o/n", "config.json").await.unwrap();
    let plan = cache.download_file("o/n", "config.json").plan().await.unwrap();
    assert!(plan.is_cached && !plan.will_download);
}
