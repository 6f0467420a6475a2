use std::os::unix::fs::MetadataExt;

use hub_types::GitOid;

use super::*;
use crate::lock;
use crate::scan::scan;
use crate::testing::{COMMIT, FakeHub, NEXT, etag_of};
use crate::{Cache, Lookup};

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
    // One that hangs up at once, in the middle of the headers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let _ = std::io::Write::write_all(&mut socket, b"HTTP/1.1 200 O");
        }
    });
    let api = hub_http::HfApi::builder().endpoint(&address).build().unwrap();
    let broken = HubCache::new(api, hub.root());
    assert_eq!(broken.download_file("o/n", "config.json").await.unwrap(), path);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_030_many_at_once_fetch_once() {
    let hub = hub().await;
    let jobs: Vec<_> = (0..8)
        .map(|_| hub.cache().download_file("o/n", "config.json").spawn())
        .collect();
    for job in jobs {
        assert_eq!(read(&job.await.unwrap()), TEXT);
    }
    let gets = hub.requests().await.iter().filter(|r| r.starts_with("GET")).count();
    assert_eq!(gets, 1);
    assert_eq!(fs::read_dir(hub.repo().join("blobs")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_031_c_035_w_004_without_working_locks_all_get_the_right_bytes() {
    use crate::lock::faults::{Fault, below};

    let errors = [
        rustix::io::Errno::NOLCK,
        rustix::io::Errno::OPNOTSUPP,
        rustix::io::Errno::NOSYS,
    ];
    let failing = errors.map(|errno| Fault::Fails(errno.raw_os_error()));
    for fault in failing.into_iter().chain([Fault::GrantedToAll]) {
        let hub = hub().await;
        below(&hub.root(), fault);
        let jobs: Vec<_> = (0..6)
            .map(|_| hub.cache().download_file("o/n", "config.json").spawn())
            .collect();
        for job in jobs {
            assert_eq!(read(&job.await.unwrap()), TEXT, "{fault:?}");
        }
        let report = scan(&hub.root()).unwrap();
        assert_eq!((report.warnings.len(), report.partials.len()), (0, 0), "{fault:?}");
        let blob = hub.repo().join("blobs").join(etag_of(TEXT.as_bytes(), false));
        assert_eq!(read(&blob), TEXT);
    }
}

#[tokio::test]
async fn a_lock_that_never_comes_free_costs_bandwidth_only() {
    let hub = hub().await;
    let cache = Cache::new(hub.root()).with_lock_limit(Some(Duration::from_millis(30)));
    let etag = etag_of(TEXT.as_bytes(), false);
    let lock = hub.root().join(".locks/models--o--n").join(format!("{etag}.lock"));
    let held = lock::lock(&lock, None).unwrap();
    let cache = HubCache::with_cache(hub.api(), cache);
    let path = cache.download_file("o/n", "config.json").await.unwrap();
    assert_eq!(read(&path), TEXT);
    drop(held);
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
async fn c_028_a_dropped_download_leaves_no_content() {
    let hub = hub().await;
    let job = hub.cache().download_file("o/n", "config.json").spawn();
    job.abort();
    let _ = job.await;
    let blob = hub.repo().join("blobs").join(etag_of(TEXT.as_bytes(), false));
    if blob.exists() {
        assert_eq!(read(&blob), TEXT);
    }
    assert_eq!(
        read(&hub.cache().download_file("o/n", "config.json").await.unwrap()),
        TEXT
    );
}

/// A server of one file that sends half of it and then no more, as long as `stalls` says so. Gives its address and the
/// ranges that were asked for.
fn stalling_server(
    content: Vec<u8>,
    stalls: std::sync::Arc<std::sync::atomic::AtomicBool>,
) -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Write};
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let (log, content) = (ranges.clone(), Arc::new(content));
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let (log, content, stalls) = (log.clone(), content.clone(), stalls.clone());
            std::thread::spawn(move || {
                let lines: Vec<String> = BufReader::new(&socket)
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let head = lines.first().is_some_and(|line| line.starts_with("HEAD"));
                let range = lines
                    .iter()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: ").map(str::to_owned));
                let from: usize = range
                    .as_deref()
                    .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok())
                    .unwrap_or(0);
                let size = content.len();
                let status = if range.is_some() {
                    "206 Partial Content"
                } else {
                    "200 OK"
                };
                let etag = etag_of(&content, true);
                let _ = write!(
                    socket,
                    "HTTP/1.1 {status}\r\nETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nAccept-Ranges: bytes\r\n\
                     Content-Length: {}\r\nContent-Range: bytes {from}-{}/{size}\r\nConnection: close\r\n\r\n",
                    size - from,
                    size - 1
                );
                if head {
                    return;
                }
                log.lock().unwrap().push(range.unwrap_or_default());
                if !stalls.load(Ordering::SeqCst) {
                    let _ = socket.write_all(&content[from..]);
                    return;
                }
                let _ = socket.write_all(&content[from..(size / 2).max(from)]);
                while stalls.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    });
    (address, ranges)
}

#[tokio::test]
async fn c_042_w_002_an_interrupted_download_is_gone_on_with_and_a_damaged_one_begun_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let content: Vec<u8> = (0..6_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for damaged in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let stalls = Arc::new(AtomicBool::new(true));
        let (address, ranges) = stalling_server(content.clone(), stalls.clone());
        // One connection: how many requests there are is what is looked at, and the others would be asked to help.
        let api = hub_http::HfApi::builder()
            .endpoint(&address)
            .max_connections(1)
            .build()
            .unwrap();
        let cache = HubCache::new(api, dir.path());
        let blobs = dir.path().join("models--o--n/blobs");
        let partials = || -> Vec<PathBuf> {
            let entries = fs::read_dir(&blobs).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "incomplete"))
                .collect()
        };
        let job = cache.download_file("o/n", "large.bin").spawn();
        // Until a part of it is on the disk.
        while !partials()
            .iter()
            .any(|path| fs::metadata(path).is_ok_and(|meta| meta.blocks() > 0))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        job.abort();
        assert!(job.await.is_err());
        let left = partials();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(!blobs.join(etag_of(&content, true)).exists());
        // The engine's tasks end a moment after the job, and write what they have.
        let journal = PathBuf::from(format!("{}.journal", left[0].display()));
        while !journal.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if damaged {
            use std::os::unix::fs::FileExt;
            let file = std::fs::File::options().write(true).open(&left[0]).unwrap();
            file.write_all_at(b"not what was sent", 1000).unwrap();
        }
        stalls.store(false, Ordering::SeqCst);
        let path = cache.download_file("o/n", "large.bin").await.unwrap();
        assert_eq!(fs::read(path).unwrap(), content);
        let ranges = ranges.lock().unwrap().clone();
        assert_eq!(ranges[0], "");
        let from: u64 = ranges[1]
            .strip_prefix("bytes=")
            .unwrap()
            .split('-')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(from >= 1 << 20, "{ranges:?}");
        assert_eq!(ranges.len(), if damaged { 3 } else { 2 }, "{ranges:?}");
        let left: Vec<_> = fs::read_dir(&blobs)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, [std::ffi::OsString::from(etag_of(&content, true))]);
    }
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
    const NAME: &str = "download::tests::c_027_w_007_every_file_has_the_mode_of_the_umask";
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
