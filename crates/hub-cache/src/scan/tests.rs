use hub_types::RepoType;

use super::*;

pub(crate) const ONE: &str = "1111111111111111111111111111111111111111";
pub(crate) const TWO: &str = "2222222222222222222222222222222222222222";

/// A repository with two revisions that share one of their contents.
pub(crate) fn fixture(root: &Path, name: &str) -> PathBuf {
    let repo = root.join(name);
    fs::create_dir_all(repo.join("blobs")).unwrap();
    fs::create_dir_all(repo.join("refs/refs/pr")).unwrap();
    for (blob, text) in [("shared", "12345"), ("one", "1"), ("two", "22")] {
        fs::write(repo.join("blobs").join(blob), text).unwrap();
    }
    for (commit, own) in [(ONE, "one"), (TWO, "two")] {
        let dir = repo.join("snapshots").join(commit);
        fs::create_dir_all(dir.join("d")).unwrap();
        crate::link::symlink(Path::new("../../blobs/shared"), &dir.join("a")).unwrap();
        crate::link::symlink(Path::new("../../blobs/shared"), &dir.join("b")).unwrap();
        crate::link::symlink(&Path::new("../../../blobs").join(own), &dir.join("d/own")).unwrap();
    }
    fs::write(repo.join("refs/main"), TWO).unwrap();
    fs::write(repo.join("refs/refs/pr/1"), ONE).unwrap();
    repo
}

#[cfg(unix)]
#[test]
fn c_091_a_content_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    fixture(dir.path(), "models--o--n");
    fs::create_dir_all(dir.path().join(".locks/models--o--n")).unwrap();
    fs::write(dir.path().join("CACHEDIR.TAG"), b"").unwrap();
    fs::write(dir.path().join("models--o--n/blobs/x.0123abcd.incomplete"), b"12").unwrap();
    let report = scan(dir.path()).unwrap();
    assert_eq!(report.warnings, []);
    assert_eq!((report.size, report.repos.len()), (8, 1));
    let repo = &report.repos[0];
    assert_eq!(
        (repo.size, repo.files, repo.repo_id.as_str(), repo.cache_id().as_str()),
        (8, 3, "o/n", "model/o/n")
    );
    let one = &repo.revisions[0];
    assert_eq!((one.commit.as_str(), one.size, one.files.len()), (ONE, 6, 3));
    assert_eq!(one.refs, ["refs/pr/1"]);
    assert_eq!(one.files[2].path, "d/own");
    assert_eq!(repo.refs["main"], TWO);
    assert_eq!((report.partials.len(), report.partials[0].size), (1, 2));
    assert_eq!(report.repo(RepoType::Model, "O/N").unwrap().repo_id, "o/n");
    assert_eq!(report.revisions(TWO).count(), 1);
}

#[cfg(unix)]
#[test]
fn c_093_each_oddity_is_named_and_hides_nothing_else() {
    type Damage = fn(&Path);
    let cases: [(Damage, &str); 7] = [
        (
            |repo| fs::write(repo.join("snapshots/f"), "").unwrap(),
            "Snapshots folder corrupted. Found a file",
        ),
        (
            |repo| fs::remove_file(repo.join("blobs/one")).unwrap(),
            "Blob missing (broken symlink)",
        ),
        (
            |repo| fs::write(repo.join("refs/dev"), "f".repeat(40)).unwrap(),
            "Reference(s) refer to missing commit hashes",
        ),
        (
            |repo| fs::write(repo.join("refs/main.0123abcd.tmp"), "").unwrap(),
            "Reference(s) refer to missing commit hashes",
        ),
        (
            |repo| fs::write(repo.join("refs/empty"), "").unwrap(),
            "Reference(s) refer to missing commit hashes",
        ),
        (
            |repo| {
                fs::remove_dir_all(repo.join("refs")).unwrap();
                fs::write(repo.join("refs"), "").unwrap();
            },
            "Refs directory cannot be a file",
        ),
        (
            |repo| fs::remove_dir_all(repo.join("snapshots")).unwrap(),
            "Snapshots dir doesn't exist in cached repo",
        ),
    ];
    for (damage, text) in cases {
        let dir = tempfile::tempdir().unwrap();
        let repo = fixture(dir.path(), "models--o--n");
        fixture(dir.path(), "datasets--o--n");
        damage(&repo);
        let report = scan(dir.path()).unwrap();
        assert_eq!(report.warnings.len(), 1, "{text}: {:?}", report.warnings);
        assert!(
            report.warnings[0].to_string().starts_with(text),
            "{}",
            report.warnings[0]
        );
        let kept = if text.starts_with("Snapshots dir") { 1 } else { 2 };
        assert_eq!(report.repos.len(), kept, "{text}");
        assert_eq!(report.strict().repos.len(), 1, "{text}");
    }
}

#[test]
fn c_093_entries_that_are_no_repositories() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("stray"), b"").unwrap();
    fs::create_dir_all(dir.path().join("folder")).unwrap();
    fs::create_dir_all(dir.path().join("things--o--n/snapshots")).unwrap();
    fs::write(dir.path().join(".DS_Store"), b"").unwrap();
    let texts: Vec<String> = scan(dir.path())
        .unwrap()
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].starts_with("Repo path is not a valid HuggingFace cache directory"));
    assert!(texts[1].starts_with("Repo path is not a directory"));
    assert!(texts[2].starts_with("Repo type must be one of"));
}

#[test]
fn no_cache_and_a_file_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        scan(&dir.path().join("none")).unwrap_err(),
        Error::CacheNotFound { .. }
    ));
    let file = dir.path().join("f");
    fs::write(&file, b"").unwrap();
    assert!(matches!(scan(&file).unwrap_err(), Error::NotACache { .. }));
    assert_eq!(scan(dir.path()).unwrap().size, 0);
}

#[test]
fn c_094_sizes_print_as_in_python() {
    for (bytes, text) in [
        (0, "0.0"),
        (8, "8.0"),
        (999, "999.0"),
        (1000, "1.0K"),
        (999_900, "999.9K"),
        (999_950, "1000.0K"),
        (4_500_000, "4.5M"),
    ] {
        assert_eq!(human_size(bytes), text);
    }
}
