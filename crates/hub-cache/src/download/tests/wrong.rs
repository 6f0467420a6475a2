//! Contents that are wrong, short or refused, and downloads that are forced.

use super::*;

#[tokio::test]
async fn c_021_c_022_w_001_a_short_or_vanished_content_is_fetched_again() {
    let hub = hub().await;
    let cache = hub.cache();
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    let blob = fs::canonicalize(&path).unwrap();
    fs::write(&blob, "{").unwrap();
    cache.download_file("o/n", "config.json").await.unwrap();
    assert_eq!(read(&path), TEXT);
    fs::remove_file(&blob).unwrap();
    cache.download_file("o/n", "config.json").await.unwrap();
    assert_eq!(read(&path), TEXT);
}

#[tokio::test]
async fn c_023_c_024_other_bytes_than_announced_are_refused_after_one_more_try() {
    for name in ["config.json", "d/e/large.bin"] {
        let hub = hub().await;
        let wrong = hub.state().files[name].0.iter().map(|b| b ^ 1).collect::<Vec<u8>>();
        hub.state().body = Some(wrong.clone());
        let err = hub.cache().download_file("o/n", name).await.unwrap_err();
        assert!(matches!(err, Error::Http(HttpError::Integrity { .. })), "{err:?}");
        assert_eq!(
            fs::read_dir(hub.repo().join("blobs")).unwrap().count(),
            0,
            "nothing is kept"
        );
        assert!(!hub.repo().join("snapshots").join(COMMIT).join(name).exists());
        let gets = hub.requests().await.iter().filter(|r| r.starts_with("GET")).count();
        assert_eq!(gets, 2);

        hub.state().body = None;
        hub.state().body_once = Some(wrong);
        let path = hub.cache().download_file("o/n", name).await.unwrap();
        assert_eq!(fs::read(path).unwrap(), hub.state().files[name].0);
    }
}

#[tokio::test]
async fn c_025_a_forced_download_leaves_an_open_reader_its_bytes() {
    let hub = hub().await;
    let cache = hub.cache();
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    hub.requests().await;
    let mut open = fs::File::open(&path).unwrap();
    cache
        .download_file("o/n", "config.json")
        .force_download(true)
        .await
        .unwrap();
    assert_eq!(hub.count().await, 2);
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut open, &mut text).unwrap();
    assert_eq!(text, TEXT);
}

#[tokio::test]
async fn c_026_force_without_a_hub_is_an_error() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.download_file("o/n", "config.json").await.unwrap();
    hub.requests().await;
    let local = cache
        .download_file("o/n", "config.json")
        .force_download(true)
        .local_files_only(true);
    assert!(matches!(
        local.await.unwrap_err(),
        Error::CannotForce {
            reason: NotFetched::LocalFilesOnly,
            ..
        }
    ));
    let offline = hub.offline();
    let forced = offline.download_file("o/n", "config.json").force_download(true);
    assert!(matches!(
        forced.await.unwrap_err(),
        Error::CannotForce {
            reason: NotFetched::Offline,
            ..
        }
    ));
    assert_eq!(hub.count().await, 0);
}

#[tokio::test]
async fn c_044_a_size_that_is_not_told_comes_with_the_bytes() {
    let hub = hub().await;
    hub.state().no_size = true;
    let path = hub.cache().download_file("o/n", "d/e/large.bin").await.unwrap();
    assert_eq!(read(&path), "large content");
}

#[tokio::test]
async fn c_045_a_refusal_never_becomes_a_content() {
    let hub = hub().await;
    hub.state().get_status = Some(403);
    let err = hub.cache().download_file("o/n", "config.json").await.unwrap_err();
    assert_eq!(err.http().and_then(HttpError::status), Some(403));
    assert_eq!(fs::read_dir(hub.repo().join("blobs")).unwrap().count(), 0);
    assert!(!hub.repo().join("refs").exists(), "the ref moves last");
}
