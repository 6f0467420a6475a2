use wiremock::ResponseTemplate;

use super::super::testing::Hub;
use super::*;

fn reply(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

const COMMIT: &str = "8f1f7d9c3f7f2a0f4e5b6c7d8e9fa0b1c2d3e4f5";

#[tokio::test]
async fn a_repo_is_created_with_what_was_said_and_nothing_else() {
    let hub = Hub::start().await;
    let url = format!("{}/ada/demo", hub.url());
    hub.answer("POST", "/api/repos/create", reply(200, json!({"url": url})))
        .await;
    let api = hub.api();
    let made = api.create_repo("ada/demo").await.unwrap();
    assert_eq!((made.repo.id(), made.to_string()), ("ada/demo", url));
    // The reply knows the namespace.
    let made = api.create_repo("demo").private(false).exist_ok(true).await.unwrap();
    assert_eq!(made.repo.id(), "ada/demo");
    let made = api
        .create_repo("datasets/ada/demo")
        .visibility("public")
        .region("eu")
        .resource_group_id("rg")
        .await;
    assert_eq!(made.unwrap().repo.repo_type(), RepoType::Dataset);
    api.create_repo("ada/app")
        .repo_type("space")
        .space_sdk("gradio")
        .space_hardware("t4-medium")
        .space_sleep_time(-1)
        .space_secrets([("A", "1")])
        .space_variables([("B", "2")])
        .space_volumes(Vec::<Volume>::new())
        .await
        .unwrap();
    // For what is no Space these mean nothing.
    api.create_repo("ada/demo")
        .repo_type("model")
        .space_sdk("x")
        .space_sleep_time(3)
        .await
        .unwrap();
    assert_eq!(
        hub.asked().await,
        [
            r#"POST /api/repos/create {"name":"demo","organization":"ada"}"#,
            r#"POST /api/repos/create {"name":"demo","organization":null,"visibility":"public"}"#,
            r#"POST /api/repos/create {"name":"demo","organization":"ada","visibility":"public","type":"dataset","resourceGroupId":"rg","region":"eu"}"#,
            r#"POST /api/repos/create {"name":"app","organization":"ada","type":"space","sdk":"gradio","hardware":"t4-medium","sleepTimeSeconds":-1,"secrets":[{"key":"A","value":"1"}],"variables":[{"key":"B","value":"2"}]}"#,
            r#"POST /api/repos/create {"name":"demo","organization":"ada","type":"model"}"#,
        ]
        .map(sorted)
    );
}

/// Bodies have their keys in alphabetical order.
fn sorted(line: &str) -> String {
    match line.find('{') {
        Some(at) => {
            let body: Value = serde_json::from_str(&line[at..]).unwrap();
            format!("{}{body}", &line[..at])
        }
        None => line.to_owned(),
    }
}

#[tokio::test]
async fn arguments_that_cannot_be_right_send_nothing() {
    let hub = Hub::start().await;
    let api = hub.api();
    let refused = [
        api.create_repo("a/b")
            .private(true)
            .visibility("public")
            .await
            .unwrap_err(),
        api.create_repo("a/b").visibility("protected").await.unwrap_err(),
        api.create_repo("a/b").visibility("hidden").await.unwrap_err(),
        api.create_repo("spaces/a/b").await.unwrap_err(),
        api.create_repo("spaces/a/b").space_sdk("cobol").await.unwrap_err(),
        api.create_repo("a/b").space_template("blank").await.unwrap_err(),
        api.create_repo("a//b").await.unwrap_err(),
        api.move_repo("a", "b/c").await.unwrap_err(),
        api.move_repo("a/b", "c").await.unwrap_err(),
        api.update_repo_settings("a/b").await.unwrap_err(),
        api.update_repo_settings("kernels/a/b").private(true).await.unwrap_err(),
        api.update_repo_settings("a/b").gated(true).await.unwrap_err(),
        api.update_repo_settings("a/b").gated("never").await.unwrap_err(),
        api.duplicate_repo("kernels/a/b").await.unwrap_err(),
        api.model_info("a/b")
            .expand(["likes"])
            .files_metadata(true)
            .await
            .unwrap_err(),
        api.model_info("a/b")
            .expand(["likes"])
            .security_status(true)
            .await
            .unwrap_err(),
        api.revision_exists("a/b", "a..b").await.unwrap_err(),
    ];
    for err in refused {
        assert!(matches!(err, Error::Invalid(_)), "{err}");
    }
    assert!(hub.asked().await.is_empty());
}

#[tokio::test]
async fn what_exists_already_counts_as_created_if_asked() {
    let hub = Hub::start().await;
    let taken = json!({"error": "You already created this model repo", "url": "https://huggingface.co/ada/demo"});
    hub.answer("POST", "/api/repos/create", reply(409, taken)).await;
    let err = hub.api().create_repo("ada/demo").await.unwrap_err();
    assert!(matches!(err, Error::Conflict(_)));
    let existing = hub.api().create_repo("ada/demo").exist_ok(true).await.unwrap();
    // The public Hub's address becomes the mirror's.
    assert_eq!(existing.to_string(), format!("{}/ada/demo", hub.url()));

    // A reply without an address: built, with the namespace that the id lacks.
    let hub = Hub::with("POST", "/api/repos/create", 409, json!({})).await;
    hub.answer("GET", "/api/whoami-v2", reply(200, json!({"name": "ada"})))
        .await;
    let existing = hub.api().create_repo("datasets/demo").exist_ok(true).await.unwrap();
    assert_eq!(existing.to_string(), format!("{}/datasets/ada/demo", hub.url()));
}

#[tokio::test]
async fn a_repo_that_may_not_be_created_may_exist() {
    for status in [401, 402, 403] {
        let hub = Hub::with("POST", "/api/repos/create", status, json!({"error": "no"})).await;
        let err = hub.api().create_repo("ada/demo").exist_ok(true).await.unwrap_err();
        assert_eq!(err.status(), Some(status));
        hub.answer("GET", "/api/models/ada/demo", reply(200, json!({"id": "ada/demo"})))
            .await;
        let err = hub.api().create_repo("ada/demo").await.unwrap_err();
        assert_eq!(err.status(), Some(status));
        let existing = hub.api().create_repo("ada/demo").exist_ok(true).await.unwrap();
        assert_eq!(existing.repo.id(), "ada/demo");
    }
}

#[tokio::test]
async fn a_busy_hub_is_asked_again_but_not_for_ever() {
    const BUSY: &str = "Cannot create repo: another conflicting operation is in progress";
    let hub = Hub::start().await;
    let url = format!("{}/ada/demo", hub.url());
    hub.answer_first(2, "POST", "/api/repos/create", reply(409, json!({"error": BUSY})))
        .await;
    hub.answer("POST", "/api/repos/create", reply(200, json!({"url": url})))
        .await;
    hub.api().create_repo("ada/demo").await.unwrap();
    assert_eq!(hub.asked().await.len(), 3);

    let hub = Hub::start().await;
    hub.answer(
        "POST",
        "/api/repos/create",
        ResponseTemplate::new(409).set_body_string(BUSY),
    )
    .await;
    let err = hub.api().create_repo("ada/demo").await.unwrap_err();
    assert!(matches!(err, Error::Conflict(_)));
    assert_eq!(hub.asked().await.len(), 4);
}

#[tokio::test]
async fn a_template_decides_on_sdk_and_privacy() {
    let hub = Hub::start().await;
    let templates = json!({"templates": [
        {"name": "Blank", "repoId": "t/blank", "sdk": "static", "preferredPrivate": false},
        {"name": "Chat UI", "repoId": "t/chat", "sdk": "docker", "preferredPrivate": true},
    ]});
    hub.answer("GET", "/api/spaces/templates", reply(200, templates)).await;
    hub.answer(
        "POST",
        "/api/repos/create",
        reply(200, json!({"url": format!("{}/spaces/a/b", hub.url())})),
    )
    .await;
    let api = hub.api();
    api.create_repo("spaces/a/b").space_template("chat ui").await.unwrap();
    api.create_repo("spaces/a/b")
        .space_template("t/chat")
        .private(false)
        .await
        .unwrap();
    let err = api.create_repo("spaces/a/b").space_template("nope").await.unwrap_err();
    assert!(err.to_string().contains("Blank, Chat UI"), "{err}");
    let err = api
        .create_repo("spaces/a/b")
        .space_template("Blank")
        .space_sdk("gradio")
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Invalid(_)));
    let created: Vec<String> = hub
        .asked()
        .await
        .into_iter()
        .filter(|line| line.starts_with("POST"))
        .collect();
    assert_eq!(
        created,
        [
            r#"POST /api/repos/create {"name":"b","organization":"a","visibility":"private","type":"space","sdk":"docker","template":"t/chat"}"#,
            r#"POST /api/repos/create {"name":"b","organization":"a","visibility":"public","type":"space","sdk":"docker","template":"t/chat"}"#,
        ]
        .map(sorted)
    );
}

#[tokio::test]
async fn a_missing_repo_counts_as_deleted_if_asked() {
    let hub = Hub::start().await;
    let missing = reply(404, json!({"error": "x"})).insert_header("x-error-code", "RepoNotFound");
    hub.answer("DELETE", "/api/repos/delete", missing).await;
    let api = hub.api();
    assert!(matches!(api.delete_repo("demo").await, Err(Error::RepoNotFound(_))));
    api.delete_repo("a/b")
        .repo_type("dataset")
        .missing_ok(true)
        .await
        .unwrap();
    assert_eq!(
        hub.asked().await,
        [
            r#"DELETE /api/repos/delete {"name":"demo","organization":null}"#,
            r#"DELETE /api/repos/delete {"name":"b","organization":"a","type":"dataset"}"#,
        ]
    );
    // A bare 401 does not say that the repository is missing.
    let hub = Hub::with("DELETE", "/api/repos/delete", 401, json!({})).await;
    let err = hub.api().delete_repo("a/b").missing_ok(true).await.unwrap_err();
    assert!(matches!(err, Error::Unauthorized(_)));
}

#[tokio::test]
async fn repos_are_moved_and_set() {
    let hub = Hub::with("POST", "/api/repos/move", 200, json!({})).await;
    hub.answer("PUT", "/api/spaces/a/b/settings", reply(200, json!({})))
        .await;
    hub.answer("PUT", "/api/models/a/b/settings", reply(200, json!({})))
        .await;
    let api = hub.api();
    api.move_repo("datasets/a/b", "c/d").await.unwrap();
    api.update_repo_settings("spaces/a/b")
        .visibility("protected")
        .await
        .unwrap();
    api.update_repo_settings("a/b")
        .gated(false)
        .private(true)
        .await
        .unwrap();
    assert_eq!(
        hub.asked().await,
        [
            r#"POST /api/repos/move {"fromRepo":"a/b","toRepo":"c/d","type":"dataset"}"#,
            r#"PUT /api/spaces/a/b/settings {"visibility":"protected"}"#,
            r#"PUT /api/models/a/b/settings {"gated":false,"visibility":"private"}"#,
        ]
    );
}

#[tokio::test]
async fn a_copy_goes_to_the_own_namespace_unless_said() {
    let hub = Hub::start().await;
    let copy = json!({"url": format!("{}/spaces/ada/app", hub.url()), "filesCopyPending": true});
    hub.answer("POST", "/api/spaces/bob/app/duplicate", reply(200, copy))
        .await;
    hub.answer("GET", "/api/whoami-v2", reply(200, json!({"name": "ada"})))
        .await;
    let api = hub.api();
    let made = api
        .duplicate_repo("spaces/bob/app")
        .space_hardware("cpu-upgrade")
        .await
        .unwrap();
    assert_eq!((made.repo.id(), made.files_copy_pending), ("ada/app", true));
    api.duplicate_repo("bob/app")
        .repo_type("space")
        .to_id("acme/x")
        .private(true)
        .await
        .unwrap();
    assert_eq!(
        hub.asked().await,
        [
            "GET /api/whoami-v2",
            r#"POST /api/spaces/bob/app/duplicate {"hardware":"cpu-upgrade","repository":"ada/app"}"#,
            r#"POST /api/spaces/bob/app/duplicate {"repository":"acme/x","visibility":"private"}"#,
        ]
    );
    let taken = json!({"url": "https://huggingface.co/ada/x"});
    let hub = Hub::with("POST", "/api/models/bob/x/duplicate", 409, taken).await;
    assert!(hub.api().duplicate_repo("bob/x").to_id("ada/x").await.is_err());
    let made = hub
        .api()
        .duplicate_repo("bob/x")
        .to_id("ada/x")
        .exist_ok(true)
        .await
        .unwrap();
    assert_eq!(made.to_string(), format!("{}/ada/x", hub.url()));
}

#[tokio::test]
async fn information_is_asked_for_by_type_revision_and_property() {
    let hub = Hub::start().await;
    for target in [
        "/api/models/a/b/revision/refs%2Fpr%2F1",
        "/api/datasets/a/b",
        "/api/spaces/a/b",
        "/api/kernels/a/b",
        "/api/kernels/a/b/revision/main",
    ] {
        hub.answer(
            "GET",
            target,
            reply(200, json!({"id": "a/b", "sha": COMMIT, "sdk": "docker"})),
        )
        .await;
    }
    let api = hub.api();
    let info = api
        .model_info("a/b")
        .revision("refs/pr/1")
        .security_status(true)
        .files_metadata(true)
        .await
        .unwrap();
    assert_eq!(info.sha.as_deref(), Some(COMMIT));
    let info = api
        .repo_info("a/b")
        .repo_type("dataset")
        .expand(["likes", "xetEnabled"])
        .await
        .unwrap();
    assert_eq!((info.repo_type(), info.id()), (RepoType::Dataset, "a/b"));
    assert_eq!(info.commit_hash().unwrap().as_str(), COMMIT);
    assert_eq!(api.space_info("a/b").await.unwrap().sdk, Some(SpaceSdk::Docker));
    api.kernel_info("a/b").revision("main").await.unwrap();
    // A repository of kernels takes no more.
    let info = api.repo_info("kernels/a/b").expand(["likes"]).await.unwrap();
    assert_eq!(info.repo_type(), RepoType::Kernel);
    assert_eq!(
        hub.asked().await,
        [
            "GET /api/models/a/b/revision/refs%2Fpr%2F1?securityStatus=true&blobs=true",
            "GET /api/datasets/a/b?expand=likes&expand=xetEnabled",
            "GET /api/spaces/a/b",
            "GET /api/kernels/a/b/revision/main",
            "GET /api/kernels/a/b",
        ]
    );
}

#[tokio::test]
async fn existence_follows_the_error_code() {
    let target = "/api/models/a/b";
    for (status, code, exists) in [
        (404, "RepoNotFound", Some(false)),
        (403, "GatedRepo", Some(true)),
        (401, "", Some(false)),
        (500, "", None),
        (404, "", None),
    ] {
        let hub = Hub::start().await;
        hub.answer(
            "GET",
            target,
            reply(status, json!({})).insert_header("x-error-code", code),
        )
        .await;
        assert_eq!(hub.api().repo_exists("a/b").await.ok(), exists, "{status} {code}");
    }
    let target = "/api/models/a/b/revision/v1";
    for (status, code, exists) in [
        (200, "", Some(true)),
        (404, "RepoNotFound", Some(false)),
        (404, "RevisionNotFound", Some(false)),
        (403, "GatedRepo", Some(false)),
        (503, "", None),
    ] {
        let hub = Hub::start().await;
        hub.answer(
            "GET",
            target,
            reply(status, json!({})).insert_header("x-error-code", code),
        )
        .await;
        assert_eq!(
            hub.api().revision_exists("a/b", "v1").await.ok(),
            exists,
            "{status} {code}"
        );
    }
}

#[tokio::test]
async fn a_revision_resolves_to_its_commit() {
    let hub = Hub::with("GET", "/api/models/a/b", 200, json!({"id": "a/b", "sha": COMMIT})).await;
    let api = hub.api();
    assert_eq!(api.resolve_revision("a/b").await.unwrap().as_str(), COMMIT);
    let other = "a".repeat(40);
    assert_eq!(
        api.resolve_revision("a/b").revision(&other).await.unwrap().as_str(),
        other
    );
    assert_eq!(hub.asked().await.len(), 1);
    let hub = Hub::with(
        "GET",
        "/api/models/a/b/revision/refs%2Fpr%2F1",
        200,
        json!({"id": "a/b", "sha": COMMIT}),
    )
    .await;
    let found = hub.api().resolve_revision("a/b").revision("refs/pr/1").await.unwrap();
    assert_eq!(found.as_str(), COMMIT);
    let hub = Hub::with("GET", "/api/models/a/b", 200, json!({"id": "a/b", "sha": "abc"})).await;
    let err = hub.api().resolve_revision("a/b").await.unwrap_err();
    assert!(matches!(err, Error::MalformedReply { .. }), "{err}");
}

#[tokio::test]
async fn an_accounts_repos_are_listed() {
    let hub = Hub::start().await;
    let item = json!({"id": "ada/x", "type": "bucket", "updatedAt": "2026-03-04T05:06:07.000Z",
        "visibility": "private", "storage": 12, "storagePercent": null});
    hub.answer(
        "GET",
        "/api/organizations/acme/settings/repositories",
        reply(200, json!([item])),
    )
    .await;
    hub.answer("GET", "/api/settings/repositories", reply(200, json!({})))
        .await;
    let repos = hub
        .api()
        .list_user_repos()
        .namespace("acme")
        .await
        .unwrap()
        .collect_all()
        .await
        .unwrap();
    assert_eq!((repos[0].repo_type.as_str(), repos[0].storage), ("bucket", 12));
    assert_eq!(repos[0].visibility, Some(Visibility::Private));
    let none = hub.api().list_user_repos().await.unwrap().collect_all().await.unwrap();
    assert!(none.is_empty());
    assert!(matches!(
        hub.api().list_user_repos().namespace("..").await,
        Err(Error::Invalid(_))
    ));
}

#[tokio::test]
async fn an_id_gets_its_namespace_once() {
    let hub = Hub::with("GET", "/api/whoami-v2", 200, json!({"name": "ada"})).await;
    let api = hub.api();
    assert_eq!(api.get_full_repo_name("a/b").await.unwrap(), "a/b");
    assert_eq!(
        api.get_full_repo_name("b").organization("acme").await.unwrap(),
        "acme/b"
    );
    assert!(hub.asked().await.is_empty());
    assert_eq!(api.get_full_repo_name("b").await.unwrap(), "ada/b");
}
