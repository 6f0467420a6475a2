//! Discussions and pull requests, against a Hub of our own.

use hub_http::Error;
use hub_http::api::upload::CommitOperation;
use hub_server::Role;
use hub_tests::{ADA, ADA_READS, BOB, Python, TestEnv};
use hub_types::RepoId;
use hub_types::discussions::{Conflicts, DiscussionStatus, DiscussionStatusFilter, DiscussionTypeFilter, EventKind};

#[test]
fn python_2_4_discusses() {
    TestEnv::judge(Python::V2_4, "python/discussions.py");
}

#[test]
fn python_0_36_discusses() {
    TestEnv::judge(Python::V0_36, "python/discussions.py");
}

#[test]
fn a_proposal_is_talked_about_and_merged() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    ada.create_repo("ada/demo").wait().unwrap();

    let operations = vec![CommitOperation::add("new.txt", b"new\n")];
    let proposed = bob
        .create_commit("ada/demo", operations, "Add a file")
        .commit_description("It was missing.")
        .create_pr(true)
        .wait()
        .unwrap();
    let num = proposed.pr_num().unwrap();
    let details = ada.get_discussion_details("ada/demo", num).wait().unwrap();
    assert_eq!(
        (details.title.as_str(), &details.status),
        ("Add a file", &DiscussionStatus::Open)
    );
    assert_eq!(details.target_branch(), Some("main"));
    assert!(details.diff.as_deref().unwrap().contains("+new"));
    let kinds: Vec<&str> = details.events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["comment", "commit"]);

    let said = ada
        .comment_discussion("ada/demo", num, "Plaese rename it")
        .wait()
        .unwrap();
    let said = ada
        .edit_discussion_comment("ada/demo", num, said.id, "Please rename it")
        .wait()
        .unwrap();
    let EventKind::Comment(comment) = &said.kind else {
        panic!("{said:?}")
    };
    assert_eq!(
        (comment.latest.as_ref().unwrap().raw.as_str(), comment.edited),
        ("Please rename it", true)
    );

    // Commits go to the pull request's ref, also those of who did not open it but owns the repo.
    let operations = vec![
        CommitOperation::add("newer.txt", b"new\n"),
        CommitOperation::delete("new.txt"),
    ];
    bob.create_commit("ada/demo", operations, "Rename it")
        .revision(details.git_reference().unwrap())
        .wait()
        .unwrap();
    let renamed = bob
        .rename_discussion("ada/demo", num, "Add the newer file")
        .wait()
        .unwrap();
    assert!(matches!(&renamed.kind, EventKind::TitleChange { to, .. } if to == "Add the newer file"));

    let err = bob.merge_pull_request("ada/demo", num).wait().unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    ada.merge_pull_request("ada/demo", num)
        .comment("Thank you")
        .wait()
        .unwrap();
    let mut files = ada.list_repo_files("ada/demo").wait().unwrap();
    files.retain(|path| path.as_str().ends_with(".txt"));
    assert_eq!(
        files.iter().map(|path| path.as_str()).collect::<Vec<_>>(),
        ["newer.txt"]
    );
    let head = ada.model_info("ada/demo").wait().unwrap().sha.unwrap();
    let merged = ada.get_discussion_details("ada/demo", num).wait().unwrap();
    assert_eq!(merged.status, DiscussionStatus::Merged);
    assert_eq!(merged.changes.unwrap().merge_commit_id.as_deref(), Some(head.as_str()));

    let err = ada.merge_pull_request("ada/demo", num).wait().unwrap_err();
    assert!(matches!(err, Error::BadRequest(_)), "{err}");
    let err = ada.get_discussion_details("ada/demo", 99).wait().unwrap_err();
    assert!(err.is_not_found(), "{err}");
}

#[test]
fn lists_are_filtered_and_lazily_paged() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let ada = hub.api(ADA);
    ada.create_repo("ada/demo").wait().unwrap();
    for number in 0..55 {
        ada.create_discussion("ada/demo", format!("Number {number}"))
            .wait()
            .unwrap();
    }
    ada.create_pull_request("ada/demo", "A draft").wait().unwrap();
    ada.change_discussion_status("ada/demo", 3, "closed").wait().unwrap();
    let all: Vec<_> = ada
        .get_repo_discussions("ada/demo")
        .wait()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!((all.len(), all[0].num, all[55].num), (56, 56, 1));
    let numbers = |kind: DiscussionTypeFilter, status: DiscussionStatusFilter| -> Vec<u64> {
        let listed = ada
            .get_repo_discussions("ada/demo")
            .discussion_type(kind)
            .discussion_status(status);
        listed
            .wait()
            .unwrap()
            .map(|discussion| discussion.unwrap().num)
            .collect()
    };
    assert_eq!(
        numbers(DiscussionTypeFilter::PullRequest, DiscussionStatusFilter::All),
        [56]
    );
    assert_eq!(numbers(DiscussionTypeFilter::All, DiscussionStatusFilter::Closed), [3]);
    assert_eq!(
        numbers(DiscussionTypeFilter::Discussion, DiscussionStatusFilter::Open).len(),
        54
    );
}

#[test]
fn an_attachment_is_embedded_by_its_address() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let shot = env.write("shot.PNG", b"\x89PNG");
    let url = hub.api(BOB).upload_attachment(shot).wait().unwrap();
    assert!(
        url.starts_with(&format!("{}/uploads/", hub.url())) && url.ends_with(".png"),
        "{url}"
    );
    let err = hub
        .api(BOB)
        .upload_attachment(env.write("notes.txt", "x"))
        .wait()
        .unwrap_err();
    assert!(
        matches!(err, Error::Invalid(_)) && err.to_string().contains("notes.txt"),
        "{err}"
    );
}

#[test]
fn commits_that_git_pushes_are_events_of_the_pull_request() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    ada.create_repo("ada/demo").wait().unwrap();
    ada.upload_file("ada/demo", b"one\n".to_vec(), "a.txt").wait().unwrap();
    let opened = bob.create_pull_request("ada/demo", "By git").wait().unwrap();

    // Who opened it pushes to it, and to nothing else.
    let remote = hub.url().replace("http://", &format!("http://bob:{BOB}@"));
    env.git(["clone", "--quiet", &format!("{remote}/ada/demo")]).success();
    let demo = env.work().join("demo");
    let git = |args: &[&str]| env.git(args.iter().copied()).dir(&demo);
    git(&["fetch", "--quiet", "origin", "refs/pr/1:pr/1"]).success();
    git(&["checkout", "--quiet", "pr/1"]).success();
    for (text, message) in [("two\n", "Say two"), ("three\n", "Say three")] {
        env.write("demo/a.txt", text);
        git(&["commit", "--quiet", "--all", "--message", message]).success();
    }
    let refused = git(&["push", "origin", "pr/1:main"]).run();
    assert!(refused.code != Some(0), "{refused}");
    assert!(
        refused.stderr.contains("pull requests that you opened only"),
        "{refused}"
    );
    git(&["push", "--quiet", "origin", "pr/1:refs/pr/1"]).success();

    let details = ada.get_discussion_details("ada/demo", opened.num).wait().unwrap();
    let subjects: Vec<&str> = details
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Commit { subject, .. } => Some(subject.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(subjects, ["Say two", "Say three"]);
    assert!(details.diff.as_deref().unwrap().contains("-one\n+three\n"));

    // Both sides change the file: the pull request says so, and is not merged.
    ada.upload_file("ada/demo", b"four\n".to_vec(), "a.txt").wait().unwrap();
    ada.change_discussion_status("ada/demo", 1, "open").wait().unwrap();
    let details = ada.get_discussion_details("ada/demo", 1).wait().unwrap();
    assert_eq!(
        details.files_with_conflicts,
        Some(Conflicts::Files(vec!["a.txt".to_owned()]))
    );
    let err = ada.merge_pull_request("ada/demo", 1).wait().unwrap_err();
    assert!(matches!(err, Error::Conflict(_)), "{err}");

    // A merge in the pull request settles it.
    git(&["fetch", "--quiet", "origin", "main"]).success();
    git(&["merge", "--quiet", "--strategy-option", "ours", "FETCH_HEAD"]).success();
    git(&["push", "--quiet", "origin", "pr/1:refs/pr/1"]).success();
    let details = ada.get_discussion_details("ada/demo", 1).wait().unwrap();
    assert!(!details.files_with_conflicts.unwrap().any());
    ada.merge_pull_request("ada/demo", 1).wait().unwrap();
    assert_eq!(ada.download_bytes("ada/demo", "a.txt").wait().unwrap(), "three\n");
    git(&["fetch", "--quiet", "origin", "main"]).success();
    let log = git(&["log", "-1", "--format=%s", "FETCH_HEAD"]).success();
    assert_eq!(log.stdout, "By git (#1)\n");
}

#[test]
fn authors_owners_and_members_may_do_what_others_may_not() {
    let mut env = TestEnv::new();
    let hub = env.start_hub_with(|hub| {
        hub.organization("acme", ["ada"])
            .user("eve", "hf_eveeveeveeveeveeveeveeve", Role::Write)
    });
    let (ada, bob, eve) = (hub.api(ADA), hub.api(BOB), hub.api("hf_eveeveeveeveeveeveeveeve"));
    let reads = hub.api(ADA_READS);
    ada.create_repo("acme/data").repo_type("dataset").wait().unwrap();
    let repo = RepoId::dataset("acme/data").unwrap();
    let talk = bob
        .create_discussion(repo.clone(), "A question")
        .description("Why?")
        .wait()
        .unwrap();
    assert_eq!(talk.repo.as_ref().unwrap().repo_type.as_deref(), Some("dataset"));
    let first = talk.events[0].id.clone();

    // Neither a bystander nor a token that only reads.
    for (api, who) in [(&eve, "eve"), (&reads, "a token that reads")] {
        let err = api.rename_discussion(repo.clone(), 1, "Mine").wait().unwrap_err();
        assert!(matches!(err, Error::Forbidden(_)), "{who}: {err}");
        let err = api
            .change_discussion_status(repo.clone(), 1, "closed")
            .wait()
            .unwrap_err();
        assert!(matches!(err, Error::Forbidden(_)), "{who}: {err}");
        let err = api
            .hide_discussion_comment(repo.clone(), 1, first.clone())
            .wait()
            .unwrap_err();
        assert!(matches!(err, Error::Forbidden(_)), "{who}: {err}");
    }
    let err = reads.comment_discussion(repo.clone(), 1, "x").wait().unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    // Only its author changes what a comment says, also where the repository's owner asks.
    let err = ada
        .edit_discussion_comment(repo.clone(), 1, first.clone(), "x")
        .wait()
        .unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");

    // The author and a member of the organisation.
    bob.change_discussion_status(repo.clone(), 1, "closed")
        .comment("Found it")
        .wait()
        .unwrap();
    ada.change_discussion_status(repo.clone(), 1, "open").wait().unwrap();
    ada.rename_discussion(repo.clone(), 1, "An answered question")
        .wait()
        .unwrap();
    let hidden = ada
        .hide_discussion_comment(repo.clone(), 1, first.clone())
        .wait()
        .unwrap();
    let EventKind::Comment(comment) = &hidden.kind else {
        panic!("{hidden:?}")
    };
    assert!(comment.hidden);
    let details = bob.get_discussion_details(repo.clone(), 1).wait().unwrap();
    let kinds: Vec<&str> = details.events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(
        kinds,
        ["comment", "comment", "status-change", "status-change", "title-change"]
    );
    assert!(!format!("{details:?}").contains("Why?"));
    let err = bob.edit_discussion_comment(repo, 1, first, "again").wait().unwrap_err();
    assert!(matches!(err, Error::BadRequest(_)), "{err}");

    // What is private is not there for others.
    ada.create_repo("ada/hidden").private(true).wait().unwrap();
    ada.create_discussion("ada/hidden", "Among us").wait().unwrap();
    let err = bob.get_discussion_details("ada/hidden", 1).wait().unwrap_err();
    assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
    let err = bob.comment_discussion("ada/hidden", 1, "x").wait().unwrap_err();
    assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
}
