//! History: what the library lists of it, and what it does to it.

use hub_tests::{ADA, TestEnv};
use hub_types::commits::GitCommitInfo;

#[test]
fn history_is_listed_and_squashed() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    let api = hub.api(ADA);
    let history = |revision: &str| -> Vec<GitCommitInfo> {
        let commits = api.list_repo_commits("ada/demo").revision(revision).wait().unwrap();
        commits.map(Result::unwrap).collect()
    };
    let before = history("main");
    let titles: Vec<&str> = before.iter().map(|commit| commit.title.as_str()).collect();
    assert_eq!(titles, ["Upload folder using huggingface_hub", "initial commit"]);
    assert_eq!(before[0].authors[0].user, "ada");
    let head = api.resolve_revision("ada/demo").wait().unwrap();
    assert_eq!(before[0].id, head.as_str());

    api.create_tag("ada/demo", "before").wait().unwrap();
    api.super_squash_history("ada/demo")
        .commit_message("All of it")
        .wait()
        .unwrap();
    let after = history("main");
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].title, "All of it");
    // The files are the same, and what a tag holds stays.
    assert_eq!(history("before"), before);
    assert_eq!(api.list_repo_files("ada/demo").wait().unwrap().len(), 4);
}
