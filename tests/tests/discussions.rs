//! Discussions and pull requests, against a Hub of our own.

use hub_http::Error;
use hub_http::api::upload::CommitOperation;
use hub_tests::{ADA, BOB, Python, TestEnv};
use hub_types::discussions::{DiscussionStatus, DiscussionStatusFilter, DiscussionTypeFilter, EventKind};

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
