//! `hub cache prune` with each of its flags: what it says, what is then on the disk, and what the official client sees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hub_cache::{HubCache, human_size, scan};
use hub_tests::{ADA, Scanner, TestEnv, noise};

/// Days since the contents of each revision were last used.
const AGES: [u64; 3] = [90, 60, 30];

/// A cache with three revisions of a model, each named by a tag.
struct Fixture {
    env: TestEnv,
    commits: Vec<String>,
    copies: usize,
}

impl Fixture {
    fn new() -> Self {
        let mut env = TestEnv::new();
        let hub = env.start_hub();
        let api = hub.api(ADA);
        api.create_repo("ada/demo").wait().unwrap();
        let cache = HubCache::new(hub.api(ADA), env.cache());
        let mut commits = Vec::new();
        for number in 0..AGES.len() {
            let (bytes, tag) = (noise(100_000 * (number + 1), number as u32), format!("v{number}"));
            api.upload_file("ada/demo", bytes, "weights.bin").wait().unwrap();
            api.create_tag("ada/demo", &*tag).wait().unwrap();
            let folder = cache.snapshot_download("ada/demo").revision(&*tag).wait().unwrap();
            commits.push(folder.file_name().unwrap().to_string_lossy().into_owned());
        }
        Self {
            env,
            commits,
            copies: 0,
        }
    }

    /// A copy of the cache whose contents are as old as they should be.
    fn copy(&mut self) -> PathBuf {
        self.copies += 1;
        let copy = self.env.work().join(format!("cache-{}", self.copies));
        self.env
            .command("cp")
            .arg("-a")
            .arg(self.env.cache())
            .arg(&copy)
            .success();
        let blobs = copy.join("models--ada--demo/blobs");
        for entry in fs_err::read_dir(blobs).unwrap() {
            let entry = entry.unwrap();
            let place = entry.metadata().unwrap().len() / 100_000;
            // What all revisions have is as old as the oldest.
            let days = AGES[(place as usize).saturating_sub(1)];
            let time = SystemTime::now() - Duration::from_secs(days * 86_400);
            let times = std::fs::FileTimes::new().set_accessed(time).set_modified(time);
            let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
            file.set_times(times).unwrap();
        }
        copy
    }

    fn prune(&self, cache: &Path, flags: &[&str]) -> serde_json::Value {
        let command = self.env.hub(["cache", "prune", "--json", "--yes", "--cache-dir"]);
        let output = command.arg(cache).args(flags).success();
        serde_json::from_str(output.stdout.trim_end()).unwrap_or_else(|err| panic!("{err}: {output}"))
    }
}

/// All bytes of contents below a cache.
fn bytes(cache: &Path) -> u64 {
    let Ok(blobs) = fs_err::read_dir(cache.join("models--ada--demo/blobs")) else {
        return 0;
    };
    blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn each_flag_deletes_what_it_says_and_no_more() {
    let mut fixture = Fixture::new();
    let mut python = Scanner::start(&fixture.env);
    let cases: [(&[&str], &[usize]); 8] = [
        (&["--older-than", "75d"], &[1, 2]),
        (&["--older-than", "45d"], &[2]),
        (&["--older-than", "15d"], &[]),
        (&["--keep-newest", "2"], &[1, 2]),
        (&["--keep-newest", "1"], &[2]),
        (&["--max-size", "510KB"], &[1, 2]),
        (&["--max-size", "310KB"], &[2]),
        (&["--older-than", "75d", "--max-size", "310KB"], &[2]),
    ];
    for (flags, stay) in cases {
        let cache = fixture.copy();
        let before = bytes(&cache);
        let dry = fixture.prune(&cache, &[flags, &["--dry-run"]].concat());
        assert_eq!(dry["dry_run"], true, "{flags:?}");
        assert_eq!(bytes(&cache), before, "{flags:?}: a dry run deletes nothing");
        assert_eq!(scan(&cache).unwrap().repos[0].revisions.len(), 3, "{flags:?}");

        let done = fixture.prune(&cache, flags);
        assert_eq!(done["revisions_deleted"], 3 - stay.len(), "{flags:?}");
        assert_eq!(done["revisions_deleted"], dry["revisions"], "{flags:?}");
        let freed = human_size(before - bytes(&cache));
        assert_eq!(
            (&done["freed"], &dry["size"]),
            (&freed.clone().into(), &freed.into()),
            "{flags:?}"
        );

        let files = python.scan(&cache);
        let seen: BTreeSet<&str> = files.iter().filter_map(|file| file.split('/').next()).collect();
        let expected: BTreeSet<&str> = stay.iter().map(|number| &*fixture.commits[*number]).collect();
        assert_eq!(seen, expected, "{flags:?}");
        for (number, commit) in fixture.commits.iter().enumerate() {
            let file = cache.join(format!("models--ada--demo/snapshots/{commit}/weights.bin"));
            let is_right = fs_err::read(&file).is_ok_and(|found| found == noise(100_000 * (number + 1), number as u32));
            assert_eq!(is_right, stay.contains(&number), "{flags:?}: {commit}");
            let named = cache.join(format!("models--ada--demo/refs/v{number}"));
            assert_eq!(named.exists(), stay.contains(&number), "{flags:?}: v{number}");
        }
    }
}

#[test]
fn without_flags_what_nothing_names_and_what_the_dead_have_left_goes() {
    let mut fixture = Fixture::new();
    let cache = fixture.copy();
    let command = fixture.env.hub(["cache", "prune", "--yes", "--cache-dir"]);
    let nothing = command.arg(&cache).success();
    assert!(nothing.stdout.contains("Nothing to prune"), "{nothing}");

    let repo = cache.join("models--ada--demo");
    fs_err::remove_file(repo.join("refs/v0")).unwrap();
    let left = [
        repo.join("blobs/0123.0123abcd.incomplete"),
        repo.join("tmp_01234567-89ab-cdef-0123-456789abcdef"),
        cache.join(".locks/models--ada--gone/0123.lock"),
    ];
    fs_err::create_dir(cache.join(".locks/models--ada--gone")).unwrap();
    for file in &left {
        fs_err::write(file, "").unwrap();
    }
    let done = fixture.prune(&cache, &[]);
    let counts = |done: &serde_json::Value| {
        ["revisions", "incomplete", "leftovers"].map(|what| done[format!("{what}_deleted")].as_u64().unwrap())
    };
    assert_eq!(counts(&done), [1, 0, 0], "what is younger than a day may have an owner");
    assert!(left.iter().all(|file| file.exists()));
    let done = fixture.prune(&cache, &["--min-age", "0s"]);
    assert_eq!(counts(&done), [0, 1, 2]);
    assert!(!left.iter().any(|file| file.exists()));
    assert!(!cache.join(".locks/models--ada--gone").exists());
    assert!(
        cache.join(".locks/models--ada--demo").is_dir(),
        "its repository is there"
    );
    let files = Scanner::start(&fixture.env).scan(&cache);
    assert!(
        !files.iter().any(|file| file.starts_with(&fixture.commits[0])),
        "{files:?}"
    );
    assert_eq!(files.iter().filter(|file| file.ends_with("weights.bin")).count(), 2);
}
