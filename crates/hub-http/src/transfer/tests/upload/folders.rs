//! Folders: what of them goes up, in how many commits.

use super::*;

#[tokio::test]
async fn d14_a_folder_is_its_files_and_nothing_of_git_or_the_cache() {
    let fake = Fake::start().await;
    let outside = folder(&[("target.txt", "linked"), ("dir/inner.txt", "no")]);
    let dir = folder(&[
        ("b.txt", "b"),
        ("a/c.txt", "c"),
        ("x.ignored", "i"),
        (".git/config", "secret"),
        ("sub/.git/config", "secret"),
        (".cache/huggingface/upload/x", "secret"),
        ("skip/me.log", "log"),
    ]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(outside.path().join("target.txt"), dir.path().join("link.txt")).unwrap();
        symlink(outside.path().join("dir"), dir.path().join("linked")).unwrap();
        symlink(outside.path().join("nowhere"), dir.path().join("broken")).unwrap();
    }
    #[cfg(not(unix))]
    fs_err::copy(outside.path().join("target.txt"), dir.path().join("link.txt")).unwrap();
    let info = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .path_in_repo("/in/")
        .ignore_patterns("*.log")
        .delete_patterns(Vec::<String>::new())
        .await
        .unwrap();
    assert_eq!(info.commit_message, "Upload folder using huggingface_hub");
    let commits = fake.commits();
    assert_eq!(
        commits[0].changes(),
        [("file", "in/a/c.txt"), ("file", "in/b.txt"), ("file", "in/link.txt")]
    );
    assert_eq!(commits[0].lines[3]["value"]["content"], STANDARD.encode("linked"));
    let asked: Vec<String> = fake.asked("").into_iter().map(|asked| asked.line).collect();
    assert_eq!(asked, [PREUPLOAD, COMMIT]);
}

#[tokio::test]
async fn files_are_asked_about_256_at_a_time() {
    let fake = Fake::start().await;
    let mut operations: Vec<_> = (0..255)
        .map(|at| CommitOperation::add(format!("{at}.txt"), b"x"))
        .collect();
    operations.push(CommitOperation::add("empty.bin", b""));
    operations.push(CommitOperation::add("z.ignored", b"x"));
    fake.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let sizes: Vec<usize> = fake
        .asked(PREUPLOAD)
        .iter()
        .map(|asked| asked.json()["files"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [256, 1]);
    let commits = fake.commits();
    assert_eq!(commits[0].lines.len(), 257);
    assert_eq!(commits[0].lines[256]["value"]["content"], "");
    assert_eq!(commits[0].changes().last(), Some(&("file", "empty.bin")));
    // A commit that is asked for is made, also when .gitignore leaves nothing in it.
    fake.commit(&[("z.ignored", b"x")]).await.unwrap();
    assert_eq!(fake.commits()[1].lines.len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_dropped_midway_is_gone_on_with() {
    let fake = Fake::start().await;
    let dir = folder(&[("a.bin", "first"), ("b.bin", "second"), ("c.txt", "text")]);
    let upload = || fake.api().upload_folder("ada/demo", dir.path());
    // One has arrived when the other takes long.
    fake.set(|state| state.slow = Some(Duration::from_secs(60)));
    let job = upload().spawn();
    while fake.asked("PUT").len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.abort();
    assert!(matches!(job.await, Err(Error::Aborted)));
    assert!(fake.commits().is_empty());
    fake.set(|state| {
        state.slow = None;
        // The one that took long had not come.
        state.store.remove(&Sha256::of(b"second").to_string());
    });
    upload().await.unwrap();
    let sent = fake.asked("PUT");
    assert_eq!(sent.len(), 3, "what had arrived is not sent again: {sent:?}");
    assert!(fake.stored(b"first") && fake.stored(b"second"));
    let commits = fake.commits();
    assert_eq!((commits.len(), commits[0].changes().len()), (1, 3));
}

#[tokio::test]
async fn a_large_folder_goes_in_commits_of_250_at_first() {
    let fake = Fake::start().await;
    let dir = many(1000);
    let log = Log::default();
    let call = fake.api().upload_folder("ada/demo", dir.path());
    let call = call.commit_message("All").parent_commit(HEAD).commit_description("d");
    let info = call.progress(ProgressHandle::new(log.clone())).await.unwrap();
    let commits = fake.commits();
    assert_eq!(commits[0].changes().len(), 250);
    assert_eq!((commits[0].summary(), commits[1].summary()), ("All", "All (part 2)"));
    assert_eq!(commits[0].lines[0]["value"]["parentCommit"], HEAD);
    assert!(
        commits[1..]
            .iter()
            .all(|commit| commit.lines[0]["value"].get("parentCommit").is_none())
    );
    let paths: Vec<&str> = commits
        .iter()
        .flat_map(|commit| commit.changes())
        .map(|(_, path)| path)
        .collect();
    assert_eq!((paths.len(), paths.iter().collect::<BTreeSet<_>>().len()), (1000, 1000));
    assert_eq!(info.commit_message, format!("All (part {})", commits.len()));
    assert_eq!(log.outcomes().await, [Outcome::Done; 1000]);

    // The same again: nothing is sent but questions.
    let info = fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!((info.oid.as_str(), fake.commits().len()), (HEAD, commits.len()));
    // One that is missing is sent alone.
    fs_err::write(dir.path().join("00500.txt"), "new").unwrap();
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!(fake.commits().last().unwrap().changes(), [("file", "00500.txt")]);
}

#[tokio::test]
async fn up_to_250_files_are_one_commit() {
    let fake = Fake::start().await;
    let dir = many(250);
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!(fake.commits().len(), 1);
    assert_eq!(fake.asked(PREUPLOAD).len(), 1);
}

#[tokio::test]
async fn a_commit_that_is_too_much_is_split() {
    let fake = Fake::start().await;
    fake.set(|state| state.most_changes = Some(90));
    let dir = many(300);
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    let commits = fake.commits();
    let paths: BTreeSet<String> = commits
        .iter()
        .flat_map(|commit| commit.changes())
        .map(|(_, path)| path.to_owned())
        .collect();
    assert_eq!(paths.len(), 300);
    for (at, commit) in commits.iter().enumerate().skip(1) {
        assert_eq!(
            commit.summary(),
            format!("Upload folder using huggingface_hub (part {})", at + 1)
        );
    }
    // Small ones are not split for ever.
    fake.set(|state| state.most_changes = Some(0));
    let before = fake.asked(COMMIT).len();
    let dir = folder(&[("x.txt", "x"), ("y.txt", "y")]);
    let err = fake.api().upload_folder("ada/demo", dir.path()).await.unwrap_err();
    assert_eq!(err.status(), Some(500));
    assert_eq!(fake.asked(COMMIT).len() - before, 4, "one try and three retries");
}

#[tokio::test]
async fn what_smaller_commits_cannot_mend_is_told_at_once() {
    let fake = Fake::start().await;
    fake.fail(COMMIT, 403, 9);
    let dir = many(300);
    let err = fake.api().upload_folder("ada/demo", dir.path()).await.unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    assert_eq!(fake.asked(COMMIT).len(), 1);
}

#[tokio::test]
async fn a_folders_pull_request_is_opened_once_and_by_itself() {
    let fake = Fake::start().await;
    let dir = many(300);
    fs_err::write(dir.path().join("w.bin"), "weights").unwrap();
    let commit = "POST /api/models/ada/demo/commit/refs%2Fpr%2F7";
    fake.fail(commit, 503, 1);
    let call = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .commit_message("up");
    let info = call.await.unwrap();
    assert_eq!(
        info.pr_url,
        Some(format!("{}/ada/demo/discussions/7", fake.server.uri()))
    );
    let opened = fake.asked("POST /api/models/ada/demo/discussions");
    assert_eq!(opened.len(), 1);
    assert_eq!(
        (&opened[0].json()["title"], &opened[0].json()["pullRequest"]),
        (&"Upload: up".into(), &true.into())
    );
    assert!(fake.commits().iter().all(|commit| commit.revision == "refs%2Fpr%2F7"));
    let commits: Vec<String> = fake
        .asked("POST /api/models/ada/demo/commit")
        .into_iter()
        .map(|asked| asked.line)
        .collect();
    assert_eq!(commits, [commit; 3]);
    let preuploads = fake.asked(PREUPLOAD);
    assert!(preuploads.len() == 2 && preuploads.iter().all(|asked| asked.line.ends_with("?create_pr=1")));
    assert!(fake.asked(BATCH)[0].json().get("ref").is_none());

    // An unchanged folder opens none, and a branch excludes one.
    fake.api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .await
        .unwrap();
    assert_eq!(fake.asked("POST /api/models/ada/demo/discussions").len(), 1);
    let call = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .revision("dev");
    assert!(matches!(call.await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn the_commit_of_a_small_folder_opens_its_pull_request() {
    let fake = Fake::start().await;
    let dir = folder(&[("a.txt", "a"), ("w.bin", "weights")]);
    let call = || fake.api().upload_folder("ada/demo", dir.path()).create_pr(true);
    let info = call().await.unwrap();
    assert!(info.pr_url.unwrap().ends_with("/discussions/3"));
    assert_eq!(fake.asked(COMMIT)[0].line, format!("{COMMIT}?create_pr=1"));
    // Sent again it could open a second one.
    fs_err::write(dir.path().join("a.txt"), "b").unwrap();
    fake.fail(COMMIT, 503, 1);
    assert!(call().await.is_err());
    assert_eq!(fake.asked(COMMIT).len(), 2);
    assert!(fake.asked("POST /api/models/ada/demo/discussions").is_empty());
}

#[tokio::test]
async fn a_failure_behind_an_open_pull_request_says_where_to_go_on() {
    let fake = Fake::start().await;
    fake.fail("POST /api/models/ada/demo/commit", 403, 1);
    let dir = many(300);
    let err = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .create_pr(true)
        .await
        .unwrap_err();
    assert!(err.to_string().contains("revision refs/pr/7"), "{err}");
}

#[tokio::test]
async fn files_of_the_repo_are_deleted_in_the_first_commit() {
    let fake = Fake::start().await;
    fake.set(|state| {
        for path in [
            ".gitattributes",
            "d/.gitattributes",
            "d/old.txt",
            "d/new.txt",
            "d/x/old.log",
            "old.txt",
        ] {
            state.there.insert(path.into(), "0".repeat(40));
        }
    });
    let dir = folder(&[("new.txt", "n")]);
    let call = || fake.api().upload_folder("ada/demo", dir.path()).path_in_repo("d");
    call()
        .delete_patterns(["*.txt", "x/*", ".gitattributes"])
        .await
        .unwrap();
    assert_eq!(
        fake.commits()[0].changes(),
        [
            ("deletedFile", "d/old.txt"),
            ("deletedFile", "d/x/old.log"),
            ("file", "d/new.txt")
        ]
    );
    // Also when no file is new.
    fake.set(|state| {
        state.there.insert("d/old.txt".into(), "0".repeat(40));
    });
    call().delete_patterns("*").await.unwrap();
    assert_eq!(fake.commits()[1].changes(), [("deletedFile", "d/old.txt")]);
    call().delete_patterns("*").await.unwrap();
    assert_eq!(fake.commits().len(), 2);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_made_once() {
    let fake = Fake::start().await;
    let dir = folder(&[("new.txt", "n")]);
    let call = || fake.api().upload_folder("ada/demo", dir.path());
    let old = |fake: &Fake| {
        fake.set(|state| {
            state.there.insert("old.txt".into(), "0".repeat(40));
            state.lost_answers = 1;
        });
    };

    old(&fake);
    let log = Log::default();
    let call_told = call().progress(ProgressHandle::new(log.clone()));
    let info = call_told.delete_patterns("old.txt").await.unwrap();
    log.check(&[("new.txt", 1, Outcome::Done)]);
    assert_eq!(fake.commits().len(), 1);
    assert_eq!(info.oid, lock(&fake.state).head());
    assert!(
        info.commit_url.ends_with(&format!("/ada/demo/commit/{}", info.oid)),
        "{}",
        info.commit_url
    );

    fs_err::write(dir.path().join("new.txt"), "other").unwrap();
    let parent = info.oid;
    old(&fake);
    let info = call().parent_commit(parent.as_str()).await.unwrap();
    assert_eq!(fake.commits().len(), 2);
    assert_eq!(info.oid, lock(&fake.state).head());
}

#[tokio::test]
async fn a_commit_that_was_not_made_is_sent_again() {
    let fake = Fake::start().await;
    fake.set(|state| {
        state.there.insert("old.txt".into(), "0".repeat(40));
    });
    let dir = folder(&[("new.txt", "n")]);
    fake.fail(COMMIT, 503, 2);
    let call = || {
        fake.api()
            .upload_folder("ada/demo", dir.path())
            .delete_patterns("old.txt")
    };
    // A file that is sent again is one file still.
    let log = Log::default();
    call().progress(ProgressHandle::new(log.clone())).await.unwrap();
    log.check(&[("new.txt", 1, Outcome::Done)]);
    assert_eq!(fake.asked(COMMIT).len(), 3);
    assert_eq!(fake.commits().len(), 1);

    // Another one of the same message is not ours: what it was to delete is there still.
    fake.set(|state| {
        state.there.insert("old.txt".into(), "0".repeat(40));
    });
    fake.fail(COMMIT, 503, 1);
    call().await.unwrap();
    assert_eq!(fake.commits().len(), 2);
}
