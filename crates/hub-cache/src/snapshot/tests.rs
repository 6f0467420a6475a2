use std::path::Path;

use fs_err as fs;
use hub_http::Error as HttpError;

use super::*;
use crate::scan::scan;
use crate::testing::{COMMIT, FakeHub, NEXT};

async fn hub() -> FakeHub {
    FakeHub::start(&[
        ("README.md", "# demo\n"),
        ("config.json", "{}"),
        ("copy.json", "{}"),
        ("data/x.json", "[1]"),
        ("data/large.bin", "large"),
    ])
    .await
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(root)
        .into_iter()
        .flatten()
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with(".cache"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn w_019_one_request_a_file_and_equal_contents_once() {
    let hub = hub().await;
    let path = hub.cache().snapshot_download("o/n").await.unwrap();
    assert_eq!(path, hub.repo().join("snapshots").join(COMMIT));
    assert_eq!(
        names(&path),
        ["README.md", "config.json", "copy.json", "data/large.bin", "data/x.json"]
    );
    assert_eq!(fs::read_to_string(path.join("copy.json")).unwrap(), "{}");
    let requests = hub.requests().await;
    assert_eq!(requests[0], "GET /api/models/o/n/revision/main");
    assert_eq!(requests[1], format!("GET /api/models/o/n/tree/{COMMIT}"));
    assert_eq!(requests.len(), 2 + 4, "{requests:?}");
    assert!(
        requests[2..]
            .iter()
            .all(|r| r.starts_with(&format!("GET /o/n/resolve/{COMMIT}/")))
    );
    let report = scan(&hub.root()).unwrap();
    assert_eq!(
        (report.warnings, report.partials, report.leftovers),
        (vec![], vec![], vec![])
    );
}

#[tokio::test]
async fn c_065_a_second_snapshot_of_a_branch_asks_once_and_of_a_commit_never() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.snapshot_download("o/n").await.unwrap();
    hub.requests().await;
    cache.snapshot_download("o/n").await.unwrap();
    assert_eq!(hub.requests().await, ["GET /api/models/o/n/revision/main"]);
    cache.snapshot_download("o/n").revision(COMMIT).await.unwrap();
    assert_eq!(hub.count().await, 0);
}

#[tokio::test]
async fn patterns_select() {
    let hub = hub().await;
    let cache = hub.cache();
    let path = cache
        .snapshot_download("o/n")
        .allow_patterns(["*.json", "data/"])
        .ignore_patterns("copy*")
        .await
        .unwrap();
    assert_eq!(names(&path), ["config.json", "data/large.bin", "data/x.json"]);
    hub.requests().await;
    // The rest comes by the cached listing.
    cache.snapshot_download("o/n").revision(COMMIT).await.unwrap();
    assert_eq!(hub.count().await, 1, "copy.json has a content that is here");
}

#[tokio::test]
async fn c_084_c_090_nothing_selected_is_no_error_and_breaks_nothing() {
    let hub = hub().await;
    let cache = hub.cache();
    let none: [&str; 0] = [];
    let path = cache.snapshot_download("o/n").allow_patterns(none).await.unwrap();
    assert_eq!(names(&path), [""; 0]);
    assert_eq!(scan(&hub.root()).unwrap().warnings, []);
    cache.snapshot_download("o/n").ignore_patterns(none).await.unwrap();
    assert_eq!(names(&path).len(), 5);
}

#[tokio::test]
async fn c_070_c_071_an_incomplete_snapshot_says_what_is_missing() {
    let hub = hub().await;
    let cache = hub.cache();
    let path = cache.snapshot_download("o/n").await.unwrap();
    hub.requests().await;
    let offline = hub.offline();
    assert_eq!(offline.snapshot_download("o/n").await.unwrap(), path);
    fs::remove_file(path.join("config.json")).unwrap();
    for operation in [
        offline.snapshot_download("o/n"),
        offline.snapshot_download("o/n").revision(COMMIT),
        cache.snapshot_download("o/n").local_files_only(true),
    ] {
        let err = operation.await.unwrap_err();
        let Error::IncompleteSnapshot { snapshot, missing, .. } = err else {
            panic!("{err:?}")
        };
        assert_eq!(
            (snapshot, missing),
            (path.clone(), vec!["config.json".parse().unwrap()])
        );
    }
    let others = offline.snapshot_download("o/n").ignore_patterns("config.json");
    assert_eq!(others.await.unwrap(), path);
    assert_eq!(hub.count().await, 0);
    // One file whose content is gone too: a file that is only without its name would get that without a request.
    let content = fs::canonicalize(path.join("README.md")).unwrap();
    fs::remove_file(content).unwrap();
    for status in [403, 503] {
        hub.state().status = Some((status, ""));
        let err = cache.snapshot_download("o/n").await.unwrap_err();
        assert!(matches!(err, Error::IncompleteSnapshot { .. }), "{status}: {err:?}");
        let others = cache
            .snapshot_download("o/n")
            .ignore_patterns(["config.json", "README.md"]);
        assert_eq!(others.await.unwrap(), path, "{status}");
    }
    // At a commit nothing has to be asked but the content; that one may not have it is told as it is.
    let at_commit = || cache.snapshot_download("o/n").revision(COMMIT);
    let err = at_commit().await.unwrap_err();
    assert!(matches!(err, Error::IncompleteSnapshot { .. }), "{err:?}");
    hub.state().status = Some((403, ""));
    let err = at_commit().await.unwrap_err();
    assert_eq!(err.http().and_then(HttpError::status), Some(403), "{err:?}");
}

#[tokio::test]
async fn c_064_a_listing_that_cannot_be_believed_is_asked_for_and_written_again() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.snapshot_download("o/n").await.unwrap();
    let file = hub.repo().join("trees").join(format!("{COMMIT}.json"));
    let right = fs::read(&file).unwrap();
    for bad in ["{", "{\"format_version\": 9, \"files\": {}}"] {
        fs::write(&file, bad).unwrap();
        hub.requests().await;
        cache.snapshot_download("o/n").revision(COMMIT).await.unwrap();
        let requests = hub.requests().await;
        assert_eq!(requests, [format!("GET /api/models/o/n/tree/{COMMIT}")], "{bad}");
        assert_eq!(fs::read(&file).unwrap(), right, "{bad}");
    }
}

#[tokio::test]
async fn c_072_without_a_listing_it_cannot_be_told() {
    let hub = hub().await;
    let path = hub.cache().snapshot_download("o/n").await.unwrap();
    fs::remove_dir_all(hub.repo().join("trees")).unwrap();
    let offline = hub.offline();
    assert_eq!(offline.snapshot_download("o/n").await.unwrap(), path);
    let err = offline
        .snapshot_download("o/n")
        .require_complete(true)
        .await
        .unwrap_err();
    assert!(matches!(err, Error::UnprovenSnapshot { .. }), "{err:?}");
}

#[tokio::test]
async fn c_069_a_revision_that_does_not_exist_is_not_served() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.snapshot_download("o/n").await.unwrap();
    let err = cache.snapshot_download("o/n").revision("dev").await.unwrap_err();
    assert!(matches!(err.http(), Some(HttpError::RevisionNotFound(_))), "{err:?}");
    hub.state().status = Some((401, "RepoNotFound"));
    assert!(cache.snapshot_download("o/n").await.is_ok(), "what is cached is served");
}

#[tokio::test]
async fn c_102_one_bad_name_in_the_listing_writes_nothing() {
    for bad in ["../../x", "/etc/x", "a/../../x", "C:/x"] {
        let hub = hub().await;
        hub.state().listed = vec![bad.to_owned()];
        let err = hub.cache().snapshot_download("o/n").await.unwrap_err();
        assert!(
            matches!(err, Error::Invalid(_)) && err.to_string().contains(bad),
            "{err:?}"
        );
        assert!(!hub.root().exists());
        let dir = hub.dir.path().join("plain");
        assert!(hub.cache().snapshot_download("o/n").local_dir(&dir).await.is_err());
        assert!(!dir.exists());
    }
}

#[tokio::test]
async fn c_087_all_files_are_of_one_commit() {
    let hub = hub().await;
    let cache = hub.cache();
    cache.snapshot_download("o/n").await.unwrap();
    hub.state().commit = NEXT.into();
    hub.requests().await;
    let path = cache.snapshot_download("o/n").await.unwrap();
    assert!(path.ends_with(NEXT));
    // Every content is here already.
    assert_eq!(hub.count().await, 2);
    assert_eq!(names(&path).len(), 5);
    assert_eq!(scan(&hub.root()).unwrap().repos[0].revisions.len(), 2);
}

#[tokio::test]
async fn c_087_a_branch_that_moves_meanwhile_changes_nothing() {
    let hub = hub().await;
    hub.state().moves_to = Some(NEXT);
    let path = hub.cache().snapshot_download("o/n").await.unwrap();
    assert_eq!(hub.state().commit, NEXT);
    assert!(path.ends_with(COMMIT));
    assert_eq!(names(&path).len(), 5);
    let others: Vec<String> = hub.requests().await.split_off(1);
    assert!(others.iter().all(|request| request.contains(COMMIT)), "{others:?}");
    assert_eq!(fs::read_to_string(hub.repo().join("refs/main")).unwrap(), COMMIT);
    assert!(!hub.repo().join("snapshots").join(NEXT).exists());
}

#[tokio::test]
async fn c_088_the_first_error_ends_it_and_keeps_what_has_come() {
    let all: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let files: Vec<(&str, &str)> = all.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let hub = FakeHub::start(&files).await;
    hub.state().vanished = Some("f20");
    let cache = hub.cache();
    let err = cache.snapshot_download("o/n").max_workers(1).await.unwrap_err();
    assert!(err.is_not_found() && err.to_string().contains("f20"), "{err:?}");
    let asked = || async {
        let requests = hub.requests().await;
        requests.iter().filter(|request| request.contains("/resolve/")).count()
    };
    let first = asked().await;
    let kept = names(&hub.repo().join("snapshots").join(COMMIT));
    // Contents come in the order of their hashes, which does not put this one first or last.
    assert_eq!(kept.len(), first - 1, "{kept:?}");
    assert!((2..40).contains(&first), "{first} files were asked for");
    hub.state().vanished = None;
    cache.snapshot_download("o/n").await.unwrap();
    assert_eq!(asked().await, 40 - kept.len());
}

#[tokio::test]
async fn a_listing_that_lies_about_a_file_is_found_out() {
    let hub = hub().await;
    hub.state().wrong_etag = Some("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let err = hub.cache().snapshot_download("o/n").await.unwrap_err();
    assert!(matches!(err, Error::Http(HttpError::Integrity { .. })), "{err:?}");
    // An id of another kind contradicts nothing, and the content's own hash is right.
    let there = names(&hub.repo().join("snapshots").join(COMMIT));
    assert!(there.iter().all(|name| name.ends_with(".bin")), "{there:?}");
}

#[tokio::test]
async fn w_001_w_015_a_short_content_is_fetched_again() {
    let hub = hub().await;
    let cache = hub.cache();
    let path = cache.snapshot_download("o/n").await.unwrap();
    fs::write(fs::canonicalize(path.join("README.md")).unwrap(), "#").unwrap();
    hub.requests().await;
    cache.snapshot_download("o/n").revision(COMMIT).await.unwrap();
    assert_eq!(hub.requests().await, [format!("GET /o/n/resolve/{COMMIT}/README.md")]);
    assert_eq!(fs::read_to_string(path.join("README.md")).unwrap(), "# demo\n");
}

#[tokio::test]
async fn c_089_a_plan_writes_nothing_and_says_all() {
    let hub = hub().await;
    let cache = hub.cache();
    let plan = cache
        .snapshot_download("o/n")
        .allow_patterns("*.json")
        .plan()
        .await
        .unwrap();
    assert_eq!((plan.files.len(), plan.bytes_to_download()), (3, 7));
    assert!(!hub.root().exists());
    assert_eq!(hub.count().await, 2);
    assert_eq!(cache.snapshot_download("o/n").dry_run(true).await.unwrap(), plan.path);
    assert!(!hub.root().exists());
    cache.download_file("o/n", "config.json").await.unwrap();
    let plan = cache.snapshot_download("o/n").plan().await.unwrap();
    let cached: Vec<&str> = plan
        .files
        .iter()
        .filter(|f| f.is_cached)
        .map(|f| f.path.as_str())
        .collect();
    assert_eq!(cached, ["config.json", "copy.json"]);
    assert!(hub.offline().snapshot_download("o/n").plan().await.is_err());
}

#[tokio::test]
async fn a_plain_folder_gets_a_snapshot_and_keeps_it() {
    let hub = hub().await;
    let cache = hub.cache();
    let dir = hub.dir.path().join("plain");
    let get = || cache.snapshot_download("o/n").local_dir(&dir);
    let path = get().await.unwrap();
    assert_eq!(path, fs::canonicalize(&dir).unwrap());
    assert_eq!(names(&path).len(), 5);
    assert_eq!(hub.count().await, 2 + 5);
    get().await.unwrap();
    assert_eq!(hub.count().await, 1);
    get().revision(COMMIT).await.unwrap();
    assert_eq!(hub.count().await, 0);
    assert!(!hub.root().exists());
    fs::remove_file(path.join("README.md")).unwrap();
    let err = hub
        .offline()
        .snapshot_download("o/n")
        .revision(COMMIT)
        .local_dir(&dir)
        .await
        .unwrap_err();
    assert!(matches!(err, Error::IncompleteSnapshot { .. }), "{err:?}");
}

#[tokio::test]
async fn without_links_each_name_has_its_copy_and_is_fetched_once() {
    let hub = hub().await;
    let cache = hub.without_links();
    let path = cache.snapshot_download("o/n").await.unwrap();
    assert_eq!(names(&path).len(), 5);
    assert_eq!(hub.count().await, 2 + 4);
    assert_eq!(fs::read_dir(hub.repo().join("blobs")).unwrap().count(), 0);
    let report = scan(&hub.root()).unwrap();
    assert_eq!((report.repos[0].files, report.warnings.len()), (5, 0));
    cache.snapshot_download("o/n").await.unwrap();
    assert_eq!(hub.count().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_036_many_snapshots_at_once_fetch_each_content_once() {
    let hub = hub().await;
    let jobs: Vec<_> = (0..6).map(|_| hub.cache().snapshot_download("o/n").spawn()).collect();
    for job in jobs {
        assert_eq!(names(&job.await.unwrap()).len(), 5);
    }
    let fetched = hub.requests().await.iter().filter(|r| r.contains("/resolve/")).count();
    assert_eq!(fetched, 4);
}

#[tokio::test]
async fn c_099_a_snapshot_is_compared_with_the_hub() {
    let hub = hub().await;
    let cache = hub.cache();
    let err = cache.verify_repo_checksums("o/n").await.unwrap_err();
    assert!(matches!(err, Error::UnknownRevision { .. }), "{err:?}");
    let path = cache.snapshot_download("o/n").await.unwrap();
    let found = cache.verify_repo_checksums("o/n").await.unwrap();
    assert_eq!(
        (found.checked, found.mismatches.len(), found.root),
        (5, 0, path.clone())
    );
    fs::write(fs::canonicalize(path.join("data/large.bin")).unwrap(), "eagle").unwrap();
    fs::remove_file(path.join("README.md")).unwrap();
    fs::write(path.join("extra"), "").unwrap();
    let found = cache.verify_repo_checksums("o/n").revision(COMMIT).await.unwrap();
    assert_eq!(found.mismatches[0].path, "data/large.bin");
    assert_eq!(
        (found.missing, found.extra),
        (vec!["README.md".to_owned()], vec!["extra".to_owned()])
    );
}

#[tokio::test]
async fn where_listing_and_file_disagree_the_file_counts() {
    let hub = hub().await;
    let body = b"# DEMO\n";
    let etag: &'static str = hub_types::GitOid::of(body).to_string().leak();
    {
        let mut state = hub.state();
        state.body = Some(body.to_vec());
        state.wrong_etag = Some(etag);
    }
    let path = hub
        .cache()
        .snapshot_download("o/n")
        .allow_patterns("README.md")
        .await
        .unwrap();
    assert_eq!(fs::read(path.join("README.md")).unwrap(), body);
    assert!(hub.repo().join("blobs").join(etag).is_file());
    let requests = hub.requests().await;
    assert_eq!(requests.len(), 3, "{requests:?}");
    // Another file with the same content in the listing takes no request.
    let copies = FakeHub::start(&[("a", "# demo\n"), ("b", "# demo\n")]).await;
    {
        let mut state = copies.state();
        state.body = Some(body.to_vec());
        state.wrong_etag = Some(etag);
    }
    copies.cache().download_file("o/n", "a").await.unwrap();
    copies.requests().await;
    let path = copies.cache().snapshot_download("o/n").await.unwrap();
    assert_eq!(fs::read(path.join("b")).unwrap(), body);
    assert!(
        copies
            .requests()
            .await
            .iter()
            .all(|request| !request.contains("resolve"))
    );

    // Bytes that are not what the file's own etag says are refused all the same.
    let other = FakeHub::start(&[("README.md", "# demo\n")]).await;
    {
        let mut state = other.state();
        state.body = Some(b"# Demo\n".to_vec());
        state.wrong_etag = Some(etag);
    }
    let err = other.cache().snapshot_download("o/n").await.unwrap_err();
    assert!(matches!(err, Error::Http(hub_http::Error::Integrity { .. })), "{err}");
}

/// Whether a pattern selects a path.
fn wants(pattern: &str, path: &str) -> bool {
    PatternFilter::new(Some(&[pattern]), &[] as &[&str]).wants(path)
}

#[test]
fn c_084_the_table_of_patterns_holds() {
    let paths = ["a.json", "data/a.json", "data/s/b.json", "data"];
    for (pattern, selected) in [
        ("*.json", [true, true, true, false]),
        ("data/", [false, true, true, false]),
        ("data/*.json", [false, true, true, false]),
        ("**/*.json", [false, true, true, false]),
        ("[!a].json", [false, false, false, false]),
        ("data", [false, false, false, true]),
        ("./a.json", [false; 4]),
        ("/a.json", [false; 4]),
    ] {
        assert_eq!(paths.map(|path| wants(pattern, path)), selected, "{pattern}");
    }
}

#[test]
fn c_085_brackets_are_pythons() {
    for (pattern, yes, no) in [
        ("a[", "a[", "a"),
        ("[]]x", "]x", "x"),
        ("[!a]", "b", "a"),
        ("[^a]", "^", "b"),
        ("[^a]", "a", "b"),
        ("[!z-a]", "q", ""),
        ("[[]", "[", "]"),
        ("[a-]", "-", "b"),
        ("a*b", "a/\n/.b", "a/\n/.c"),
        ("{a,b}", "{a,b}", "a"),
    ] {
        assert!(wants(pattern, yes), "{pattern} {yes:?}");
        assert!(!wants(pattern, no), "{pattern} {no:?}");
    }
    assert!(["z", "a", "-", "m"].iter().all(|path| !wants("[z-a]", path)));
}

#[test]
fn c_086_a_backslash_is_a_slash_and_case_counts() {
    assert!(wants("data\\", "data/x"));
    assert!(wants("data/", "data\\x"));
    assert!(!wants("DATA/", "data/x"));
}

/// Windows without the privilege for links: the first one is refused, or all of them, while eight files come at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_052_w_011_a_first_snapshot_succeeds_where_links_are_refused() {
    for good in [0, 1, 4] {
        let names: Vec<String> = (0..8).map(|number| format!("d{}/f{number}", number % 3)).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let hub = FakeHub::start(&files).await;
        crate::link::faults::below(&hub.root(), crate::link::faults::Fault::Refused, good);
        let folder = hub.cache().snapshot_download("o/n").await.unwrap();
        for name in &names {
            assert_eq!(fs_err::read_to_string(folder.join(name)).unwrap(), *name);
        }
        let report = crate::scan::scan(&hub.root()).unwrap();
        assert_eq!((report.warnings.len(), report.leftovers.len()), (0, 0));
        assert_eq!(report.repos[0].revisions[0].files.len(), 8);
    }
}
