use super::*;
use crate::tree::TreeFile;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn fixture() -> (tempfile::TempDir, Cache, RepoId, CommitHash) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    (dir, cache, RepoId::model("o/n").unwrap(), COMMIT.parse().unwrap())
}

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn rev(text: &str) -> Revision {
    text.parse().unwrap()
}

#[test]
fn c_001_c_002_the_place_comes_from_the_environment() {
    let env = |pairs: &[(&str, &str)]| {
        let home = [("HOME", "/h"), ("USERPROFILE", "/h")];
        Env::from_pairs(home.iter().chain(pairs).map(|(k, v)| (*k, *v)))
    };
    let root = |pairs: &[(&str, &str)]| Cache::from_env(&env(pairs)).root().to_owned();
    assert_eq!(root(&[]), Path::new("/h/.cache/huggingface/hub"));
    let mut pairs = vec![("XDG_CACHE_HOME", "/x")];
    assert_eq!(root(&pairs), Path::new("/x/huggingface/hub"));
    pairs.push(("HF_HOME", "/hf"));
    assert_eq!(root(&pairs), Path::new("/hf/hub"));
    pairs.push(("HUGGINGFACE_HUB_CACHE", "/old"));
    assert_eq!(root(&pairs), Path::new("/old"));
    pairs.push(("HF_HUB_CACHE", "/new"));
    assert_eq!(root(&pairs), Path::new("/new"));
}

#[test]
fn c_003_the_user_is_put_in_before_the_variables() {
    let home = |value: &str| {
        let pairs = [("HOME", "/h"), ("USERPROFILE", "/h"), ("FOO", "foo"), ("TILDE", "~")];
        let env = Env::from_pairs(pairs.iter().copied().chain([("HF_HOME", value)]));
        Cache::from_env(&env).root().to_owned()
    };
    assert_eq!(home("~/x/$FOO"), Path::new("/h/x/foo/hub"));
    assert_eq!(home("~/x/${FOO}/$BAR"), Path::new("/h/x/foo/$BAR/hub"));
    assert_eq!(home("/a/$TILDE"), Path::new("/a/~/hub"));
}

#[test]
fn c_004_flags_are_pythons() {
    let links = |value: &str| Cache::from_env(&Env::from_pairs([("HF_HUB_DISABLE_SYMLINKS", value)])).links;
    for on in ["1", "on", "Yes", "TRUE"] {
        assert!(!links(on), "{on}");
    }
    for off in ["y", "t", "2", " 1", "", "0", "false"] {
        assert!(links(off), "{off:?}");
    }
}

#[test]
fn c_005_the_hubs_own_offline_variable_wins() {
    let offline = |pairs: &[(&str, &str)]| Env::from_pairs(pairs.iter().copied()).offline();
    assert!(!offline(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]));
    assert!(offline(&[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "1")]));
    assert!(offline(&[("TRANSFORMERS_OFFLINE", "1")]));
    assert!(!offline(&[]));
}

#[test]
fn w_020_an_empty_variable_does_not_lead_into_the_working_folder() {
    let env = Env::from_pairs([
        ("HOME", "/h"),
        ("USERPROFILE", "/h"),
        ("HF_HUB_CACHE", ""),
        ("HF_HOME", ""),
    ]);
    assert_eq!(Cache::from_env(&env).root(), Path::new("/h/.cache/huggingface/hub"));
}

#[test]
fn c_014_a_ref_is_forty_bytes_below_refs() {
    let (dir, cache, repo, commit) = fixture();
    assert!(cache.write_ref(&repo, &rev("main"), &commit).unwrap());
    assert!(cache.write_ref(&repo, &rev("refs/pr/1"), &commit).unwrap());
    assert!(!cache.write_ref(&repo, &rev(COMMIT), &commit).unwrap());
    let refs = dir.path().join("models--o--n/refs");
    assert_eq!(fs::read(refs.join("main")).unwrap(), COMMIT.as_bytes());
    assert_eq!(fs::read(refs.join("refs/pr/1")).unwrap(), COMMIT.as_bytes());
    assert_eq!(fs::read_dir(&refs).unwrap().count(), 2);
    // C-17, W-5: the snapshot that a ref names exists.
    assert!(dir.path().join("models--o--n/snapshots").join(COMMIT).is_dir());
    assert_eq!(
        fs::read_dir(dir.path().join("models--o--n/blobs")).unwrap().count(),
        0,
        "no leftover"
    );
}

#[test]
fn c_017_w_005_whoever_reads_a_ref_finds_its_snapshot() {
    let (dir, cache, repo, _) = fixture();
    let done = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let snapshots = dir.path().join("models--o--n/snapshots");
            let mut seen = std::collections::BTreeSet::new();
            loop {
                let last = done.load(std::sync::atomic::Ordering::SeqCst);
                // Read as the Python client does: any length but forty would name no snapshot.
                if let Ok(commit) = fs::read_to_string(dir.path().join("models--o--n/refs/main")) {
                    assert!(snapshots.join(&commit).is_dir(), "{commit:?}");
                    seen.insert(commit);
                }
                if last {
                    return seen.len();
                }
            }
        });
        for number in 0..300 {
            let commit = format!("{number:040x}").parse().unwrap();
            assert!(cache.write_ref(&repo, &rev("main"), &commit).unwrap());
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(seen > 0);
}

#[test]
fn c_015_w_017_a_newline_behind_a_ref_is_read_and_left() {
    let (dir, cache, repo, commit) = fixture();
    cache.write_ref(&repo, &rev("main"), &commit).unwrap();
    let file = dir.path().join("models--o--n/refs/main");
    fs::write(&file, format!("{COMMIT}\n")).unwrap();
    assert_eq!(cache.commit_of(&repo, &rev("main")), Some(commit.clone()));
    assert!(!cache.write_ref(&repo, &rev("main"), &commit).unwrap());
    assert_eq!(fs::read(&file).unwrap().len(), 41);
    let other: CommitHash = "f".repeat(40).parse().unwrap();
    assert!(cache.write_ref(&repo, &rev("main"), &other).unwrap());
    assert_eq!(fs::read(&file).unwrap(), other.as_str().as_bytes());
}

#[test]
fn c_016_an_equal_ref_is_not_written_again() {
    let (dir, cache, repo, commit) = fixture();
    cache.write_ref(&repo, &rev("main"), &commit).unwrap();
    let file = dir.path().join("models--o--n/refs/main");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert!(!cache.write_ref(&repo, &rev("main"), &commit).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
}

#[test]
fn a_branch_below_another_ones_name_is_an_error_and_no_more() {
    let (_dir, cache, repo, commit) = fixture();
    cache.write_ref(&repo, &rev("dev"), &commit).unwrap();
    assert!(cache.write_ref(&repo, &rev("dev/x"), &commit).is_err());
    assert_eq!(cache.commit_of(&repo, &rev("dev")), Some(commit));
}

#[test]
fn c_066_a_known_missing_file_wins_over_one_that_is_there() {
    let (dir, cache, repo, commit) = fixture();
    let file = path("d/f.txt");
    assert_eq!(cache.lookup(&repo, &file, &rev("main")), Lookup::Miss);
    cache.write_ref(&repo, &rev("main"), &commit).unwrap();
    assert_eq!(cache.lookup(&repo, &file, &rev("main")), Lookup::Miss);
    let pointer = dir.path().join("models--o--n/snapshots").join(COMMIT).join("d/f.txt");
    fs::create_dir_all(pointer.parent().unwrap()).unwrap();
    fs::write(&pointer, b"x").unwrap();
    assert_eq!(cache.lookup(&repo, &file, &rev("main")), Lookup::Hit(pointer.clone()));
    assert_eq!(cache.lookup(&repo, &file, &rev(COMMIT)), Lookup::Hit(pointer));
    assert_eq!(cache.lookup(&repo, &path("d"), &rev("main")), Lookup::Miss);
    assert_eq!(cache.lookup(&repo, &file, &rev(&COMMIT[..7])), Lookup::Miss);
    cache.mark_missing(&repo, &commit, &file).unwrap();
    cache.mark_missing(&repo, &commit, &file).unwrap();
    assert_eq!(cache.lookup(&repo, &file, &rev("main")), Lookup::KnownMissing);
    let mark = dir.path().join("models--o--n/.no_exist").join(COMMIT).join("d/f.txt");
    assert_eq!(fs::metadata(mark).unwrap().len(), 0);
}

#[test]
fn c_070_c_072_w_014_a_snapshot_tells_whether_it_is_complete() {
    let (dir, cache, repo, commit) = fixture();
    let all = PatternFilter::default();
    assert_eq!(cache.snapshot(&repo, &rev(COMMIT), &all), None);
    let snapshot = dir.path().join("models--o--n/snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(snapshot.join("a"), b"1").unwrap();
    let state = |wanted: &PatternFilter| cache.snapshot(&repo, &rev(COMMIT), wanted).unwrap().state;
    assert_eq!(state(&all), SnapshotState::Unknown);
    let file = TreeFile::new(1, hub_types::GitOid::of(b"1"), None, None);
    let tree = Tree {
        files: [(path("a"), file.clone()), (path("b"), file)].into(),
    };
    tree.write(&cache.tree_file(&repo, &commit)).unwrap();
    assert_eq!(state(&all), SnapshotState::Partial(vec![path("b")]));
    assert_eq!(
        state(&PatternFilter::new(Some(&["a"]), &[] as &[&str])),
        SnapshotState::Complete
    );
}

#[test]
fn c_008_an_existing_tag_is_left_alone() {
    let (dir, cache, ..) = fixture();
    cache.tag();
    let tag = dir.path().join("CACHEDIR.TAG");
    assert_eq!(fs::read(&tag).unwrap(), CACHEDIR_TAG.as_bytes());
    fs::write(&tag, b"other").unwrap();
    cache.tag();
    assert_eq!(fs::read(&tag).unwrap(), b"other");
}
