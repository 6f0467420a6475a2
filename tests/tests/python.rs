//! The official Python clients as judges: of hub-server, which must be a Hub to them, and of our cache, which must be
//! theirs.

use std::path::Path;

use hub_cache::{Cache, HubCache};
use hub_http::HfApi;
use hub_tests::{ADA, Python, TestEnv};
use hub_types::Sha256;

#[test]
fn python_2_4_makes_and_describes_repositories() {
    TestEnv::judge(Python::V2_4, "python/repos.py");
}

#[test]
fn python_0_36_makes_and_describes_repositories() {
    TestEnv::judge(Python::V0_36, "python/repos.py");
}

#[test]
fn python_2_4_moves_files() {
    TestEnv::judge(Python::V2_4, "python/files.py");
}

#[test]
fn python_0_36_moves_files() {
    TestEnv::judge(Python::V0_36, "python/files.py");
}

#[test]
fn python_2_4_uploads_in_parts() {
    TestEnv::judge_with(Python::V2_4, "python/multipart.py", |builder| {
        builder.part_size(5 << 20)
    });
}

#[test]
fn python_0_36_uploads_in_parts() {
    TestEnv::judge_with(Python::V0_36, "python/multipart.py", |builder| {
        builder.part_size(5 << 20)
    });
}

/// Our download into the cache, then the official client without a Hub to ask.
#[track_caller]
fn python_reads_our_cache(python: Python) {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &[]);
    let cache = HubCache::new(hub.api(ADA), env.cache());
    cache.snapshot_download("ada/demo").wait().unwrap();
    drop(hub);
    env.set("HF_HUB_OFFLINE", "1");
    let mut args = vec!["ada/demo".to_owned()];
    for (name, bytes) in &files {
        args.extend(["main".to_owned(), (*name).to_owned(), Sha256::of(bytes).to_string()]);
    }
    env.python(python, "python/cache_read.py", args).success();
}

#[test]
fn c_092_python_2_4_reads_a_cache_that_ours_wrote() {
    python_reads_our_cache(Python::V2_4);
}

#[test]
fn python_0_36_reads_a_cache_that_ours_wrote() {
    python_reads_our_cache(Python::V0_36);
}

/// Snapshots without links, as ours writes them where links are switched off: the official client counts and deletes.
#[test]
fn c_051_python_2_4_counts_and_deletes_copies() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    let cache = HubCache::with_cache(hub.api(ADA), Cache::new(env.cache()).with_links(false));
    let snapshot = cache.snapshot_download("ada/demo").wait().unwrap();
    let ours = hub_cache::scan(&env.cache()).unwrap();
    assert_eq!((ours.warnings.len(), ours.repos.len()), (0, 1));
    let size = ours.repos[0].size;
    assert_eq!(ours.size, size);
    assert!(!snapshot.join("config.json").is_symlink());
    env.python(
        Python::V2_4,
        "python/cache_copies.py",
        ["ada/demo".to_owned(), size.to_string()],
    )
    .success();
    assert!(!snapshot.exists());
}

/// The official client's download into the cache, then ours without a Hub to ask.
#[track_caller]
fn ours_reads_the_cache_of(python: Python) {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &[]);
    let output = env
        .python(python, "python/cache_write.py", ["ada/demo", "main"])
        .success();
    let paths: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let snapshot = Path::new(paths["main"].as_str().unwrap());
    drop(hub);

    let cache = HubCache::new(HfApi::builder().offline(true).build().unwrap(), env.cache());
    assert_eq!(cache.snapshot_download("ada/demo").wait().unwrap(), snapshot);
    for (name, bytes) in &files {
        let path = cache.download_file("ada/demo", *name).wait().unwrap();
        assert_eq!(path, snapshot.join(name));
        assert_eq!(&fs_err::read(path).unwrap(), bytes);
    }
    // The official client has marked it as missing.
    let err = cache.download_file("ada/demo", "none.txt").wait().unwrap_err();
    assert!(err.is_not_found() || err.is_not_cached(), "{err}");
}

#[test]
fn ours_reads_a_cache_that_python_2_4_wrote() {
    ours_reads_the_cache_of(Python::V2_4);
}

#[test]
fn ours_reads_a_cache_that_python_0_36_wrote() {
    ours_reads_the_cache_of(Python::V0_36);
}

#[test]
fn both_clients_fill_one_cache_at_one_time() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &[]);
    let (env, hub) = (&env, &hub);
    let python = |python| {
        move || {
            env.python(python, "python/cache_write.py", ["ada/demo", "main"])
                .success()
        }
    };
    let ours = || {
        let cache = HubCache::new(hub.api(ADA), env.cache());
        cache.snapshot_download("ada/demo").wait().unwrap()
    };
    std::thread::scope(|scope| {
        let theirs = Python::ALL.map(|release| scope.spawn(python(release)));
        let ours = [(); 3].map(|()| scope.spawn(ours)).map(|thread| thread.join().unwrap());
        assert!(ours.iter().all(|snapshot| *snapshot == ours[0]), "{ours:?}");
        for thread in theirs {
            let paths: serde_json::Value = serde_json::from_str(&thread.join().unwrap().stdout).unwrap();
            assert_eq!(Path::new(paths["main"].as_str().unwrap()), ours[0]);
        }
        for (name, bytes) in &files {
            assert_eq!(&fs_err::read(ours[0].join(name)).unwrap(), bytes);
        }
    });
    let blobs = env.cache().join("models--ada--demo/blobs");
    let blobs: Vec<_> = fs_err::read_dir(blobs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    // The three files and `.gitattributes`, and nothing half-written.
    assert_eq!(blobs.len(), files.len() + 1, "{blobs:?}");
}
