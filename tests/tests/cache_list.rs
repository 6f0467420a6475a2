//! `hub cache list` per file: what takes the room, and which revisions need it.

use hub_cache::HubCache;
use hub_tests::{ADA, TestEnv};
use serde_json::Value;

#[test]
fn files_are_listed_once_for_all_revisions_that_have_them() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").wait().unwrap();
    let cache = HubCache::new(hub.api(ADA), env.cache());
    let mut commits = Vec::new();
    for (tag, notes) in [("v1", "one"), ("v2", "two, and more")] {
        let weights = vec![b'w'; 5_000];
        api.upload_file("ada/demo", weights, "weights/model.bin")
            .wait()
            .unwrap();
        api.upload_file("ada/demo", notes.as_bytes().to_vec(), "notes.txt")
            .wait()
            .unwrap();
        api.create_tag("ada/demo", tag).wait().unwrap();
        let folder = cache.snapshot_download("ada/demo").revision(tag).wait().unwrap();
        commits.push(folder.file_name().unwrap().to_str().unwrap().to_owned());
    }

    let json = env
        .hub(["cache", "ls", "--files", "--sort", "size", "--json"])
        .success();
    let rows: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["path"].as_str().unwrap(), row["size_on_disk"].as_u64().unwrap()))
        .collect();
    let refs = |row: &Value| row["refs"].as_array().unwrap().len();
    // The Hub adds .gitattributes.
    assert_eq!(
        (told[0], refs(&rows[0])),
        (("weights/model.bin", 5_000), 2),
        "{}",
        json.stdout
    );
    assert_eq!(told[1].0, ".gitattributes");
    assert_eq!(told[2..], [("notes.txt", 13), ("notes.txt", 3)]);
    assert_eq!(rows[3]["revisions"], serde_json::json!([commits[0]]));
    for row in &rows {
        let read = fs_err::read(row["file_path"].as_str().unwrap()).unwrap();
        assert_eq!(read.len() as u64, row["size_on_disk"].as_u64().unwrap());
    }

    // A file that two revisions share takes its room once.
    let table = env.hub(["cache", "ls", "--files", "--filter", "size>4k"]).success();
    assert!(
        table
            .stdout
            .contains("Found 1 repo(s) for a total of 1 file(s) and 5.0K on disk."),
        "{}",
        table.stdout
    );
    let both = env.hub(["cache", "ls", "--files", "--revisions"]).failure(2);
    assert!(both.stderr.contains("--revisions and --files"), "{}", both.stderr);
}
