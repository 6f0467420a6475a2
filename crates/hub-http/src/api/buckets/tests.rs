//! Buckets against a server that has one.

use hub_types::buckets::{SyncAction, SyncPlan};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{BucketCopy, BucketDownload};
use crate::api::testing::Hub;
use crate::error::Error;

const XET: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

fn entry(path: &str, text: &str) -> Value {
    json!({"type": "file", "path": path, "size": text.len(), "xetHash": XET, "mtime": "2026-03-04T05:06:07.000Z"})
}

fn json_reply(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A bucket with two files below `runs`, and what comes up beside them for being listed by letters.
async fn bucket() -> Hub {
    let hub = Hub::start().await;
    let files = [
        entry("runs/a.json", "{}"),
        entry("runs/deep/b.txt", "hello"),
        entry("runs.txt", "other"),
    ];
    let folder = json!({"type": "directory", "path": "runs/deep"});
    let listing = json!([folder, files[0], files[1], files[2]]);
    hub.answer("GET", "/api/buckets/ada/box/tree/runs", json_reply(listing))
        .await;
    hub.answer("GET", "/api/buckets/ada/box/tree", json_reply(json!(files)))
        .await;
    for (path, text) in [("runs%2Fa.json", "{}"), ("runs%2Fdeep%2Fb.txt", "hello")] {
        let reply = ResponseTemplate::new(200).set_body_string(text);
        hub.answer("GET", &format!("/buckets/ada/box/resolve/{path}"), reply)
            .await;
    }
    hub
}

fn done(plan: &SyncPlan, action: SyncAction) -> Vec<&str> {
    let operations = plan.operations.iter().filter(|operation| operation.action == action);
    operations.map(|operation| operation.path.as_str()).collect()
}

#[tokio::test]
async fn files_come_to_where_they_are_wanted_and_missing_ones_are_told() {
    let hub = bucket().await;
    let info = json_reply(json!([entry("runs/a.json", "{}")]));
    hub.answer("POST", "/api/buckets/ada/box/paths-info", info).await;
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("new/a.json");
    let files = |target: &std::path::Path| {
        vec![
            BucketDownload::new("runs/a.json", target),
            BucketDownload::new("gone", dir.path().join("gone")),
        ]
    };
    let missing = hub
        .api()
        .download_bucket_files("ada/box", files(&target))
        .await
        .unwrap();
    assert_eq!(missing, ["gone"]);
    assert_eq!(fs_err::read_to_string(&target).unwrap(), "{}");
    assert!(!dir.path().join("gone").exists());

    let strict = hub
        .api()
        .download_bucket_files("ada/box", files(&target))
        .raise_on_missing_files(true);
    let err = strict.await.unwrap_err();
    assert!(matches!(err, Error::FilesNotFound { .. }) && err.is_not_found());
    assert_eq!(err.to_string(), "gone not found in the bucket 'ada/box'");
}

#[tokio::test]
async fn a_short_file_is_never_kept() {
    let hub = Hub::start().await;
    let info = json_reply(json!([entry("a.txt", "hello")]));
    hub.answer("POST", "/api/buckets/ada/box/paths-info", info).await;
    let reply = ResponseTemplate::new(200).set_body_string("hell");
    hub.answer("GET", "/buckets/ada/box/resolve/a.txt", reply).await;
    let dir = tempfile::tempdir().unwrap();
    let files = vec![BucketDownload::new("a.txt", dir.path().join("a.txt"))];
    let err = hub.api().download_bucket_files("ada/box", files).await.unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
    assert!(!dir.path().join("a.txt").exists());
}

#[tokio::test]
async fn a_folder_comes_to_the_buckets_state() {
    let hub = bucket().await;
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(dir.path().join("old/er")).unwrap();
    fs_err::write(dir.path().join("old/er/x"), "x").unwrap();
    let folder = dir.path().to_str().unwrap();
    let sync = || {
        hub.api()
            .sync_bucket()
            .source("hf://buckets/ada/box/runs")
            .dest(folder)
            .delete(true)
    };

    let plan = sync().dry_run(true).await.unwrap();
    assert_eq!(done(&plan, SyncAction::Download), ["a.json", "deep/b.txt"]);
    assert_eq!(done(&plan, SyncAction::Delete), ["old/er/x"]);
    assert_eq!(plan.summary().total_size, 7);
    assert!(dir.path().join("old/er/x").exists() && !dir.path().join("a.json").exists());

    sync().await.unwrap();
    assert_eq!(fs_err::read_to_string(dir.path().join("deep/b.txt")).unwrap(), "hello");
    assert!(!dir.path().join("old").exists());

    // What is here is newer than there: nothing is left to do.
    let again = sync().await.unwrap();
    assert_eq!(done(&again, SyncAction::Skip), ["a.json", "deep/b.txt"]);
}

#[tokio::test]
async fn a_saved_plan_is_carried_out_later() {
    let hub = bucket().await;
    let info = json_reply(json!([entry("runs/a.json", "{}")]));
    hub.answer("POST", "/api/buckets/ada/box/paths-info", info).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("here");
    let saved = dir.path().join("plan.jsonl");
    let sync = hub
        .api()
        .sync_bucket()
        .source("hf://buckets/ada/box/runs")
        .dest(folder.to_str().unwrap());
    sync.include("*.json").plan(&saved).await.unwrap();
    assert!(!folder.exists());

    let plan = hub.api().sync_bucket().apply(&saved).await.unwrap();
    assert_eq!(done(&plan, SyncAction::Download), ["a.json"]);
    assert_eq!(fs_err::read_to_string(folder.join("a.json")).unwrap(), "{}");
}

#[tokio::test]
async fn a_name_that_would_leave_the_folder_stops_everything() {
    let hub = Hub::start().await;
    let listing = json_reply(json!([entry("ok.txt", "x"), entry("../../evil", "x")]));
    hub.answer("GET", "/api/buckets/ada/box/tree", listing).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("here");
    let sync = hub
        .api()
        .sync_bucket()
        .source("hf://buckets/ada/box")
        .dest(folder.to_str().unwrap());
    let err = sync.await.unwrap_err();
    assert!(matches!(err, Error::Invalid(_)), "{err}");
    assert_eq!(hub.asked().await.len(), 1);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_bucket_comes_to_a_folders_state_as_far_as_nothing_is_uploaded() {
    let hub = bucket().await;
    hub.answer(
        "POST",
        "/api/buckets/ada/box/batch",
        json_reply(json!({"success": true})),
    )
    .await;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let sync = || {
        hub.api()
            .sync_bucket()
            .source(folder)
            .dest("hf://buckets/ada/box/runs")
            .delete(true)
    };
    sync().await.unwrap();
    let asked = hub.asked().await;
    let expected = "POST /api/buckets/ada/box/batch {\"path\":\"runs/a.json\",\"type\":\"deleteFile\"}\n\
                    {\"path\":\"runs/deep/b.txt\",\"type\":\"deleteFile\"}";
    assert_eq!(asked.last().unwrap(), expected);

    fs_err::write(dir.path().join("new.txt"), "new").unwrap();
    let err = sync().await.unwrap_err();
    let expected = matches!(err, Error::MissingFeature { feature: "xet", .. });
    assert!(expected || cfg!(feature = "xet"), "{err}");
    // Neither is anything deleted.
    assert_eq!(
        hub.asked().await.iter().filter(|line| line.starts_with("POST")).count(),
        1
    );
}

#[tokio::test]
async fn a_repos_files_are_taken_over_by_their_hashes() {
    let hub = Hub::start().await;
    let file = |path: &str| json!({"type": "file", "path": path, "oid": "a".repeat(40), "size": 3, "xetHash": XET});
    let tree = json!([file("w/model.bin"), file("w/.gitattributes")]);
    hub.answer("POST", "/api/models/ada/demo/paths-info/main", json_reply(json!([])))
        .await;
    hub.answer("GET", "/api/models/ada/demo/tree/main/w", json_reply(tree))
        .await;
    hub.answer(
        "POST",
        "/api/buckets/ada/box/batch",
        json_reply(json!({"success": true})),
    )
    .await;
    hub.api()
        .copy_files("hf://ada/demo/w", "hf://buckets/ada/box")
        .await
        .unwrap();
    let asked = hub.asked().await;
    let line: Value = serde_json::from_str(
        asked
            .last()
            .unwrap()
            .split_once('{')
            .map(|(_, rest)| format!("{{{rest}"))
            .unwrap()
            .as_str(),
    )
    .unwrap();
    assert_eq!(line["path"], "w/model.bin");
    assert_eq!(
        (&line["sourceRepoType"], &line["sourceRepoId"]),
        (&json!("model"), &json!("ada/demo"))
    );
}

#[tokio::test]
async fn what_cannot_be_copied_is_told() {
    let hub = Hub::start().await;
    let err = hub
        .api()
        .copy_files("hf://buckets/ada/box/a", "hf://ada/demo")
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Invalid(_)), "{err}");
    assert!(hub.asked().await.is_empty());

    hub.answer("POST", "/api/buckets/ada/empty/paths-info", json_reply(json!([])))
        .await;
    hub.answer("GET", "/api/buckets/ada/empty/tree/a", json_reply(json!([])))
        .await;
    let err = hub
        .api()
        .copy_files("hf://buckets/ada/empty/a", "hf://buckets/ada/box")
        .await
        .unwrap_err();
    assert_eq!(err.to_string(), "hf://buckets/ada/empty/a not found in ada/empty");
}

#[tokio::test]
async fn failures_of_a_batch_are_told_whatever_its_status() {
    let body = json!({"success": false, "failed": [{"path": "b", "error": "no such file"}]});
    for status in [200, 422] {
        let hub = Hub::with("POST", "/api/buckets/ada/box/batch", status, body.clone()).await;
        let copy = BucketCopy {
            source_repo_type: "bucket".to_owned(),
            source_repo_id: "ada/other".to_owned(),
            xet_hash: XET.parse().unwrap(),
            destination: "c".to_owned(),
        };
        let batch = hub.api().batch_bucket_files("ada/box").delete(["b"]).copy(vec![copy]);
        let err = batch.await.unwrap_err();
        assert!(matches!(&err, Error::Batch { failed } if failed[0].0 == "b"), "{err}");
        // Copies come before deletions.
        let asked = &hub.asked().await[0];
        assert!(asked.find("copyFile").unwrap() < asked.find("deleteFile").unwrap());
    }
}

#[tokio::test]
async fn lists_of_tuples_are_taken_as_the_python_client_has_them() {
    let args: super::BatchBucketFilesArgs = serde_json::from_value(json!({
        "bucket_id": "ada/box",
        "add": [["./a.txt", "a.txt"]],
        "copy": [["model", "ada/demo", XET, "b.bin"]],
    }))
    .unwrap();
    assert_eq!(args.add.unwrap().0[0].destination, "a.txt");
    assert_eq!(args.copy.unwrap().0[0].source_repo_id, "ada/demo");
    let args: super::DownloadBucketFilesArgs =
        serde_json::from_value(json!({"bucket_id": "ada/box", "files": [["a.txt", "/tmp/a"]]})).unwrap();
    assert_eq!(args.files.0[0], BucketDownload::new("a.txt", "/tmp/a"));
}
