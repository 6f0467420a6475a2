//! Repositories, branches and tags: the library against hub-server, each of the three ways to run an operation.

use hub_http::{Error, HfApi};
use hub_tests::{ADA, ADA_READS, BOB, TestEnv};
use hub_types::repos::GitRefInfo;
use hub_types::{RepoId, RepoType};

/// Name and commit of each branch or tag, sorted.
fn names(refs: &[GitRefInfo]) -> Vec<(&str, &str)> {
    let mut names: Vec<_> = refs
        .iter()
        .map(|r| (r.name.as_str(), r.target_commit.as_str()))
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_repository_lives_and_dies() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);

    let url = api.create_repo("ada/demo").await.unwrap();
    assert_eq!(url.to_string(), format!("{}/ada/demo", hub.url()));
    let err = api.create_repo("ada/demo").await.unwrap_err();
    assert!(matches!(err, Error::Conflict(_)), "{err}");
    assert_eq!(api.create_repo("ada/demo").exist_ok(true).await.unwrap(), url);
    // Without a namespace it is the user's own.
    assert_eq!(api.create_repo("bare").await.unwrap().repo.id(), "ada/bare");

    let info = api.model_info("ada/demo").await.unwrap();
    assert_eq!((info.id.as_str(), info.private), ("ada/demo", Some(false)));
    assert!(api.repo_exists("ada/demo").await.unwrap());
    assert!(!api.repo_exists("ada/none").await.unwrap());
    assert!(!api.repo_exists("datasets/ada/demo").await.unwrap());
    assert!(api.revision_exists("ada/demo", "main").await.unwrap());
    assert!(!api.revision_exists("ada/demo", "none").await.unwrap());
    let err = api.model_info("ada/demo").revision("none").await.unwrap_err();
    assert!(matches!(err, Error::RevisionNotFound(_)), "{err}");

    api.move_repo("ada/demo", "ada/renamed").await.unwrap();
    assert_eq!(api.model_info("ada/renamed").await.unwrap().id, "ada/renamed");
    api.delete_repo("ada/renamed").await.unwrap();
    let err = api.delete_repo("ada/renamed").await.unwrap_err();
    assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
    api.delete_repo("ada/renamed").missing_ok(true).await.unwrap();
}

#[tokio::test]
async fn a_private_repository_is_hidden() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let owner = hub.api(ADA);
    owner.create_repo("ada/secret").private(true).await.unwrap();
    let anonymous = HfApi::builder().endpoint(hub.url()).no_token().build().unwrap();
    for api in [hub.api(BOB), anonymous.clone()] {
        let err = api.model_info("ada/secret").await.unwrap_err();
        assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
        assert!(!api.repo_exists("ada/secret").await.unwrap());
    }
    assert!(hub.api(ADA_READS).repo_exists("ada/secret").await.unwrap());

    owner.update_repo_settings("ada/secret").private(false).await.unwrap();
    assert!(anonymous.repo_exists("ada/secret").await.unwrap());

    // Seen is not written.
    let err = anonymous.create_branch("ada/secret", "x").await.unwrap_err();
    assert_eq!(err.status(), Some(401), "{err}");
    for token in [BOB, ADA_READS] {
        let err = hub.api(token).create_branch("ada/secret", "x").await.unwrap_err();
        assert!(matches!(err, Error::Forbidden(_)), "{err}");
    }
}

#[test]
fn every_type_has_its_own_names() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    for repo_type in [RepoType::Model, RepoType::Dataset, RepoType::Space] {
        let repo = RepoId::new(repo_type, "ada/same").unwrap();
        let create = api.create_repo(&repo);
        let create = if repo_type == RepoType::Space {
            create.space_sdk("static")
        } else {
            create
        };
        let url = create.wait().unwrap();
        assert_eq!(url.to_string(), format!("{}/{}", hub.url(), repo.url_path()));
        assert_eq!(url.repo, repo);
    }
    // The type may stand in the id or be given.
    assert_eq!(api.dataset_info("ada/same").wait().unwrap().id, "ada/same");
    api.delete_repo("ada/same").repo_type(RepoType::Dataset).wait().unwrap();
    assert!(!api.repo_exists("datasets/ada/same").wait().unwrap());
    assert!(api.repo_exists("spaces/ada/same").wait().unwrap());
    assert!(api.repo_exists("ada/same").wait().unwrap());
}

#[tokio::test]
async fn branches_and_tags_point_at_commits() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").spawn().await.unwrap();
    let head = api.resolve_revision("ada/demo").await.unwrap().to_string();

    api.create_branch("ada/demo", "dev/first").await.unwrap();
    let err = api.create_branch("ada/demo", "dev/first").await.unwrap_err();
    assert!(matches!(err, Error::Conflict(_)), "{err}");
    api.create_branch("ada/demo", "dev/first").exist_ok(true).await.unwrap();
    api.create_tag("ada/demo", "v1").tag_message("The first").await.unwrap();
    let refs = api.list_repo_refs("ada/demo").await.unwrap();
    assert_eq!(names(&refs.branches), [("dev/first", &*head), ("main", &*head)]);
    assert_eq!(names(&refs.tags), [("v1", &*head)]);
    for revision in ["dev/first", "v1", head.as_str()] {
        let found = api.resolve_revision("ada/demo").revision(revision).await.unwrap();
        assert_eq!(found.to_string(), head, "{revision}");
    }

    api.delete_branch("ada/demo", "dev/first").await.unwrap();
    api.delete_tag("ada/demo", "v1").await.unwrap();
    let refs = api.list_repo_refs("ada/demo").await.unwrap();
    assert_eq!(names(&refs.branches), [("main", &*head)]);
    assert_eq!(names(&refs.tags), []);
    let err = api.create_branch("ada/demo", "x").revision("none").await.unwrap_err();
    assert!(matches!(err, Error::RevisionNotFound(_)), "{err}");
    let err = api.create_branch("ada/none", "x").await.unwrap_err();
    assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
}

#[test]
fn blocking_calls_work_inside_a_runtime() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let name = runtime.block_on(async { api.whoami().wait().unwrap().name });
    assert_eq!(name, "ada");
}

#[tokio::test]
async fn bad_arguments_are_refused_before_anything_is_sent() {
    // Nothing listens there: a request would be another error.
    let api = HfApi::builder().endpoint("http://127.0.0.1:9").build().unwrap();
    for id in ["a/b/c", "../etc", "a--b", ".hidden", "ada/demo.git", ""] {
        let err = api.create_repo(id).private(true).await.unwrap_err();
        assert!(
            err.to_string().starts_with(&format!("invalid repo id '{id}': ")),
            "{err}"
        );
    }
    let err = api.model_info("ada/demo").revision("..").await.unwrap_err();
    assert!(err.to_string().starts_with("invalid revision '..': "), "{err}");
}
