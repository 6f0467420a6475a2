use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::super::testing::Hub;
use super::*;

fn refs() -> Value {
    let main = json!({"name": "main", "ref": "refs/heads/main", "targetCommit": "8f1f"});
    let dev = json!({"name": "feat/x", "ref": "refs/heads/feat/x", "targetCommit": "8f1f"});
    json!({"branches": [main, dev], "converts": [], "tags": null})
}

#[tokio::test]
async fn refs_and_commits_are_listed() {
    let hub = Hub::with("GET", "/api/models/a/b/refs", 200, refs()).await;
    let commits = json!([{"id": "8f1f", "title": "t", "message": "", "date": "2026-03-04T05:06:07Z", "authors": []}]);
    hub.answer(
        "GET",
        "/api/models/a/b/commits/a%2Fb",
        ResponseTemplate::new(200).set_body_json(commits),
    )
    .await;
    let api = hub.api();
    let refs = api.list_repo_refs("a/b").include_pull_requests(true).await.unwrap();
    assert_eq!(
        (refs.branches[1].git_ref.as_str(), refs.pull_requests),
        ("refs/heads/feat/x", None)
    );
    let commits = api
        .list_repo_commits("a/b")
        .revision("a/b")
        .formatted(true)
        .await
        .unwrap();
    assert_eq!(commits.collect_all().await.unwrap()[0].title, "t");
    assert_eq!(
        hub.asked().await,
        [
            "GET /api/models/a/b/refs?include_prs=1",
            "GET /api/models/a/b/commits/a%2Fb?expand%5B%5D=formatted",
        ]
    );
}

#[tokio::test]
async fn branches_and_tags_are_made_and_deleted() {
    let hub = Hub::start().await;
    for (verb, target) in [
        ("POST", "/api/models/a/b/branch/feat%2Fx"),
        ("DELETE", "/api/models/a/b/branch/feat%2Fx"),
        ("POST", "/api/datasets/a/b/tag/dev"),
        ("POST", "/api/models/a/b/tag/main"),
        ("DELETE", "/api/models/a/b/tag/v%201%2F%CE%B2"),
    ] {
        hub.answer(verb, target, ResponseTemplate::new(200)).await;
    }
    let api = hub.api();
    api.create_branch("a/b", "feat/x").await.unwrap();
    api.create_branch("a/b", "feat/x").revision("v1").await.unwrap();
    api.delete_branch("a/b", "feat/x").await.unwrap();
    api.create_tag("datasets/a/b", "v 1/β")
        .tag_message("Release")
        .revision("dev")
        .await
        .unwrap();
    api.create_tag("a/b", "v1").await.unwrap();
    api.delete_tag("a/b", "v 1/β").await.unwrap();
    assert_eq!(
        hub.asked().await,
        [
            "POST /api/models/a/b/branch/feat%2Fx {}",
            r#"POST /api/models/a/b/branch/feat%2Fx {"startingPoint":"v1"}"#,
            "DELETE /api/models/a/b/branch/feat%2Fx",
            r#"POST /api/datasets/a/b/tag/dev {"message":"Release","tag":"v 1/β"}"#,
            r#"POST /api/models/a/b/tag/main {"tag":"v1"}"#,
            "DELETE /api/models/a/b/tag/v%201%2F%CE%B2",
        ]
    );
    for err in [
        api.create_branch("a/b", "").await.unwrap_err(),
        api.delete_branch("a/b", "..").await.unwrap_err(),
        api.create_tag("a/b", "").await.unwrap_err(),
        api.delete_tag("a/b", ".").await.unwrap_err(),
        api.super_squash_history("kernels/a/b").await.unwrap_err(),
    ] {
        assert!(matches!(err, Error::Invalid(_)), "{err}");
    }
    assert_eq!(hub.asked().await.len(), 6);
}

#[tokio::test]
async fn what_exists_already_counts_as_made_if_asked() {
    let hub = Hub::with("POST", "/api/models/a/b/branch/feat%2Fx", 409, json!({})).await;
    hub.answer("POST", "/api/models/a/b/tag/main", ResponseTemplate::new(409))
        .await;
    let api = hub.api();
    assert!(matches!(
        api.create_branch("a/b", "feat/x").await,
        Err(Error::Conflict(_))
    ));
    api.create_branch("a/b", "feat/x").exist_ok(true).await.unwrap();
    assert!(matches!(api.create_tag("a/b", "v1").await, Err(Error::Conflict(_))));
    api.create_tag("a/b", "v1").exist_ok(true).await.unwrap();
}

#[tokio::test]
async fn a_branch_that_may_not_be_made_may_exist() {
    let hub = Hub::with("POST", "/api/models/a/b/branch/feat%2Fx", 403, json!({})).await;
    hub.answer("POST", "/api/models/a/b/branch/other", ResponseTemplate::new(403))
        .await;
    let api = hub.api();
    let err = api.create_branch("a/b", "feat/x").exist_ok(true).await.unwrap_err();
    assert!(
        matches!(err, Error::Forbidden(_)),
        "the original error, not that of the listing"
    );
    hub.answer(
        "GET",
        "/api/models/a/b/refs",
        ResponseTemplate::new(200).set_body_json(refs()),
    )
    .await;
    api.create_branch("a/b", "feat/x").exist_ok(true).await.unwrap();
    let err = api.create_branch("a/b", "other").exist_ok(true).await.unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)));
}

#[tokio::test]
async fn a_history_is_squashed_with_a_message() {
    let hub = Hub::with("POST", "/api/models/a/b/super-squash/main", 200, json!({})).await;
    hub.answer("POST", "/api/models/a/b/super-squash/d%2Fx", ResponseTemplate::new(200))
        .await;
    let api = hub.api();
    api.super_squash_history("a/b").await.unwrap();
    api.super_squash_history("a/b")
        .branch("d/x")
        .commit_message("One")
        .await
        .unwrap();
    assert_eq!(
        hub.asked().await,
        [
            r#"POST /api/models/a/b/super-squash/main {"message":"Super-squash branch 'main' using huggingface_hub"}"#,
            r#"POST /api/models/a/b/super-squash/d%2Fx {"message":"One"}"#,
        ]
    );
}

#[tokio::test]
async fn large_files_are_listed_and_deleted_in_batches() {
    let files: Vec<Value> = (0..1001)
        .map(|n| json!({"fileOid": format!("f{n}"), "filename": "m.bin", "oid": "o", "size": 3, "xetHash": null}))
        .collect();
    let hub = Hub::with("GET", "/api/models/a/b/lfs-files", 200, json!(files)).await;
    hub.answer("POST", "/api/models/a/b/lfs-files/batch", ResponseTemplate::new(200))
        .await;
    let api = hub.api();
    let files = api.list_lfs_files("a/b").await.unwrap().collect_all().await.unwrap();
    assert_eq!((files.len(), files[0].file_oid.as_str()), (1001, "f0"));
    api.permanently_delete_lfs_files("a/b", files)
        .rewrite_history(false)
        .await
        .unwrap();
    let asked = hub.asked().await;
    assert_eq!(asked.len(), 3);
    assert!(asked[1].contains(r#""f999""#) && !asked[1].contains(r#""f1000""#));
    assert_eq!(
        asked[2],
        r#"POST /api/models/a/b/lfs-files/batch {"deletions":{"rewriteHistory":false,"sha":["f1000"]}}"#
    );
    api.permanently_delete_lfs_files("a/b", Vec::<LfsFileInfo>::new())
        .await
        .unwrap();
    assert_eq!(hub.asked().await.len(), 3);
}
