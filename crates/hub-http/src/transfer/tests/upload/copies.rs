//! Copies, within a repository and from others.

use super::*;

/// Copies ask for facts that the fake above does not have.
async fn with_copies(same: bool) -> crate::api::testing::Hub {
    let hub = crate::api::testing::Hub::start().await;
    let (large, oid) = ("a".repeat(64), "b".repeat(40));
    let there = json!([{"type": "file", "path": "copy.bin", "size": 3, "oid": if same { &oid } else { "" }}]);
    let source = |xet: Value| {
        json!([{"type": "file", "path": "w.bin", "size": 3, "oid": oid, "xetHash": xet,
            "lfs": {"oid": large, "size": 3, "pointerSize": 135}},
            {"type": "file", "path": "r.txt", "size": 4, "oid": "c".repeat(40)}])
    };
    for (target, reply) in [
        ("/api/models/ada/demo/paths-info/main", there),
        ("/api/models/ada/demo/paths-info/v1", source(Value::Null)),
        ("/api/datasets/ada/src/paths-info/main", source("d".repeat(64).into())),
        ("/api/datasets/ada/src/lfs-files/duplicate", json!({})),
        (
            "/api/models/ada/demo/commit/main",
            json!({"commitOid": HEAD, "commitUrl": "u"}),
        ),
    ] {
        hub.answer("POST", target, ResponseTemplate::new(200).set_body_json(reply))
            .await;
    }
    let text = ResponseTemplate::new(200).set_body_string("text");
    hub.answer("GET", "/ada/demo/resolve/v1/r.txt", text).await;
    hub.answer(
        "GET",
        "/api/models/ada/demo/revision/main",
        ResponseTemplate::new(200).set_body_json(json!({"id": "ada/demo", "sha": HEAD})),
    )
    .await;
    hub
}

fn copy(from: &str, to: &str, revision: Option<&str>, repo: Option<&str>) -> CommitOperation {
    let text = json!({"op": "copy", "from": from, "path": to, "from_revision": revision, "from_repo": repo});
    serde_json::from_value(text).unwrap()
}

#[tokio::test]
async fn copies_refer_to_large_files_and_hold_small_ones() {
    let hub = with_copies(false).await;
    let operations = vec![
        copy("w.bin", "copy.bin", Some("v1"), None),
        copy("r.txt", "r2.txt", Some("v1"), None),
    ];
    hub.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let asked = hub.asked().await;
    let commit = asked.last().unwrap();
    let large = "a".repeat(64);
    for line in [
        format!(r#"{{"key":"lfsFile","value":{{"path":"copy.bin","algo":"sha256","oid":"{large}"}}}}"#),
        r#"{"key":"file","value":{"content":"dGV4dA==","path":"r2.txt","encoding":"base64"}}"#.to_owned(),
    ] {
        assert!(commit.contains(&line), "{commit}");
    }
}

#[tokio::test]
async fn copies_that_change_nothing_are_left_out_unless_they_are_deleted_too() {
    let hub = with_copies(true).await;
    let same = || copy("w.bin", "copy.bin", Some("v1"), None);
    let info = hub.api().create_commit("ada/demo", vec![same()], "m").await.unwrap();
    assert_eq!(info.oid, HEAD);
    assert!(!hub.asked().await.iter().any(|asked| asked.contains("/commit/")));
    let operations = vec![CommitOperation::delete("copy.bin"), same()];
    hub.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let asked = hub.asked().await;
    assert!(asked.last().unwrap().contains("lfsFile"));
    let missing = vec![copy("none", "copy.bin", Some("v1"), None)];
    let err = hub.api().create_commit("ada/demo", missing, "m").await.unwrap_err();
    assert!(
        matches!(&err, Error::FilesNotFound { paths, .. } if *paths == ["none"]),
        "{err}"
    );
}

#[tokio::test]
async fn copies_from_another_repo_are_duplicated_first() {
    let hub = with_copies(false).await;
    let operations = vec![
        copy("w.bin", "copy.bin", None, Some("datasets/ada/src")),
        copy("w.bin", "again.bin", None, Some("datasets/ada/src")),
    ];
    hub.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let asked = hub.asked().await;
    let duplicate: Vec<&String> = asked.iter().filter(|asked| asked.contains("duplicate")).collect();
    assert_eq!(duplicate.len(), 1);
    let body: Value = serde_json::from_str(
        duplicate[0]
            .rsplit_once(" {")
            .map(|(_, body)| format!("{{{body}"))
            .unwrap()
            .as_str(),
    )
    .unwrap();
    assert_eq!(
        body,
        json!({"target": {"type": "model", "name": "ada/demo"},
            "files": [{"xetHash": "d".repeat(64), "sha256": "a".repeat(64), "filename": "w.bin"}]})
    );
}
