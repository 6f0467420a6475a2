//! Folders that are committed again and again, against a Hub of our own.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hub_http::{Error, HfApi};
use hub_tests::{ADA, ADA_READS, TestEnv};

/// Long enough that only what the test triggers is committed.
const NEVER: Duration = Duration::from_secs(3600);

fn append(path: &Path, line: &str) {
    let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

async fn content(api: &HfApi, path: &str) -> String {
    let bytes = api.download_bytes("ada/logs", path).repo_type("dataset").await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn commits(api: &HfApi) -> usize {
    let listing = api.list_repo_commits("ada/logs").repo_type("dataset").await.unwrap();
    listing.collect_all().await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_committed_and_nothing_else() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    let folder = env.root().join("logs");
    let schedule = api.schedule_commits("datasets/ada/logs", &folder).every(NEVER);
    let scheduler = schedule
        .path_in_repo("data")
        .ignore_patterns("*.tmp")
        .start()
        .await
        .unwrap();
    // The first tick looks at a folder that is empty.
    assert!(scheduler.trigger().await.unwrap().is_none());
    let before = commits(&api).await;

    append(&folder.join("a.jsonl"), "one");
    append(&folder.join("b.tmp"), "not this");
    let made = scheduler.trigger().await.unwrap().unwrap();
    assert_eq!(made.commit_message, "Scheduled Commit");
    assert_eq!(content(&api, "data/a.jsonl").await, "one\n");
    assert!(scheduler.trigger().await.unwrap().is_none());
    assert_eq!(commits(&api).await, before + 1);

    append(&folder.join("a.jsonl"), "two");
    append(&folder.join("sub.jsonl"), "other");
    scheduler.trigger().await.unwrap().unwrap();
    assert_eq!(content(&api, "data/a.jsonl").await, "one\ntwo\n");

    // What is left goes with the end; a file that is deleted here stays there.
    append(&folder.join("a.jsonl"), "three");
    fs_err::remove_file(folder.join("sub.jsonl")).unwrap();
    scheduler.close().await.unwrap().unwrap();
    assert_eq!(content(&api, "data/a.jsonl").await, "one\ntwo\nthree\n");
    assert_eq!(content(&api, "data/sub.jsonl").await, "other\n");
    assert!(
        !api.file_exists("ada/logs", "data/b.tmp")
            .repo_type("dataset")
            .await
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_written_meanwhile_come_whole_and_in_order() {
    const LINES: usize = 400;
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    let folder = env.root().join("logs");
    let schedule = api.schedule_commits("datasets/ada/logs", &folder).every(NEVER);
    let scheduler = Arc::new(schedule.start().await.unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (scheduler, done, path) = (scheduler.clone(), done.clone(), folder.join("log.txt"));
        std::thread::spawn(move || {
            for number in 0..LINES {
                // Both lines, or none of them, are in a commit.
                let _writing = scheduler.lock_blocking();
                append(&path, &format!("begin {number}"));
                append(&path, &format!("end {number}"));
            }
            done.store(true, Ordering::Relaxed);
        })
    };
    let mut made = 0;
    while !done.load(Ordering::Relaxed) {
        if scheduler.trigger().await.unwrap().is_some() {
            made += 1;
            let text = content(&api, "log.txt").await;
            let last = text.lines().last().unwrap();
            assert!(last.starts_with("end "), "{last}");
        }
    }
    writer.join().unwrap();
    assert!(made > 0);
    Arc::into_inner(scheduler).unwrap().close().await.unwrap();
    let expected: String = (0..LINES)
        .map(|number| format!("begin {number}\nend {number}\n"))
        .collect();
    assert_eq!(content(&api, "log.txt").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_sent_is_sent_with_the_next() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    let folder = env.root().join("logs");
    let scheduler = api
        .schedule_commits("datasets/ada/logs", &folder)
        .every(NEVER)
        .start()
        .await
        .unwrap();
    scheduler.trigger().await.unwrap();
    // Somebody takes the repository away for a while.
    api.move_repo("ada/logs", "ada/away")
        .repo_type("dataset")
        .await
        .unwrap();
    api.create_repo("ada/logs").repo_type("dataset").await.unwrap();
    api.update_repo_settings("ada/logs").repo_type("dataset").await.err();
    api.delete_repo("ada/logs").repo_type("dataset").await.unwrap();
    append(&folder.join("a.txt"), "kept");
    let err = scheduler.trigger().await.unwrap_err();
    assert!(err.is_not_found(), "{err}");
    assert!(
        scheduler.last_error().unwrap().contains("404"),
        "{:?}",
        scheduler.last_error()
    );

    api.move_repo("ada/away", "ada/logs")
        .repo_type("dataset")
        .await
        .unwrap();
    scheduler.trigger().await.unwrap().unwrap();
    assert_eq!(scheduler.last_error(), None);
    assert_eq!(content(&api, "a.txt").await, "kept\n");
    assert!(scheduler.close().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_commits_by_itself_and_history_can_be_squashed() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    let folder = env.root().join("logs");
    let schedule = api.schedule_commits("datasets/ada/logs", &folder);
    let scheduler = schedule
        .every(Duration::from_secs(1))
        .squash_history(true)
        .start()
        .await
        .unwrap();
    append(&folder.join("a.txt"), "by itself");
    // Nothing is triggered here: the second comes.
    tokio::time::timeout(Duration::from_secs(30), async {
        while !api.file_exists("ada/logs", "a.txt").repo_type("dataset").await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    append(&folder.join("a.txt"), "again");
    scheduler.close().await.unwrap();
    assert_eq!(content(&api, "a.txt").await, "by itself\nagain\n");
    assert_eq!(commits(&api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_told_at_the_start() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let folder = env.root().join("logs");
    let short = hub
        .api(ADA)
        .schedule_commits("ada/logs", &folder)
        .every(Duration::from_millis(10));
    let err = short.start().await.unwrap_err();
    assert!(
        matches!(err, Error::Invalid(_)) && err.to_string().contains("10ms"),
        "{err}"
    );
    let bad = hub.api(ADA).schedule_commits("a/b/c/d", &folder);
    assert!(matches!(bad.start().await, Err(Error::Invalid(_))));
    let err = hub
        .api(ADA_READS)
        .schedule_commits("ada/logs", &folder)
        .start()
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
}
