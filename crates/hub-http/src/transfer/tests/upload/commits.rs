//! Commits and their arguments.

use super::*;

#[tokio::test]
async fn d13_a_commit_is_sent_once() {
    for pr in [false, true] {
        let fake = Fake::start().await;
        fake.fail(COMMIT, 500, 9);
        let call = fake.api().upload_file("ada/demo", b"x".to_vec(), "a.txt").create_pr(pr);
        let err = call.await.unwrap_err();
        assert_eq!(err.status(), Some(500));
        assert_eq!(fake.asked(COMMIT).len(), 1);
    }
}

#[tokio::test]
async fn a_commit_has_its_lines_byte_for_byte() {
    let fake = Fake::start().await;
    let info = fake
        .api()
        .upload_file("ada/demo", b"some text\n".to_vec(), "notes/a.txt")
        .create_pr(true)
        .parent_commit("91c54ad")
        .await
        .unwrap();
    assert_eq!(
        (info.pr_num(), info.commit_message.as_str()),
        (Some(3), "Upload notes/a.txt with huggingface_hub")
    );
    let commit = &fake.asked(COMMIT)[0];
    assert_eq!(commit.line, format!("{COMMIT}?create_pr=1"));
    assert_eq!(commit.headers["content-type"], "application/x-ndjson");
    assert_eq!(commit.headers["content-length"], commit.body.len().to_string());
    assert_eq!(
        String::from_utf8(commit.body.clone()).unwrap(),
        concat!(
            r#"{"key":"header","value":{"summary":"Upload notes/a.txt with huggingface_hub","description":"","parentCommit":"91c54ad"}}"#,
            "\n",
            r#"{"key":"file","value":{"content":"c29tZSB0ZXh0Cg==","path":"notes/a.txt","encoding":"base64"}}"#,
            "\n"
        )
    );
    assert_eq!(fake.asked(PREUPLOAD)[0].line, format!("{PREUPLOAD}?create_pr=1"));
}

#[tokio::test]
async fn bad_arguments_are_refused_before_anything_is_sent() {
    let fake = Fake::start().await;
    let api = fake.api();
    let add = |path: &str| vec![CommitOperation::add(path, b"x")];
    let calls = [
        api.create_commit("ada/demo", add("a"), " "),
        api.create_commit("ada/demo", add("../a"), "m"),
        api.create_commit("ada/demo", add("a/.git/b"), "m"),
        api.create_commit("ada/demo", add(".cache/a"), "m"),
        api.create_commit("ada/demo", vec![CommitOperation::delete(".")], "m"),
        api.create_commit("ada/demo", add("a"), "m").parent_commit("xyz"),
        api.create_commit("ada/demo", vec![CommitOperation::add("a", "/no/such/file")], "m"),
    ];
    for call in calls {
        let err = call.await.unwrap_err();
        assert!(matches!(err, Error::Invalid(_) | Error::Io(_)), "{err}");
    }
    assert!(fake.asked("").is_empty());
}

#[tokio::test]
async fn what_changes_nothing_is_left_out() {
    let fake = Fake::start().await;
    fake.set(|state| {
        state.there.insert("d/a.txt".into(), GitOid::of(b"a").to_string());
        state.there.insert("d/w.bin".into(), Sha256::of(b"w").to_string());
    });
    let same: [(&str, &[u8]); 2] = [("d/a.txt", b"a"), ("d/w.bin", b"w")];
    let info = fake.commit(&same).await.unwrap();
    assert_eq!(info.oid, HEAD);
    assert_eq!(info.commit_url, format!("{}/ada/demo/commit/{HEAD}", fake.server.uri()));
    assert!(fake.asked(COMMIT).is_empty() && fake.asked(BATCH).is_empty());

    fake.commit(&[same[0], ("new.txt", b"n")]).await.unwrap();
    assert_eq!(fake.commits()[0].changes(), [("file", "new.txt")]);

    // What the same commit deletes is put back.
    fake.set(|state| {
        state.store.insert(Sha256::of(b"w").to_string(), b"w".to_vec());
    });
    let mut operations = vec![CommitOperation::delete("d/")];
    operations.extend(same.map(|(path, content)| CommitOperation::add(path, content)));
    fake.api().create_commit("ada/demo", operations, "m").await.unwrap();
    assert_eq!(
        fake.commits()[1].changes(),
        [("deletedFolder", "d/"), ("file", "d/a.txt"), ("lfsFile", "d/w.bin")]
    );
    let none: Vec<CommitOperation> = Vec::new();
    assert_eq!(fake.api().create_commit("ada/demo", none, "m").await.unwrap().oid, HEAD);
    assert_eq!(fake.commits().len(), 2);
}

#[tokio::test]
async fn a_card_with_wrong_metadata_stops_everything() {
    let fake = Fake::start().await;
    let err = fake.commit(&[("README.md", b"---\nbroken\n---")]).await.unwrap_err();
    assert!(
        err.to_string()
            .contains("invalid metadata in README.md: \"license\" must be one of"),
        "{err}"
    );
    let dir = folder(&[("README.md", "broken"), ("sub/README.md", "fine")]);
    let err = fake
        .api()
        .upload_folder("ada/demo", dir.path())
        .path_in_repo("x")
        .await
        .unwrap_err();
    assert!(matches!(err, Error::BadRequest(_)), "{err}");
    let lines: Vec<String> = fake.asked("").into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines, ["POST /api/validate-yaml"; 2]);

    fake.commit(&[("README.md", b"fine"), ("x/README.md", b"broken")])
        .await
        .unwrap();
    assert_eq!(fake.asked("POST /api/validate-yaml").len(), 3);
    assert_eq!(
        fake.asked("POST /api/validate-yaml")[2].json(),
        json!({"content": "fine", "repoType": "model"})
    );
}

#[tokio::test]
async fn the_gitignore_of_the_commit_decides() {
    let fake = Fake::start().await;
    fake.commit(&[(".gitignore", b"*.tmp\n"), ("a.txt", b"a")])
        .await
        .unwrap();
    assert_eq!(fake.asked(PREUPLOAD)[0].json()["gitIgnore"], "*.tmp\n");
    fake.commit(&[("b.txt", b"b")]).await.unwrap();
    assert!(fake.asked(PREUPLOAD)[1].json().get("gitIgnore").is_none());
    let dir = folder(&[(".gitignore", "*.log\n"), ("c.txt", "c")]);
    fake.api().upload_folder("ada/demo", dir.path()).await.unwrap();
    assert_eq!(fake.asked(PREUPLOAD)[2].json()["gitIgnore"], "*.log\n");
}

#[tokio::test]
async fn deletions_are_commits() {
    let fake = Fake::start().await;
    fake.set(|state| {
        for path in [".gitattributes", "a.json", "data/x.csv", "keep.md"] {
            state.there.insert(path.into(), "0".repeat(40));
        }
    });
    let api = fake.api();
    api.delete_file("ada/demo", "a.json").await.unwrap();
    api.delete_folder("ada/demo", "data").await.unwrap();
    api.delete_files("ada/demo", ["*.md", ".git*"]).await.unwrap();
    let info = api.delete_files("ada/demo", "nothing*").await.unwrap();
    assert_eq!(info.oid, HEAD);
    let commits = fake.commits();
    let made: Vec<_> = commits
        .iter()
        .map(|commit| (commit.summary(), commit.changes()))
        .collect();
    assert_eq!(
        made,
        [
            ("Delete a.json with huggingface_hub", vec![("deletedFile", "a.json")]),
            (
                "Delete folder data with huggingface_hub",
                vec![("deletedFolder", "data")]
            ),
            (
                "Delete files *.md .git* with huggingface_hub",
                vec![("deletedFile", "keep.md")]
            ),
        ]
    );
    assert!(fake.asked(PREUPLOAD).is_empty());
}

#[tokio::test]
async fn a_missing_repo_and_a_missing_folder_are_explained() {
    let hub = crate::api::testing::Hub::start().await;
    let target = "/api/models/ada/demo/commit/main";
    let reply = |code, text: &str| {
        ResponseTemplate::new(404)
            .insert_header("x-error-code", code)
            .set_body_json(json!({"error": text}))
    };
    hub.answer_first(1, "POST", target, reply("RepoNotFound", "Repository not found"))
        .await;
    hub.answer(
        "POST",
        target,
        reply("EntryNotFound", "A file with this name doesn't exist: data"),
    )
    .await;
    let err = hub.api().delete_file("ada/demo", "data").await.unwrap_err();
    assert!(
        matches!(&err, Error::RepoNotFound(_)) && err.to_string().contains("create_repo"),
        "{err}"
    );
    let err = hub.api().delete_file("ada/demo", "data").await.unwrap_err();
    assert!(
        matches!(&err, Error::EntryNotFound(_)) && err.to_string().contains("end its path with '/'"),
        "{err}"
    );
}

#[tokio::test]
async fn one_path_may_be_added_twice() {
    let fake = Fake::start().await;
    fake.commit(&[("a.txt", b"1"), ("a.txt", b"2")]).await.unwrap();
    assert_eq!(fake.commits()[0].changes().len(), 2);
}
