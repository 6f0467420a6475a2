//! What a download leaves in the cache, and where.

use super::*;

#[tokio::test]
async fn c_013_c_014_a_first_download_lays_everything_out() {
    let hub = hub().await;
    let path = hub.cache().download_file("o/n", "config.json").await.unwrap();
    assert_eq!(path, hub.repo().join("snapshots").join(COMMIT).join("config.json"));
    assert_eq!(read(&path), TEXT);
    let etag = etag_of(TEXT.as_bytes(), false);
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("../../blobs").join(&etag));
    assert_eq!(read(&hub.repo().join("refs/main")), COMMIT);
    assert_eq!(fs::metadata(hub.root().join("CACHEDIR.TAG")).unwrap().len(), 191);
    let lock = hub.root().join(".locks/models--o--n").join(format!("{etag}.lock"));
    assert_eq!(fs::metadata(lock).unwrap().len(), 0);
    assert_eq!(
        hub.requests().await,
        [
            "HEAD /o/n/resolve/main/config.json",
            "GET /o/n/resolve/main/config.json"
        ]
    );

    let large = hub
        .cache()
        .download_file("o/n", "large.bin")
        .subfolder("d/e")
        .await
        .unwrap();
    let etag = etag_of(b"large content", true);
    assert_eq!(fs::read_link(large).unwrap(), Path::new("../../../../blobs").join(etag));
    // Nothing lies about, and nothing is odd.
    let report = scan(&hub.root()).unwrap();
    assert_eq!(report.warnings, []);
    assert_eq!((report.partials, report.leftovers), (vec![], vec![]));
    assert_eq!(fs::read_dir(hub.repo().join("blobs")).unwrap().count(), 2);
}

#[tokio::test]
async fn c_009_a_blob_has_the_bare_etag_and_the_linked_one_wins() {
    for weak in [false, true] {
        let hub = hub().await;
        hub.state().weak = weak;
        for (name, text, lfs) in [("config.json", TEXT, false), ("d/e/large.bin", "large content", true)] {
            let path = hub.cache().download_file("o/n", name).await.unwrap();
            let blob = fs::canonicalize(path).unwrap();
            let etag = etag_of(text.as_bytes(), lfs);
            assert_eq!(blob.file_name().unwrap().to_str(), Some(etag.as_str()), "{weak} {name}");
        }
    }
}

#[tokio::test]
async fn c_010_w_006_an_etag_that_is_a_path_writes_nothing() {
    let hub = hub().await;
    hub.state().wrong_etag = Some("../../../../escaped");
    let err = hub.cache().download_file("o/n", "config.json").await.unwrap_err();
    assert!(err.is_not_cached(), "{err}");
    assert!(!hub.root().exists());
    assert!(!hub.dir.path().join("escaped").exists());
}

#[tokio::test]
async fn c_011_a_commit_that_is_none_writes_nothing() {
    let hub = hub().await;
    hub.state().wrong_commit = Some("main");
    let err = hub.cache().download_file("o/n", "config.json").await.unwrap_err();
    assert!(
        matches!(
            err,
            Error::NotCached {
                reason: NotFetched::NoMetadata,
                ..
            }
        ),
        "{err:?}"
    );
    assert!(!hub.root().exists());
}

#[tokio::test]
async fn c_018_a_missing_file_is_noted() {
    let hub = hub().await;
    let err = hub.cache().download_file("o/n", "none.txt").await.unwrap_err();
    assert!(
        err.is_not_found() && matches!(err.http(), Some(HttpError::EntryNotFound(_))),
        "{err:?}"
    );
    let mark = hub.repo().join(".no_exist").join(COMMIT).join("none.txt");
    assert_eq!(fs::metadata(mark).unwrap().len(), 0);
    assert!(hub.repo().join("snapshots").join(COMMIT).is_dir());
    let looked =
        Cache::new(hub.root()).lookup(&"o/n".parse().unwrap(), &"none.txt".parse().unwrap(), &Revision::main());
    assert_eq!(looked, Lookup::KnownMissing);
    assert_eq!(scan(&hub.root()).unwrap().warnings, []);
}

#[tokio::test]
async fn c_020_c_029_a_content_without_a_pointer_is_linked() {
    let hub = hub().await;
    let cache = hub.cache();
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    fs::remove_file(&path).unwrap();
    hub.requests().await;
    cache.download_file("o/n", "config.json").await.unwrap();
    assert_eq!(read(&path), TEXT);
    assert_eq!(hub.count().await, 1);
}

#[tokio::test]
async fn c_048_c_050_w_012_without_links_a_forced_content_becomes_visible() {
    let hub = hub().await;
    let cache = hub.without_links();
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(fs::read_dir(hub.repo().join("blobs")).unwrap().count(), 0);
    fs::write(&path, "edited by hand").unwrap();
    cache
        .download_file("o/n", "config.json")
        .force_download(true)
        .await
        .unwrap();
    assert_eq!(read(&path), TEXT);
    hub.requests().await;
    cache.download_file("o/n", "config.json").await.unwrap();
    assert_eq!(hub.count().await, 1);
}

#[tokio::test]
async fn c_002_the_argument_beats_the_clients_own_cache() {
    let hub = hub().await;
    let other = fs::canonicalize(hub.dir.path()).unwrap().join("other");
    let get = hub.cache().download_file("o/n", "config.json").cache_dir(&other);
    assert!(get.await.unwrap().starts_with(&other));
    assert!(!hub.root().exists());
}

/// The permission bits of everything below `dir`, by whether it is a folder, without the links.
fn modes(dir: &Path) -> Vec<(PathBuf, bool, u32)> {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_type().is_symlink())
        .map(|entry| {
            let mode = entry.metadata().unwrap().mode() & 0o777;
            (entry.path().to_owned(), entry.file_type().is_dir(), mode)
        })
        .collect()
}

/// The mask is the whole process's, so the test runs itself again in a process that has it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn c_027_w_007_every_file_has_the_mode_of_the_umask() {
    const NAME: &str = "download::tests::layout::c_027_w_007_every_file_has_the_mode_of_the_umask";
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    if umask.trim() != "0027" {
        let run = std::process::Command::new("sh")
            .args(["-c", "umask 027 && exec \"$0\" --exact \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg(NAME)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let hub = hub().await;
    hub.cache().snapshot_download("o/n").await.unwrap();
    assert!(hub.cache().download_file("o/n", "none.txt").await.is_err());
    let modes = modes(&hub.root());
    for (path, is_dir, mode) in &modes {
        let wanted = match path.extension().is_some_and(|end| end == "lock") {
            true => 0o664,
            false if *is_dir => 0o750,
            false => 0o640,
        };
        assert_eq!(*mode, wanted, "{}", path.display());
    }
    // Contents, ref, listing, mark, tag and locks are all among them.
    for part in [
        "/blobs/",
        "/refs/main",
        "/trees/",
        "/.no_exist/",
        "CACHEDIR.TAG",
        ".lock",
    ] {
        let there = |path: &Path| path.to_string_lossy().contains(part);
        assert!(modes.iter().any(|(path, is_dir, _)| !is_dir && there(path)), "{part}");
    }
}

#[tokio::test]
async fn c_061_what_comes_over_http_is_not_put_into_the_shared_store() {
    let hub = hub().await;
    let store = hub.root().join("blobs");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join(".huggingface-shared-blobs"), "1\n").unwrap();
    let path = hub.cache().download_file("o/n", "d/e/large.bin").await.unwrap();
    assert_eq!(read(&path), "large content");
    let blob = hub.repo().join("blobs").join(etag_of(b"large content", true));
    assert!(fs::symlink_metadata(blob).unwrap().is_file());
    assert_eq!(fs::read_dir(&store).unwrap().count(), 1, "the marker alone");
}

#[tokio::test]
async fn a_link_planted_in_a_snapshot_is_not_written_through() {
    let hub = hub().await;
    let outside = hub.dir.path().join("outside");
    fs::create_dir_all(&outside).unwrap();
    let snapshot = hub.repo().join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    std::os::unix::fs::symlink(&outside, snapshot.join("d")).unwrap();
    let err = hub.cache().download_file("o/n", "d/e/large.bin").await.unwrap_err();
    assert!(
        err.to_string().contains("snapshots"),
        "the error names the place: {err}"
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read_dir(hub.repo().join("blobs")).unwrap().count(), 0);
}
