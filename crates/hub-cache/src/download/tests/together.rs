//! Several downloads of one file at one time.

use super::*;

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
async fn who_waits_for_a_lock_and_is_dropped_never_takes_it() {
    let hub = hub().await;
    assert_eq!(hub.cache().cache().lock_limit(), None, "one waits as long as it takes");
    let etag = etag_of(TEXT.as_bytes(), false);
    let path = hub.root().join(".locks/models--o--n").join(format!("{etag}.lock"));
    let held = lock::lock(&path, None).unwrap();
    let waiting = hub.cache().download_file("o/n", "config.json");
    let ended = tokio::time::timeout(Duration::from_millis(200), waiting).await;
    assert!(ended.is_err(), "{ended:?}");
    drop(held);
    tokio::time::sleep(2 * lock::POLL).await;
    assert!(matches!(lock::try_lock(&path).unwrap(), lock::Attempt::Held(lock) if lock.is_exclusive()));
    assert!(!hub.repo().join("blobs").join(&etag).exists());
    let gets = hub.requests().await.iter().filter(|r| r.starts_with("GET")).count();
    assert_eq!(gets, 0);
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
