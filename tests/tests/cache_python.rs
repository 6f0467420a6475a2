//! The official Python clients as judges of our cache, which must be theirs: what one writes, the other reads, counts and
//! cleans up.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use hub_cache::{Cache, CacheReport, HubCache, scan};
use hub_http::HfApi;
use hub_tests::{ADA, Carried, Proxy, Python, Scanner, TestEnv};
use hub_types::{Sha256, Token};
use serde_json::json;

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
    let ours = scan(&env.cache()).unwrap();
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
        assert_eq!(&fs::read(path).unwrap(), bytes);
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
            assert_eq!(&fs::read(ours[0].join(name)).unwrap(), bytes);
        }
    });
    let blobs = env.cache().join("models--ada--demo/blobs");
    let blobs: Vec<_> = fs::read_dir(blobs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    // The three files and `.gitattributes`, and nothing half-written.
    assert_eq!(blobs.len(), files.len() + 1, "{blobs:?}");
}

#[test]
fn c_063_the_listings_are_the_same_bytes() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let mut files: Vec<(String, Vec<u8>)> = (0..20)
        .map(|number| (format!("d/{number}.txt"), format!("text {number}").into_bytes()))
        .collect();
    files.push(("large.bin".to_owned(), hub_tests::noise(3_000_000, 1)));
    files.push(("grüße \u{1f600}.txt".to_owned(), b"x".to_vec()));
    hub.commit("ada/demo", files.iter().map(|(name, bytes)| (name, bytes)));
    let ours = env.root().join("ours");
    let snapshot = HubCache::new(hub.api(ADA), &ours)
        .snapshot_download("ada/demo")
        .wait()
        .unwrap();
    let _ = env
        .python(Python::V2_4, "python/cache_write.py", ["ada/demo", "main"])
        .success();
    let tree = format!(
        "models--ada--demo/trees/{}.json",
        snapshot.file_name().unwrap().to_str().unwrap()
    );
    let theirs = fs::read_to_string(env.cache().join(&tree)).unwrap();
    assert!(theirs.contains("large.bin"), "{theirs}");
    assert_eq!(fs::read_to_string(ours.join(&tree)).unwrap(), theirs);
}

/// A time as Python gives it.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Our report in the shape that the official client's has.
fn as_theirs(report: CacheReport) -> serde_json::Value {
    let report = report.strict();
    let partials = report.partials.iter().map(|partial| partial.path.to_str().unwrap());
    let mut repos = Vec::new();
    for repo in &report.repos {
        let mut revisions = Vec::new();
        for revision in &repo.revisions {
            let files: serde_json::Map<_, _> = revision
                .files
                .iter()
                .map(|file| {
                    let about = json!({
                        "size": file.size, "blob": file.blob_path,
                        "accessed": seconds(file.blob_last_accessed), "modified": seconds(file.blob_last_modified),
                    });
                    (file.path.clone(), about)
                })
                .collect();
            revisions.push(json!({
                "commit": revision.commit, "size": revision.size, "refs": revision.refs,
                "modified": seconds(revision.last_modified), "files": files,
            }));
        }
        repos.push(json!({
            "id": repo.repo_id, "type": repo.repo_type.as_str(), "size": repo.size, "files": repo.files,
            "accessed": seconds(repo.last_accessed), "modified": seconds(repo.last_modified), "revisions": revisions,
        }));
    }
    repos.sort_by_key(|repo| [repo["type"].to_string(), repo["id"].to_string()]);
    json!({
        "warnings": report.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), "size": report.size,
        "incomplete": partials.collect::<Vec<_>>(), "repos": repos,
    })
}

/// The same but for what a time loses when it becomes a number with a fraction.
#[track_caller]
fn assert_same(ours: &serde_json::Value, theirs: &serde_json::Value, at: &str) {
    use serde_json::Value;

    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            assert!(ours.keys().eq(theirs.keys()), "{at}: {ours:?} {theirs:?}");
            for (key, value) in ours {
                assert_same(value, &theirs[key], &format!("{at}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{at}: {ours:?} {theirs:?}");
            for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                assert_same(ours, theirs, &format!("{at}[{number}]"));
            }
        }
        (Value::Number(ours), Value::Number(theirs)) if ours.is_f64() && theirs.is_f64() => {
            let apart = ours.as_f64().unwrap() - theirs.as_f64().unwrap();
            assert!(apart.abs() < 1e-5, "{at}: {ours} {theirs}");
        }
        _ => assert_eq!(ours, theirs, "{at}"),
    }
}

/// A cache that the official client has filled: two commits of one repository, which share files, and another repository.
fn their_cache(env: &TestEnv, hub: &hub_tests::TestHub) -> PathBuf {
    env.seed_model("ada/demo", &[]);
    let first = hub.api(ADA).resolve_revision("ada/demo").wait().unwrap().to_string();
    hub.commit("ada/demo", [("config.json", b"{}" as &[u8]), ("copy.json", b"{}")]);
    hub.commit("ada/other", [("a", b"1" as &[u8])]);
    for (repo, revisions) in [("ada/demo", vec![first.as_str(), "main"]), ("ada/other", vec!["main"])] {
        let args = std::iter::once(repo).chain(revisions);
        let _ = env.python(Python::V2_4, "python/cache_write.py", args).success();
    }
    fs::canonicalize(env.cache()).unwrap()
}

#[test]
fn c_091_our_report_of_their_cache_is_theirs() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let cache = their_cache(&env, &hub);
    fs::write(cache.join("models--ada--demo/blobs/0123.01234567.incomplete"), b"12").unwrap();
    let theirs = Scanner::start(&env).report(&cache);
    assert_eq!(theirs["repos"][0]["revisions"].as_array().unwrap().len(), 2);
    assert_same(&as_theirs(scan(&cache).unwrap()), &theirs, "");
}

#[test]
fn c_093_either_client_warns_of_the_same() {
    type Damage = fn(&Path);
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let whole = their_cache(&env, &hub);
    let mut scanner = Scanner::start(&env);
    let damages: [(&str, Damage); 12] = [
        ("a stray file", |cache| fs::write(cache.join("stray"), b"").unwrap()),
        ("a folder of no type", |cache| {
            fs::create_dir(cache.join("folder")).unwrap()
        }),
        ("an unknown type", |cache| {
            fs::create_dir_all(cache.join("things--o--n/snapshots")).unwrap()
        }),
        ("no snapshots", |cache| {
            fs::remove_dir_all(cache.join("models--ada--other/snapshots")).unwrap()
        }),
        ("refs is a file", |cache| {
            fs::remove_dir_all(cache.join("models--ada--other/refs")).unwrap();
            fs::write(cache.join("models--ada--other/refs"), b"").unwrap();
        }),
        ("a file among the snapshots", |cache| {
            fs::write(cache.join("models--ada--other/snapshots/f"), b"").unwrap()
        }),
        ("a blob is missing", |cache| {
            let blob = fs::read_dir(cache.join("models--ada--other/blobs"))
                .unwrap()
                .next()
                .unwrap()
                .unwrap();
            fs::remove_file(blob.path()).unwrap();
        }),
        ("a ref to nothing", |cache| {
            fs::write(cache.join("models--ada--other/refs/dev"), "f".repeat(40)).unwrap();
        }),
        ("an empty ref", |cache| {
            fs::write(cache.join("models--ada--other/refs/dev"), b"").unwrap()
        }),
        ("a ref's leftover", |cache| {
            fs::write(cache.join("models--ada--other/refs/main.0123abcd.tmp"), b"").unwrap();
        }),
        ("files of systems", |cache| {
            for place in [
                ".DS_Store",
                "models--ada--other/refs/Thumbs.db",
                "models--ada--other/snapshots/desktop.ini",
            ] {
                fs::write(cache.join(place), b"").unwrap();
            }
        }),
        ("two at once", |cache| {
            fs::write(cache.join("stray"), b"").unwrap();
            fs::write(cache.join("models--ada--other/snapshots/f"), b"").unwrap();
        }),
    ];
    for (what, damage) in damages {
        let cache = env.root().join("damaged");
        let _ = env.command("cp").arg("-a").arg(&whole).arg(&cache).success();
        damage(&cache);
        let kinds = |report: &serde_json::Value| {
            let texts = report["warnings"].as_array().unwrap().iter();
            // Up to what is named: each client words that in its own way.
            let mut kinds: Vec<String> = texts
                .map(|text| {
                    text.as_str()
                        .unwrap()
                        .split([':', '\'', '`', '['])
                        .next()
                        .unwrap()
                        .trim()
                        .to_owned()
                })
                .collect();
            kinds.sort();
            kinds
        };
        let (theirs, ours) = (scanner.report(&cache), as_theirs(scan(&cache).unwrap()));
        assert_eq!(kinds(&ours), kinds(&theirs), "{what}");
        assert_eq!(kinds(&ours).is_empty(), what == "files of systems", "{what}");
        for part in ["repos", "size", "incomplete"] {
            assert_same(&ours[part], &theirs[part], what);
        }
        fs::remove_dir_all(&cache).unwrap();
    }
}

/// What either client has fetched into a plain folder the other knows by its note, and does not fetch again.
#[track_caller]
fn plain_folders_are_shared_with(python: Python) {
    const FILE: &str = "sub/notes.txt";
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    let commit = hub.api(ADA).resolve_revision("ada/demo").wait().unwrap().to_string();
    let proxy = Proxy::start();
    let builder = HfApi::builder().endpoint(hub.url()).token(Token::new(ADA).unwrap());
    let cache = HubCache::new(builder.proxy(proxy.url()).build().unwrap(), env.cache());
    let ours = |folder: &Path, revision: &str| {
        proxy.take();
        let get = cache
            .download_file("ada/demo", FILE)
            .revision(revision)
            .local_dir(folder);
        get.wait().unwrap();
        proxy.take()
    };
    let theirs = |folder: &Path, revision: &str| {
        proxy.take();
        let args = ["download", folder.to_str().unwrap(), FILE, "ada/demo", revision];
        let command = env.python(python, "python/local_dir.py", args);
        let _ = command.env("http_proxy", proxy.url()).success();
        proxy.take()
    };
    let is_fetched = |carried: &[Carried]| carried.iter().any(Carried::is_content);
    let is_question = |carried: &[Carried]| {
        let files: Vec<&Carried> = carried.iter().filter(|one| one.address.contains("/resolve")).collect();
        !files.is_empty() && files.iter().all(|one| one.method == "HEAD")
    };
    let note = |folder: &Path| {
        let path = folder
            .join(".cache/huggingface/download")
            .join(format!("{FILE}.metadata"));
        fs::read_to_string(path).unwrap()
    };

    // What ours has fetched, theirs knows.
    let folder = env.root().join("ours");
    assert!(is_fetched(&ours(&folder, "main")));
    let read = env.python(python, "python/local_dir.py", ["read", folder.to_str().unwrap(), FILE]);
    let read: serde_json::Value = serde_json::from_str(&read.success().stdout).unwrap();
    let text = note(&folder);
    let lines: Vec<&str> = text.lines().collect();
    let noted = json!([lines[0], lines[1], lines[2].parse::<f64>().unwrap()]);
    assert_same(&noted, &read, "the note");
    assert_eq!(lines[0], commit);
    let carried = theirs(&folder, &commit);
    assert!(
        carried.iter().all(|one| !one.address.contains("/resolve")),
        "{carried:?}"
    );
    assert!(is_question(&theirs(&folder, "main")));

    // And the other way round.
    let folder = env.root().join("theirs");
    assert!(is_fetched(&theirs(&folder, "main")));
    let text = note(&folder);
    assert_eq!(ours(&folder, &commit).len(), 0, "nothing to ask at a commit");
    assert_eq!(note(&folder), text);
    assert!(is_question(&ours(&folder, "main")));
    assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), "grüße\n");
}

#[test]
fn c_075_c_076_plain_folders_are_shared_with_python_2_4() {
    plain_folders_are_shared_with(Python::V2_4);
}

#[test]
fn c_075_c_076_plain_folders_are_shared_with_python_0_36() {
    plain_folders_are_shared_with(Python::V0_36);
}
