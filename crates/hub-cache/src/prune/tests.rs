use fs_err as fs;

use super::*;
use crate::scan::scan;
use crate::scan::tests::{ONE, TWO, fixture};

fn revision(commit: &str) -> Target {
    Target::Revision(RepoType::Model, "o/n".into(), commit.into())
}

#[test]
fn c_095_one_of_two_revisions_leaves_what_the_other_needs() {
    let dir = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    for commit in [ONE, TWO] {
        fs::create_dir_all(repo.join("trees")).unwrap();
        fs::write(repo.join("trees").join(format!("{commit}.json")), "{}").unwrap();
        fs::create_dir_all(repo.join(".no_exist").join(commit)).unwrap();
    }
    let report = scan(dir.path()).unwrap();
    let plan = DeletionPlan::delete(&report, &[revision(ONE), revision("f")]);
    assert_eq!((plan.freed, plan.revisions.len(), plan.repos.len()), (1, 1, 0));
    assert_eq!(plan.unknown, [revision("f")]);
    let done = plan.execute().unwrap();
    assert_eq!((done.revisions, done.kept), (1, 0));
    for gone in [
        format!("snapshots/{ONE}"),
        "blobs/one".to_owned(),
        "refs/refs/pr/1".to_owned(),
        format!("trees/{ONE}.json"),
        format!(".no_exist/{ONE}"),
    ] {
        assert!(!repo.join(&gone).exists(), "{gone}");
    }
    for kept in [
        format!("snapshots/{TWO}/d/own"),
        "blobs/shared".to_owned(),
        "refs/main".to_owned(),
        format!("trees/{TWO}.json"),
    ] {
        assert!(repo.join(&kept).exists(), "{kept}");
    }
    let after = scan(dir.path()).unwrap();
    assert_eq!((after.warnings.len(), after.leftovers.len(), after.size), (0, 0, 7));
    // Doing it again is no error.
    assert_eq!(plan.execute().unwrap().revisions, 0);
}

#[test]
fn c_096_w_008_a_commit_is_of_one_repository() {
    let dir = tempfile::tempdir().unwrap();
    fixture(dir.path(), "models--o--n");
    let copy = fixture(dir.path(), "models--o--copy");
    fs::remove_dir_all(copy.join("refs")).unwrap();
    let report = scan(dir.path()).unwrap();
    assert_eq!(report.revisions(ONE).count(), 2);
    let plan = DeletionPlan::delete(&report, &[revision(ONE)]);
    assert_eq!(plan.revisions.len(), 1);
    assert_eq!(plan.revisions[0].repo_id, "o/n");
    // Pruning takes the copy, which nothing names, and leaves the original.
    let plan = DeletionPlan::prune(&report, &PruneOptions::default());
    assert_eq!(plan.repos.len(), 1);
    assert_eq!(plan.repos[0].repo_id, "o/copy");
    assert_eq!(plan.freed, 8);
    let done = plan.execute().unwrap();
    assert_eq!((done.repos, done.revisions), (1, 2));
    let after = scan(dir.path()).unwrap();
    assert_eq!(
        (after.repos.len(), after.repos[0].revisions.len(), after.warnings.len()),
        (1, 2, 0)
    );
}

#[test]
fn all_revisions_are_the_repository() {
    let dir = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    let report = scan(dir.path()).unwrap();
    for targets in [
        vec![revision(ONE), revision(TWO)],
        vec![Target::Repo(RepoType::Model, "O/N".into())],
    ] {
        let plan = DeletionPlan::delete(&report, &targets);
        assert_eq!((plan.repos.len(), plan.revisions.len(), plan.freed), (1, 2, 8));
    }
    DeletionPlan::delete(&report, &[revision(ONE), revision(TWO)])
        .execute()
        .unwrap();
    assert!(!repo.exists());
    assert_eq!(scan(dir.path()).unwrap().repos.len(), 0);
}

#[test]
fn a_single_file_goes_from_every_revision() {
    let dir = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    let report = scan(dir.path()).unwrap();
    let file = |path: &str| Target::File(RepoType::Model, "o/n".into(), path.into());
    let plan = DeletionPlan::delete(&report, &[file("d/own"), file("a"), file("none")]);
    assert_eq!((plan.files.len(), plan.freed, plan.unknown.len()), (4, 3, 1));
    assert_eq!(plan.execute().unwrap().files, 4);
    assert!(!repo.join("blobs/one").exists() && !repo.join("blobs/two").exists());
    assert!(repo.join("blobs/shared").exists(), "the other name still leads to it");
    assert!(repo.join("refs/main").exists());
}

#[test]
fn what_a_download_uses_since_the_plan_stays() {
    let dir = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    let report = scan(dir.path()).unwrap();
    let plan = DeletionPlan::delete(&report, &[revision(ONE)]);
    // A third revision has come that uses the same content.
    let third = repo.join("snapshots").join("3".repeat(40));
    fs::create_dir_all(&third).unwrap();
    crate::link::symlink(Path::new("../../blobs/one"), &third.join("x")).unwrap();
    assert_eq!(plan.execute().unwrap().kept, 1);
    assert!(third.join("x").exists());
    // And one whose lock somebody holds.
    let plan = DeletionPlan::delete(
        &scan(dir.path()).unwrap(),
        &[Target::Revision(RepoType::Model, "o/n".into(), "3".repeat(40))],
    );
    let held = lock::lock(&dir.path().join(".locks/models--o--n/one.lock"), None).unwrap();
    assert_eq!(plan.execute().unwrap().kept, 1);
    assert!(repo.join("blobs/one").exists());
    drop(held);
}

#[test]
fn c_097_a_partial_that_somebody_writes_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    let names = [
        "abc.r1-0123abcd.incomplete",
        "def.r1-0123abcd.incomplete",
        "ghi.incomplete",
    ];
    for name in names {
        fs::write(repo.join("blobs").join(name), "123").unwrap();
    }
    let journal = repo.join("blobs").join(format!("{}.journal", names[0]));
    fs::write(&journal, "{}").unwrap();
    let now = PruneOptions {
        min_age: Duration::ZERO,
        ..PruneOptions::default()
    };
    let report = scan(dir.path()).unwrap();
    assert_eq!((report.partials.len(), report.leftovers.len()), (3, 0));
    assert!(
        DeletionPlan::prune(&report, &PruneOptions::default())
            .partials
            .is_empty()
    );
    let ours = lock::claim(&repo.join("blobs").join(names[0])).unwrap();
    let pythons = lock::lock(&dir.path().join(".locks/models--o--n/ghi.lock"), None).unwrap();
    let plan = DeletionPlan::prune(&report, &now);
    assert_eq!((plan.partials.len(), plan.freed), (1, 3));
    assert!(plan.partials[0].path.ends_with(names[1]));
    drop((ours, pythons));
    let plan = DeletionPlan::prune(&report, &now);
    assert_eq!(plan.execute().unwrap().partials, 3);
    assert!(!journal.exists());
}

/// Two repositories with two revisions each; the contents of `one` were used long ago.
fn aged(dir: &Path) -> CacheReport {
    for name in ["models--o--n", "models--o--m"] {
        let repo = fixture(dir, name);
        let old = SystemTime::now() - Duration::from_secs(if name.ends_with('n') { 90 } else { 60 } * 86_400);
        let file = std::fs::File::options()
            .write(true)
            .open(repo.join("blobs/one"))
            .unwrap();
        file.set_times(std::fs::FileTimes::new().set_accessed(old).set_modified(old))
            .unwrap();
        for blob in ["shared", "two"] {
            let days = Duration::from_secs(40 * 86_400);
            let file = std::fs::File::options()
                .write(true)
                .open(repo.join("blobs").join(blob))
                .unwrap();
            let time = if blob == "shared" {
                old
            } else {
                SystemTime::now() - days
            };
            file.set_times(std::fs::FileTimes::new().set_accessed(time).set_modified(time))
                .unwrap();
        }
    }
    scan(dir).unwrap()
}

fn pruned(report: &CacheReport, options: PruneOptions) -> (Vec<String>, u64) {
    let plan = DeletionPlan::prune(report, &options);
    let of = |r: &PlannedRevision| format!("{} {}", r.repo_id, &r.commit[..1]);
    let mut revisions: Vec<String> = plan.revisions.iter().map(of).collect();
    revisions.sort();
    (revisions, plan.freed)
}

#[test]
fn revisions_go_by_age_by_number_and_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let report = aged(dir.path());
    let none = PruneOptions::default;
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    assert_eq!(pruned(&report, none()), (vec![], 0), "each is named by a ref");
    let old = |older_than| pruned(&report, PruneOptions { older_than, ..none() });
    assert_eq!(old(days(100)).0, [""; 0]);
    assert_eq!(old(days(75)), (vec!["o/n 1".to_owned()], 1));
    assert_eq!(old(days(50)).0, ["o/m 1", "o/n 1"]);
    assert_eq!(old(days(30)).1, 16);
    let newest = |most| {
        pruned(
            &report,
            PruneOptions {
                keep_newest: Some(most),
                ..none()
            },
        )
    };
    assert_eq!(newest(2).0, [""; 0]);
    assert_eq!(newest(1), (vec!["o/m 1".to_owned(), "o/n 1".to_owned()], 2));
    assert_eq!(newest(0).1, 16);
    let down = |most| {
        pruned(
            &report,
            PruneOptions {
                max_size: Some(most),
                ..none()
            },
        )
    };
    assert_eq!(down(16).0, [""; 0]);
    assert_eq!(
        down(15),
        (vec!["o/n 1".to_owned()], 1),
        "what was used longest ago goes first"
    );
    assert_eq!(down(14).0, ["o/m 1", "o/n 1"]);
    assert_eq!(down(13).0.len(), 3);
    assert_eq!(down(0).1, 16);
    let plan = DeletionPlan::prune(
        &report,
        &PruneOptions {
            max_size: Some(14),
            ..none()
        },
    );
    plan.execute().unwrap();
    let after = scan(dir.path()).unwrap();
    assert_eq!((after.size, after.warnings.len(), after.repos.len()), (14, 0, 2));
}

#[test]
fn w_018_what_any_client_leaves_is_found_and_goes_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    let blobs = repo.join("blobs");
    fs::create_dir_all(repo.join("trees")).unwrap();
    fs::create_dir_all(dir.path().join("tmpabcd1234")).unwrap();
    fs::write(dir.path().join("tmpabcd1234/dummy_file_src"), "").unwrap();
    let files = [
        blobs.join("tmp_01234567-89ab-cdef-0123-456789abcdef"),
        blobs.join(".0123abcd.link"),
        blobs.join(".etag.0123abcd.shared"),
        repo.join("refs/main.0123abcd.tmp"),
        repo.join("trees/tmpabcd1234.tmp"),
    ];
    for file in &files {
        fs::write(file, "x").unwrap();
    }
    let report = scan(dir.path()).unwrap();
    assert_eq!(report.leftovers.len(), files.len() + 1, "{:?}", report.leftovers);
    assert!(
        DeletionPlan::prune(&report, &PruneOptions::default())
            .leftovers
            .is_empty()
    );
    let now = PruneOptions {
        min_age: Duration::ZERO,
        ..PruneOptions::default()
    };
    let plan = DeletionPlan::prune(&report, &now);
    assert_eq!(plan.freed, files.len() as u64);
    plan.execute().unwrap();
    let after = scan(dir.path()).unwrap();
    assert_eq!((after.leftovers.len(), after.warnings.len(), after.size), (0, 0, 8));
}

fn at_once() -> PruneOptions {
    PruneOptions {
        min_age: Duration::ZERO,
        ..PruneOptions::default()
    }
}

#[test]
fn w_018_probes_in_a_repository_s_own_folder_go() {
    let dir = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    let mode = repo.join("tmp_01234567-89ab-cdef-0123-456789abcdef");
    fs::write(&mode, "").unwrap();
    let links = repo.join("tmpabcd1234");
    fs::create_dir(&links).unwrap();
    crate::link::symlink(Path::new("dummy_file_src"), &links.join("dummy_file_dst")).unwrap();
    // Names alone prove nothing: what holds anything else is somebody's.
    let other = repo.join("tmpabcd5678");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mine"), "").unwrap();
    let report = scan(dir.path()).unwrap();
    assert_eq!(report.leftovers.len(), 2, "{:?}", report.leftovers);
    let plan = DeletionPlan::prune(&report, &PruneOptions::default());
    assert!(plan.is_empty(), "they are young");
    let done = DeletionPlan::prune(&report, &at_once()).execute().unwrap();
    assert_eq!(done.leftovers, 2);
    assert!(!mode.exists() && !links.exists() && other.join("mine").exists());
}

#[test]
fn w_018_locks_of_repositories_that_are_gone_go_unless_somebody_has_one() {
    let dir = tempfile::tempdir().unwrap();
    fixture(dir.path(), "models--o--n");
    let locks = dir.path().join(".locks");
    for name in ["models--o--n", "models--o--gone", "models--o--busy", "notes"] {
        fs::create_dir_all(locks.join(name)).unwrap();
        fs::write(locks.join(name).join("abc.lock"), "").unwrap();
    }
    let report = scan(dir.path()).unwrap();
    assert_eq!(report.dead_locks.len(), 2, "{:?}", report.dead_locks);
    assert!(
        DeletionPlan::prune(&report, &PruneOptions::default()).is_empty(),
        "they are young"
    );
    let held = lock::lock(&locks.join("models--o--busy/abc.lock"), None).unwrap();
    let plan = DeletionPlan::prune(&report, &at_once());
    assert_eq!(plan.execute().unwrap().leftovers, 1);
    assert!(!locks.join("models--o--gone").exists());
    for name in ["models--o--n", "models--o--busy", "notes"] {
        assert!(locks.join(name).join("abc.lock").exists(), "{name}");
    }
    // Its download has begun since the plan was made.
    fs::create_dir(dir.path().join("models--o--busy")).unwrap();
    drop(held);
    assert_eq!(plan.execute().unwrap().leftovers, 0);
    assert!(locks.join("models--o--busy/abc.lock").exists());
    // With a repository its locks go.
    let target = Target::Repo(RepoType::Model, "o/n".into());
    DeletionPlan::delete(&report, &[target]).execute().unwrap();
    assert!(!locks.join("models--o--n").exists());
}

#[test]
fn links_to_what_a_pruned_system_cache_had_go_with_the_files_that_lead_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let system = tempfile::tempdir().unwrap();
    let repo = fixture(dir.path(), "models--o--n");
    let kept = fixture(dir.path(), "models--o--back");
    for repo in [&repo, &kept] {
        fs::remove_file(repo.join("blobs/shared")).unwrap();
        crate::link::symlink(&system.path().join("content"), &repo.join("blobs/shared")).unwrap();
    }
    // A file whose content is missing altogether is not a link of this kind.
    fs::remove_file(repo.join("blobs/two")).unwrap();
    let report = scan(dir.path()).unwrap();
    assert_eq!(report.dangling.len(), 2, "{:?}", report.dangling);
    assert!(
        report.dangling.iter().all(|link| link.files.len() == 4),
        "{:?}",
        report.dangling
    );
    // The Python client hides such a repository; pruning by its view must see the links all the same.
    let plan = DeletionPlan::prune(&report.strict(), &PruneOptions::default());
    assert_eq!((plan.dangling.len(), plan.freed), (2, 0));

    fs::remove_file(kept.join("blobs/shared")).unwrap();
    fs::write(kept.join("blobs/shared"), "12345").unwrap();
    let held = lock::lock(&dir.path().join(".locks/models--o--n/shared.lock"), None).unwrap();
    let done = plan.execute().unwrap();
    assert_eq!((done.dangling, done.kept), (0, 1));
    drop(held);
    assert_eq!(plan.execute().unwrap().dangling, 1);
    assert!(!repo.join("blobs/shared").is_symlink());
    assert!(!repo.join("snapshots").join(ONE).join("a").is_symlink());
    assert!(repo.join("snapshots").join(ONE).join("d/own").exists());
    assert!(repo.join("snapshots").join(TWO).join("d/own").is_symlink());
    assert!(
        kept.join("snapshots").join(ONE).join("a").exists(),
        "it was brought again since"
    );
    assert_eq!(scan(dir.path()).unwrap().dangling, []);
}
