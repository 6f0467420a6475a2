//! Commits: uploads, deletions and pull requests by the library, looked at by the official client; and history.

use hub_http::api::upload::CommitOperation;
use hub_http::{Error, HfApi};
use hub_tests::{ADA, BOB, Python, TestEnv, noise};
use hub_types::Sha256;
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

/// Whether the official client finds these files at this revision, byte for byte.
#[track_caller]
fn assert_published(env: &TestEnv, repo: &str, revision: &str, files: &[(&str, &[u8])]) {
    let mut args = vec![repo.to_owned(), revision.to_owned()];
    for (name, bytes) in files {
        args.extend([(*name).to_owned(), Sha256::of(bytes).to_string()]);
    }
    env.python(Python::V2_4, "python/published.py", args).success();
}

#[tokio::test]
async fn files_are_uploaded_small_and_through_lfs() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").await.unwrap();
    let text = "grüße\n".as_bytes();
    let info = api.upload_file("ada/demo", text, "docs/read me #1?.txt").await.unwrap();
    assert_eq!(info.commit_url, format!("{}/ada/demo/commit/{}", hub.url(), info.oid));
    let large = noise(11 << 20, 3);
    let local = env.write("large.txt", &large);
    api.upload_file("ada/demo", local.as_path(), "large")
        .commit_message("By size")
        .await
        .unwrap();
    let weights = noise(1000, 4);
    api.upload_file("ada/demo", weights.clone(), "model.safetensors")
        .await
        .unwrap();
    let files: [(&str, &[u8]); 3] = [
        ("docs/read me #1?.txt", text),
        ("large", &large),
        ("model.safetensors", &weights),
    ];
    assert_published(&env, "ada/demo", "main", &files);
    let infos = api
        .get_paths_info("ada/demo", files.map(|(name, _)| name))
        .await
        .unwrap();
    let mut lfs: Vec<(&str, bool)> = infos
        .iter()
        .map(|info| (info.path(), info.as_file().unwrap().lfs.is_some()))
        .collect();
    lfs.sort_unstable();
    assert_eq!(
        lfs,
        [
            ("docs/read me #1?.txt", false),
            ("large", true),
            ("model.safetensors", true)
        ]
    );
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts() {
    let mut env = TestEnv::new();
    let hub = env.start_hub_with(|builder| builder.part_size(5 << 20));
    let api = hub.api(ADA);
    api.create_repo("ada/demo").await.unwrap();
    let large = noise((12 << 20) + 1, 5);
    let local = env.write("large.bin", &large);
    api.upload_file("ada/demo", local.as_path(), "large.bin").await.unwrap();
    assert_published(&env, "ada/demo", "main", &[("large.bin", &large)]);
}

#[tokio::test]
async fn a_folder_is_one_commit_and_twice_is_none() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").await.unwrap();
    let weights = noise(200_000, 6);
    for (name, bytes) in [
        ("run/a.txt", &b"a"[..]),
        ("run/sub/b.json", b"{}"),
        ("run/sub/weights.bin", &weights),
        ("run/skip.log", b"x"),
        ("run/.git/config", b"secret"),
        ("run/.cache/huggingface/notes", b"x"),
    ] {
        env.write(name, bytes);
    }
    let folder = env.work().join("run");
    let upload = || {
        api.upload_folder("ada/demo", folder.as_path())
            .path_in_repo("out")
            .ignore_patterns("*.log")
            .commit_message("A folder")
    };
    let first = upload().await.unwrap();
    let mut files = api.list_repo_files("ada/demo").await.unwrap();
    files.sort();
    assert_eq!(
        files,
        [".gitattributes", "out/a.txt", "out/sub/b.json", "out/sub/weights.bin"]
    );
    assert_published(
        &env,
        "ada/demo",
        "main",
        &[("out/a.txt", b"a"), ("out/sub/weights.bin", &weights)],
    );
    assert_eq!(upload().await.unwrap().oid, first.oid);
    let titles: Vec<String> = titles(&api, "main");
    assert_eq!(titles, ["A folder", "initial commit"]);

    // What is no longer in the folder goes where that is asked for.
    fs_err::remove_file(folder.join("sub/b.json")).unwrap();
    upload().delete_patterns("*.json").await.unwrap();
    assert!(!api.file_exists("ada/demo", "out/sub/b.json").await.unwrap());
    assert!(api.file_exists("ada/demo", "out/a.txt").await.unwrap());
}

fn titles(api: &HfApi, revision: &str) -> Vec<String> {
    let commits = api.list_repo_commits("ada/demo").revision(revision).wait().unwrap();
    commits.map(|commit| commit.unwrap().title).collect()
}

#[tokio::test]
async fn operations_are_one_commit_on_a_known_parent() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &[]);
    let (_, weights) = files.iter().find(|(name, _)| *name == "model.safetensors").unwrap();
    let api = hub.api(ADA);
    let parent = api.resolve_revision("ada/demo").await.unwrap().to_string();
    let operations = || {
        vec![
            CommitOperation::add("new.txt", b"new".to_vec()),
            CommitOperation::delete("sub/"),
            CommitOperation::copy("model.safetensors", "copy.safetensors"),
        ]
    };
    let info = api
        .create_commit("ada/demo", operations(), "Three at once")
        .parent_commit(parent.as_str())
        .await
        .unwrap();
    assert_published(
        &env,
        "ada/demo",
        &info.oid,
        &[("new.txt", b"new"), ("copy.safetensors", weights)],
    );
    assert!(!api.file_exists("ada/demo", "sub/notes.txt").await.unwrap());

    let err = api
        .create_commit("ada/demo", operations(), "Late")
        .parent_commit(parent.as_str())
        .await
        .unwrap_err();
    assert_eq!(err.status(), Some(412), "{err}");
    assert_eq!(api.resolve_revision("ada/demo").await.unwrap().to_string(), info.oid);
}

#[tokio::test]
async fn a_pull_request_leaves_the_branch_alone() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    // Who may not write may propose.
    let api = hub.api(BOB);
    let info = api
        .upload_file("ada/demo", b"proposed".to_vec(), "p.txt")
        .create_pr(true)
        .await
        .unwrap();
    assert_eq!(info.pr_num(), Some(1));
    let revision = info.pr_revision().unwrap();
    assert!(api.file_exists("ada/demo", "p.txt").revision(&revision).await.unwrap());
    assert!(!api.file_exists("ada/demo", "p.txt").await.unwrap());
    let refs = api
        .list_repo_refs("ada/demo")
        .include_pull_requests(true)
        .await
        .unwrap();
    let proposed: Vec<String> = refs.pull_requests.unwrap().into_iter().map(|r| r.git_ref).collect();
    assert_eq!(proposed, ["refs/pr/1"]);

    let err = api.upload_file("ada/demo", b"x".to_vec(), "x.txt").await.unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
}

#[tokio::test]
async fn files_and_folders_are_deleted() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    let api = hub.api(ADA);
    api.delete_file("ada/demo", "config.json").await.unwrap();
    api.delete_folder("ada/demo", "sub").await.unwrap();
    api.delete_files("ada/demo", ["*.safetensors"]).await.unwrap();
    assert_eq!(api.list_repo_files("ada/demo").await.unwrap(), [".gitattributes"]);
}

#[tokio::test]
async fn bad_paths_are_refused_before_anything_is_sent() {
    let api = HfApi::builder().endpoint("http://127.0.0.1:9").build().unwrap();
    for path in ["../x", "a//b", "a/./b", ".git/config", ""] {
        let err = api.upload_file("ada/demo", b"x".to_vec(), path).await.unwrap_err();
        assert!(err.to_string().starts_with("invalid "), "{path}: {err}");
    }
}
