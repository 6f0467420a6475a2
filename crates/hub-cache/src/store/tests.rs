use super::*;
use crate::scan::scan;
#[cfg(feature = "download")]
use crate::testing::{FakeHub, etag_of};

const HASH: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd";

fn store(root: &Path, repos: &[&str]) -> PathBuf {
    let payload = root.join("blobs/ab").join(HASH);
    fs::create_dir_all(payload.parent().unwrap()).unwrap();
    fs::write(root.join("blobs").join(STORE_MARKER), "1\n").unwrap();
    fs::write(&payload, "payload").unwrap();
    let mut manifest = String::from("../../etc/blobs/x\nmodels--gone--x/blobs/e\n");
    for repo in repos {
        let dir = root.join(repo);
        let commit = "1".repeat(40);
        fs::create_dir_all(dir.join("blobs")).unwrap();
        fs::create_dir_all(dir.join("snapshots").join(&commit)).unwrap();
        crate::link::symlink(&Path::new("../../blobs/ab").join(HASH), &dir.join("blobs/etag")).unwrap();
        crate::link::symlink(
            Path::new("../../blobs/etag"),
            &dir.join("snapshots").join(&commit).join("f"),
        )
        .unwrap();
        manifest.push_str(&format!("{repo}/blobs/etag\n"));
    }
    fs::write(payload.with_extension("refs"), manifest).unwrap();
    payload
}

#[test]
fn a_shared_payload_counts_once_in_the_cache_and_fully_in_each_repository() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), &["models--o--a", "models--o--b"]);
    let report = scan(dir.path()).unwrap();
    assert_eq!(report.warnings, []);
    assert_eq!((report.size, report.repos[0].size, report.repos[1].size), (7, 7, 7));
    assert_eq!(report.shared[0].references.as_ref().unwrap().len(), 2);
}

#[test]
fn c_056_an_unmarked_folder_is_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), &[]);
    fs::write(dir.path().join("blobs").join(STORE_MARKER), "2\n").unwrap();
    assert!(!is_marked(&dir.path().join("blobs")));
    assert_eq!(scan(dir.path()).unwrap().warnings.len(), 1);
}

#[test]
fn c_059_c_060_a_payload_goes_with_its_last_reference_and_never_without_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let payload = store(&root, &["models--o--a", "models--o--b"]);
    fs::remove_file(root.join("models--o--a/blobs/etag")).unwrap();
    assert!(!sweep(&root, &payload).unwrap());
    assert_eq!(
        fs::read_to_string(payload.with_extension("refs")).unwrap(),
        "models--o--b/blobs/etag\n"
    );
    fs::remove_file(root.join("models--o--b/blobs/etag")).unwrap();
    assert!(sweep(&root, &payload).unwrap());
    assert!(!payload.exists() && !payload.with_extension("refs").exists());

    let payload = store(&root, &[]);
    fs::remove_file(payload.with_extension("refs")).unwrap();
    assert!(!sweep(&root, &payload).unwrap());
    assert!(payload.exists());
}

#[cfg(feature = "download")]
const CONTENT: &str = "large content";

/// A Hub whose large file is in Xet storage, its place in the store of the cache, and the content's in its repository.
#[cfg(feature = "download")]
async fn hub_with_xet() -> (FakeHub, Entry, PathBuf) {
    let hub = FakeHub::start(&[("d/large.bin", CONTENT)]).await;
    hub.state().xet = true;
    fs::create_dir_all(hub.root()).unwrap();
    let hash: XetHash = etag_of(CONTENT.as_bytes(), true).parse().unwrap();
    let entry = Entry::new(&Layout::new(hub.root()), &hash);
    let blob = hub.repo().join("blobs").join(hash.to_string());
    (hub, entry, blob)
}

/// What another repository has put into the store.
fn published(entry: &Entry, root: &Path, bytes: &str) -> PathBuf {
    let blob = root.join("models--o--other/blobs/e");
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::create_dir_all(root.join("models--o--other/snapshots")).unwrap();
    fs::write(&blob, bytes).unwrap();
    assert!(entry.publish(&blob, bytes.len() as u64, false).unwrap());
    blob
}

#[cfg(feature = "download")]
#[tokio::test]
async fn c_053_a_payload_of_another_repository_is_linked_and_not_fetched() {
    let (hub, entry, blob) = hub_with_xet().await;
    published(&entry, &hub.root(), CONTENT);
    for snapshot in [false, true] {
        let path = if snapshot {
            hub.cache().snapshot_download("o/n").await.unwrap().join("d/large.bin")
        } else {
            hub.cache().download_file("o/n", "d/large.bin").await.unwrap()
        };
        assert_eq!(fs::read_to_string(&path).unwrap(), CONTENT);
        let name = entry.payload.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            fs::read_link(&blob).unwrap(),
            Path::new("../../blobs").join(&name[..2]).join(name)
        );
        let lines = fs::read_to_string(manifest(&entry.payload)).unwrap();
        assert!(lines.ends_with(&format!("models--o--n/blobs/{name}\n")), "{lines}");
        assert_eq!(lines.lines().count(), 2);
        let requests = hub.requests().await;
        assert!(
            !requests.iter().any(|request| request.starts_with("GET /o/n/resolve")),
            "{requests:?}"
        );
        assert_eq!(scan(&hub.root()).unwrap().warnings, []);
        fs::remove_dir_all(hub.repo()).unwrap();
        assert!(!sweep(&hub.root(), &entry.payload).unwrap());
    }
}

#[cfg(feature = "download")]
#[tokio::test]
async fn c_057_a_payload_of_another_size_or_one_that_is_switched_off_is_not_used() {
    let (hub, entry, blob) = hub_with_xet().await;
    published(&entry, &hub.root(), "short");
    let path = hub.cache().download_file("o/n", "d/large.bin").await.unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), CONTENT);
    assert!(!fs::symlink_metadata(&blob).unwrap().is_symlink());

    let (hub, entry, blob) = hub_with_xet().await;
    published(&entry, &hub.root(), CONTENT);
    let cache = crate::Cache::new(hub.root()).with_shared_blobs(false);
    let cache = crate::HubCache::with_cache(hub.api(), cache);
    cache.download_file("o/n", "d/large.bin").await.unwrap();
    assert!(!fs::symlink_metadata(&blob).unwrap().is_symlink());
}

#[test]
fn c_054_c_055_what_is_put_there_has_the_client_s_names_and_modes() {
    use std::os::unix::fs::PermissionsExt;

    for (root_mode, payload_mode) in [(0o755, 0o444), (0o750, 0o440), (0o700, 0o400)] {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::set_permissions(&root, std::fs::Permissions::from_mode(root_mode)).unwrap();
        let entry = Entry::new(&Layout::new(&root), &HASH.parse().unwrap());
        let blob = published(&entry, &root, "payload");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&entry.payload), payload_mode);
        assert_eq!(mode(&root.join("blobs")), root_mode);
        assert_eq!(mode(entry.payload.parent().unwrap()), root_mode);
        assert_eq!(mode(&manifest(&entry.payload)), 0o666);
        assert_eq!(mode(&with_suffix(&entry.payload, ".lock")), 0o666);
        assert_eq!(fs::read(root.join("blobs").join(STORE_MARKER)).unwrap(), b"1\n");
        assert_eq!(fs::read_link(&blob).unwrap(), Path::new("../../blobs/ab").join(HASH));
        assert_eq!(
            fs::read_to_string(manifest(&entry.payload)).unwrap(),
            "models--o--other/blobs/e\n"
        );
        assert_eq!(fs::read_dir(blob.parent().unwrap()).unwrap().count(), 1);
    }
}

#[test]
fn c_056_a_folder_that_holds_something_else_is_never_marked() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let entry = Entry::new(&Layout::new(&root), &HASH.parse().unwrap());
    fs::create_dir_all(root.join("blobs")).unwrap();
    fs::write(root.join("blobs/mine"), "x").unwrap();
    let blob = root.join("models--o--n/blobs/e");
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::write(&blob, "payload").unwrap();
    assert!(!entry.publish(&blob, 7, false).unwrap());
    assert_eq!(fs::read_dir(root.join("blobs")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&blob).unwrap(), "payload");
    // An abandoned mark is no obstacle.
    fs::remove_file(root.join("blobs/mine")).unwrap();
    fs::write(root.join("blobs").join(format!("{STORE_MARKER}.0123abcd.tmp")), "1").unwrap();
    assert!(entry.publish(&blob, 7, false).unwrap());
    assert!(is_marked(&root.join("blobs")));
}

#[test]
fn c_058_w_010_a_line_that_was_cut_short_swallows_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let payload = store(&root, &["models--o--a"]);
    let text = fs::read_to_string(manifest(&payload)).unwrap();
    fs::write(manifest(&payload), text.trim_end()).unwrap();
    let entry = Entry::new(&Layout::new(&root), &HASH.parse().unwrap());
    let blob = root.join("models--o--c/blobs/etag");
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    assert!(entry.link(&blob, 7));
    assert_eq!(references(&root, &payload).unwrap().len(), 2);
    assert!(!sweep(&root, &payload).unwrap());
    assert_eq!(fs::read_to_string(blob).unwrap(), "payload");
}

#[cfg(feature = "download")]
#[tokio::test]
async fn c_062_a_process_that_died_between_payload_and_link_loses_nothing() {
    let (hub, entry, blob) = hub_with_xet().await;
    published(&entry, &hub.root(), CONTENT);
    // As after the first rename: the payload and the line are there, the content is not; the link has its other name.
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    entry.refer(&blob).unwrap();
    let link = entry.make_link(&blob).unwrap();
    let path = hub.cache().download_file("o/n", "d/large.bin").await.unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), CONTENT);
    assert!(!hub.requests().await.iter().any(|request| request.starts_with("GET")));
    let report = scan(&hub.root()).unwrap();
    assert_eq!(
        report.leftovers.iter().map(|left| &left.path).collect::<Vec<_>>(),
        [&link]
    );
}

#[test]
fn w_009_contents_are_given_back_to_their_repositories() {
    let dir = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(dir.path()).unwrap();
    let payload = store(&root, &["models--o--a", "models--o--b"]);
    let done = unshare(&root).unwrap();
    assert_eq!((done.contents, done.copied, done.kept, done.payloads), (2, 14, 0, 1));
    assert!(!payload.exists());
    for repo in ["models--o--a", "models--o--b"] {
        let blob = root.join(repo).join("blobs/etag");
        assert!(fs::symlink_metadata(&blob).unwrap().is_file());
        assert_eq!(fs::read_to_string(&blob).unwrap(), "payload");
    }
    assert_eq!(scan(&root).unwrap().warnings, []);
    assert_eq!(unshare(&root).unwrap(), Unshared::default());
    // A payload that an old client has taken away is told of, repository by repository.
    let payload = store(&root, &["models--o--c", "models--o--d"]);
    fs::remove_file(payload).unwrap();
    assert_eq!(scan(&root).unwrap().warnings.len(), 2);
}
