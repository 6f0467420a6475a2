//! What went wrong in other clients does not go wrong here: what it takes several processes, files or crates to see.
//!
//! Each `d` and number is a defect that was seen in one. The other tests of them stand beside the code: `d01` to `d03`,
//! `d09`, `d11` and `d12` among hub-http's downloads, `d13` to `d15` among its uploads, `d04` and `d05` in `hostile`, `d17`
//! in `requests`. What was found in others by reading, and where it is tested:
//!
//! - Who waited for a content fetches it again: `c_030`, `d08`. A ref or a file is missing while it is replaced:
//!   `a_reader_always_finds_a_file_that_is_fetched_again`.
//! - A whole reply is taken for a range, `Content-Range` is not looked at, a header reserves memory:
//!   `every_range_of_a_small_file_is_right_also_when_cut_or_ignored`, `ranges_that_are_ignored_or_wrong_are_done_without`,
//!   `a_length_that_cannot_be_reserves_nothing` of hub-http.
//! - A listing ends at a relative link or an empty page, and errors lose their kind: hub-http's pages.
//! - A proxy is used for some requests only: `network`.
//! - Locks are taken for all files at once: `d07_c_036`. Progress goes on after the end:
//!   `a_dropped_call_reports_its_end_and_nothing_more`. A dropped download leaves half a file: `d10`, `c_028`.
//! - A plain folder ignores settings: `a_plain_folder_keeps_force_and_local_files_only`.
//! - Uploads ask about all files at once, delete what they add, open several pull requests: hub-http's uploads
//!   (`files_are_asked_about_256_at_a_time`, `files_of_the_repo_are_deleted_in_the_first_commit`,
//!   `a_folders_pull_request_is_opened_once_and_by_itself`).
//! - `0` counts as on: `d16`. A dataset's bytes are asked for as a model's: `a_datasets_bytes_come_from_the_dataset`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hub_cache::{Error, HubCache};
use hub_http::HfApi;
use hub_tests::fake::{Answer, Asked, COMMIT, Fake, listed_lfs};
use hub_tests::{ADA, Carried, Proxy, TestEnv, TestHub, noise};
use hub_types::{RepoType, Sha256, Token};

fn cache(hub: &TestHub, proxy: &Proxy, root: &Path) -> HubCache {
    let builder = HfApi::builder().endpoint(hub.url()).token(Token::new(ADA).unwrap());
    HubCache::new(builder.proxy(proxy.url()).build().unwrap(), root)
}

/// A Hub whose metadata are right, and whose answer to the GET of the file's bytes is `get`.
fn lying_hub(size: usize, get: impl Fn() -> Answer + Send + Sync + 'static) -> Fake {
    let bytes = noise(size, 1);
    let etag = Sha256::of(&bytes).to_string();
    let listing = serde_json::json!([listed_lfs("large.bin", &bytes)]);
    Fake::hub(listing, move |asked: &Asked| {
        let of_file = asked.target.contains("/resolve/");
        of_file.then(|| match asked.method.as_str() {
            "HEAD" => Answer::file(&etag, &bytes),
            _ => get()
                .header("x-repo-commit", COMMIT)
                .header("etag", format!("\"{etag}\"")),
        })
    })
}

/// The download fails, by name and as a snapshot, into the cache and into a folder, and no file is there afterwards.
fn assert_refused(env: &TestEnv, fake: &Fake) {
    for (number, place) in ["--cache-dir", "--local-dir"].into_iter().enumerate() {
        for (which, name) in [Some("large.bin"), None].into_iter().enumerate() {
            let root = env.root().join(format!("place-{number}-{which}"));
            let command = env.hub(["--quiet", "download", "ada/demo"]).args(name);
            let command = command.arg(place).arg(&root).env("HF_ENDPOINT", fake.url());
            let output = command.args(["--retries", "1"]).run();
            assert_ne!(output.code, Some(0), "{output}");
            assert_eq!(output.stdout, "", "{output}");
            let found = root.join(match place {
                "--cache-dir" => format!("models--ada--demo/snapshots/{COMMIT}/large.bin"),
                _ => "large.bin".to_owned(),
            });
            assert!(!found.exists(), "{}", found.display());
            let blob = root
                .join("models--ada--demo/blobs")
                .join(Sha256::of(&noise(2_000_000, 1)).to_string());
            assert!(!blob.exists());
        }
    }
}

#[test]
fn d01_an_error_body_is_not_the_file() {
    let env = TestEnv::new();
    let fake = lying_hub(2_000_000, || {
        let body = r#"{"error":"Access to this file is restricted"}"#;
        Answer::new("403 Forbidden")
            .header("content-length", body.len())
            .body(body)
    });
    assert_refused(&env, &fake);
}

#[test]
fn d02_a_body_that_ends_early_is_not_the_file() {
    let env = TestEnv::new();
    let fake = lying_hub(2_000_000, || {
        Answer::new("200 OK").body(&noise(2_000_000, 1)[..200_000])
    });
    assert_refused(&env, &fake);
}

#[test]
fn d06_the_token_does_not_follow_a_link_to_another_host() {
    let other = Fake::start(|_| Answer::json(&serde_json::json!([])));
    let next = format!("<{}/api/models/ada/demo/tree/main?cursor=2>; rel=\"next\"", other.url());
    let fake = Fake::start(move |_| Answer::json(&serde_json::json!([])).header("link", &next));
    let api = HfApi::builder()
        .endpoint(fake.url())
        .token(Token::new(ADA).unwrap())
        .build()
        .unwrap();
    let files: Vec<_> = api
        .list_repo_tree("ada/demo")
        .wait()
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(files.is_empty());
    assert!(fake.asked()[0].header("authorization").is_some());
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].header("authorization"), asked[0].header("cookie")),
        (None, None)
    );
}

#[test]
fn d07_c_036_equal_files_neither_wait_for_each_other_nor_come_twice() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (one, two) = (noise(1_500_000, 1), noise(1_500_000, 2));
    let names: Vec<(String, bool)> = (0..12).map(|n| (format!("{}/{n}.bin", n % 3), n % 2 == 0)).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|(name, first)| (name.as_str(), if *first { &one[..] } else { &two[..] }))
        .collect();
    hub.commit("ada/demo", files.iter().copied());
    let proxy = Proxy::start();
    let began = Instant::now();
    // All in one call, and in two that go through the files from either end.
    let snapshot = cache(&hub, &proxy, &env.root().join("together"))
        .snapshot_download("ada/demo")
        .max_workers(12)
        .wait()
        .unwrap();
    let mut carried = proxy.take();
    carried.retain(|one| !one.address.ends_with(".gitattributes"));
    assert_eq!(Carried::content_bytes(&carried), 3_000_000);
    assert_eq!(Carried::fetched_again(&carried), Vec::<&str>::new());
    let root = env.root().join("crossed");
    std::thread::scope(|scope| {
        let forwards = scope.spawn(|| {
            for (name, _) in &files {
                cache(&hub, &proxy, &root)
                    .download_file("ada/demo", *name)
                    .wait()
                    .unwrap();
            }
        });
        for (name, _) in files.iter().rev() {
            cache(&hub, &proxy, &root)
                .download_file("ada/demo", *name)
                .wait()
                .unwrap();
        }
        forwards.join().unwrap();
    });
    let carried = proxy.take();
    assert_eq!(Carried::content_bytes(&carried), 3_000_000);
    assert_eq!(Carried::fetched_again(&carried), Vec::<&str>::new());
    for (name, bytes) in &files {
        assert!(&fs_err::read(snapshot.join(name)).unwrap() == bytes);
    }
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "somebody waited for a lock of their own"
    );
}

#[cfg(unix)]
#[test]
fn d08_who_waits_for_another_download_uses_it_and_ends_with_it() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let bytes = noise(12_000_000, 1);
    hub.commit("ada/demo", [("large.bin", &bytes)]);
    let (slow, other) = (Proxy::start(), Proxy::start());
    slow.slow_down(Duration::from_millis(10));
    let get = |proxy: &Proxy| {
        let command = env.hub(["--quiet", "download", "ada/demo", "large.bin"]);
        command.env("http_proxy", proxy.url()).start()
    };
    let mut first = get(&slow);
    while slow.bytes() < 1_000_000 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let second = get(&other);
    assert!(first.wait().unwrap().success());
    let ended = Instant::now();
    let output = second.wait_with_output().unwrap();
    assert!(
        output.status.success() && ended.elapsed() < Duration::from_secs(5),
        "{:?}",
        ended.elapsed()
    );
    assert!(fs_err::read(String::from_utf8(output.stdout).unwrap().trim_end()).unwrap() == bytes);
    assert_eq!(
        Carried::content_bytes(&other.take()),
        0,
        "what the first has fetched is not fetched again"
    );
}

#[cfg(unix)]
#[test]
fn d10_half_a_file_in_a_plain_folder_is_never_taken_for_the_file() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let bytes = noise(12_000_000, 1);
    hub.commit("ada/demo", [("sub/large.bin", &bytes)]);
    let proxy = Proxy::start();
    proxy.hold_after(5_000_000);
    let plain = env.root().join("plain");
    let get = || {
        let command = env.hub(["--quiet", "download", "ada/demo", "--local-dir"]).arg(&plain);
        command.env("http_proxy", proxy.url())
    };
    let mut killed = get().start();
    while proxy.bytes() < 5_000_000 {
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!plain.join("sub/large.bin").exists(), "half a file has the file's name");
    proxy.go_on();
    get().success();
    assert!(fs_err::read(plain.join("sub/large.bin")).unwrap() == bytes);

    // A short file that somebody else has left there under its name.
    fs_err::write(plain.join("sub/large.bin"), &bytes[..7_000_000]).unwrap();
    get().success();
    assert!(fs_err::read(plain.join("sub/large.bin")).unwrap() == bytes);
}

#[test]
fn d16_a_token_with_a_line_break_is_sent_without_it() {
    let mut env = TestEnv::new();
    let _hub = env.start_hub();
    let whoami = |name: &str, value: &str| env.hub(["auth", "whoami"]).env(name, value).success().stdout;
    for token in [format!("{ADA}\n"), format!(" {ADA}\r\n")] {
        assert!(whoami("HF_TOKEN", &token).contains("ada"));
    }
    // Zero is off: a stored or given token counts.
    assert!(whoami("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0").contains("ada"));
    // What can be no token is an error, and not a call without one.
    let output = env.hub(["auth", "whoami"]).env("HF_TOKEN", "hf_two words").run();
    assert_ne!(output.code, Some(0), "{output}");
    assert!(!output.to_string().contains("words"), "{output}");
}

#[test]
fn a_reader_always_finds_a_file_that_is_fetched_again() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (one, two) = (noise(300_000, 1), noise(300_000, 2));
    hub.commit("ada/demo", [("weights.bin", &one)]);
    let proxy = Proxy::start();
    let root = env.root().join("cache");
    let ours = cache(&hub, &proxy, &root);
    let path = ours.download_file("ada/demo", "weights.bin").wait().unwrap();
    let main = root.join("models--ada--demo/refs/main");
    let (done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(fs_err::read(&path).expect("the file is there") == one);
                let commit = fs_err::read_to_string(&main).expect("the ref is there");
                assert_eq!(commit.len(), 40, "half a ref");
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..20 {
            // The file itself, by its commit, and the branch, to and fro.
            let commit = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            ours.download_file("ada/demo", "weights.bin")
                .revision(commit)
                .force_download(true)
                .wait()
                .unwrap();
            if round % 5 == 0 {
                hub.commit("ada/demo", [("weights.bin", if round % 2 == 0 { &two } else { &one })]);
                ours.download_file("ada/demo", "weights.bin").wait().unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    assert!(reads.load(Ordering::Relaxed) > 20);
}

#[test]
fn a_plain_folder_keeps_force_and_local_files_only() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    hub.commit("ada/demo", [("config.json", b"{}\n")]);
    let proxy = Proxy::start();
    let ours = cache(&hub, &proxy, &env.cache());
    let plain = env.root().join("plain");
    let file = || ours.download_file("ada/demo", "config.json").local_dir(plain.as_path());
    let all = || ours.snapshot_download("ada/demo").local_dir(plain.as_path());
    assert!(matches!(
        file().local_files_only(true).wait(),
        Err(Error::NotCached { .. })
    ));
    assert!(matches!(
        all().local_files_only(true).wait(),
        Err(Error::NotCached { .. })
    ));
    assert_eq!(proxy.take(), []);
    let path = file().wait().unwrap();
    fs_err::write(&path, "mine\n").unwrap();
    proxy.take();
    assert_eq!(file().local_files_only(true).wait().unwrap(), path);
    all().local_files_only(true).wait().unwrap();
    assert_eq!(proxy.take(), []);
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "mine\n");
    all().force_download(true).wait().unwrap();
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "{}\n");
}

#[test]
fn a_datasets_bytes_come_from_the_dataset() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    // Two repositories of one name and other bytes.
    for (kind, bytes) in [(RepoType::Model, b"a model's"), (RepoType::Dataset, b"a dataset")] {
        api.create_repo("ada/demo").repo_type(kind).wait().unwrap();
        let upload = api.upload_file("ada/demo", bytes.to_vec(), "data.txt");
        upload.repo_type(kind).wait().unwrap();
    }
    let whole = api
        .download_bytes("ada/demo", "data.txt")
        .repo_type(RepoType::Dataset)
        .wait()
        .unwrap();
    assert_eq!(&whole[..], b"a dataset");
    let part = api
        .download_range("ada/demo", "data.txt", 2, 9)
        .repo_type(RepoType::Dataset)
        .wait()
        .unwrap();
    assert_eq!(&part[..], b"dataset");
}
