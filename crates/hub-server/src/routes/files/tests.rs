use serde_json::{Value, json};

use crate::testing::{ADA, BOB, Hub, file, large, send};

fn paths(items: &Value) -> Vec<&str> {
    items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].as_str().unwrap())
        .collect()
}

#[test]
fn a_large_file_is_given_to_another_repository_by_who_may_write_there() {
    let hub = Hub::with_demo();
    let sha256 = hub.upload_large(b"large");
    hub.post(BOB, "/api/repos/create", r#"{"name":"other"}"#).expect(200);
    let none = "0".repeat(64);
    let body = json!({
        "target": {"type": "model", "name": "bob/other"},
        "files": [{"sha256": sha256, "filename": "x.bin"}, {"sha256": none, "filename": "y.bin"}],
    })
    .to_string();
    let path = "/api/models/ada/demo/lfs-files/duplicate";
    hub.post(ADA, path, &body).expect(403);
    let failed = hub.post(BOB, path, &body).expect(200).json();
    assert_eq!(failed["failed"].as_array().unwrap().len(), 1);
    assert_eq!(failed["failed"][0]["sha256"], none);
    let line = large("x.bin", &sha256, 5);
    let header = r#"{"key":"header","value":{"summary":"x","description":""}}"#;
    hub.post(BOB, "/api/models/bob/other/commit/main", &format!("{header}\n{line}"))
        .expect(200);
    let missing = body.replace("bob/other", "bob/nothing");
    hub.post(BOB, path, &missing).expect_code(404, "RepoNotFound");
}

#[test]
fn a_tree_has_files_folders_and_large_files() {
    let hub = Hub::with_demo();
    let sha256 = hub.upload_large(b"large");
    hub.commit(&[file("a/b c/d.txt", "d"), large("x.bin", &sha256, 5)])
        .expect(200);
    hub.commit(&[file("a/e.txt", "e")]).expect(200);

    let tree = hub
        .get("", "/api/models/ada/demo/tree/main?recursive=false&expand=false")
        .expect(200)
        .json();
    assert_eq!(paths(&tree), [".gitattributes", "a", "x.bin"]);
    assert_eq!((&tree[1]["type"], &tree[1]["size"]), (&json!("directory"), &json!(0)));
    assert_eq!(tree[2]["size"], 5);
    assert_eq!(tree[2]["lfs"], json!({"oid": sha256, "size": 5, "pointerSize": 126}));
    let tree = hub
        .get("", "/api/models/ada/demo/tree/main?recursive=true")
        .expect(200)
        .json();
    assert_eq!(
        paths(&tree),
        [".gitattributes", "a", "a/b c", "a/b c/d.txt", "a/e.txt", "x.bin"]
    );

    // As one segment or as several.
    for path in ["a%2Fb%20c", "a/b%20c", "a/b%20c/"] {
        let tree = hub
            .get("", &format!("/api/models/ada/demo/tree/main/{path}?expand=true"))
            .expect(200)
            .json();
        assert_eq!(paths(&tree), ["a/b c/d.txt"]);
        assert_eq!(tree[0]["lastCommit"]["title"], "A change");
    }
    let expanded = hub
        .get("", "/api/models/ada/demo/tree/main/a?expand=true")
        .expect(200)
        .json();
    let commits = hub.get("", "/api/models/ada/demo/commits/main").expect(200).json();
    assert_eq!(expanded[0]["lastCommit"]["id"], commits[1]["id"], "the folder b c");
    assert_eq!(expanded[1]["lastCommit"]["id"], commits[0]["id"], "the file e.txt");

    let missing = hub
        .get("", "/api/models/ada/demo/tree/main/nothing")
        .expect_code(404, "EntryNotFound");
    assert_eq!(missing.header("x-repo-commit").len(), 40);
    hub.get("", "/api/models/ada/demo/tree/nothing")
        .expect_code(404, "RevisionNotFound");
    for bad in ["..%2F..%2Fx", "a/..%2F..", "%00", "C:%2Fx"] {
        hub.get("", &format!("/api/models/ada/demo/tree/main/{bad}"))
            .expect(400);
    }
    hub.get("", "/api/models/ada/demo/tree/main/%FF").expect(400);
}

#[test]
fn a_long_tree_comes_in_pages_of_one_commit() {
    let hub = Hub::with_demo();
    let lines: Vec<String> = (0..1200).map(|n| file(&format!("f/{n:04}"), "x")).collect();
    hub.commit(&lines).expect(200);
    let first = hub.get("", "/api/models/ada/demo/tree/main?recursive=true").expect(200);
    assert_eq!(first.json().as_array().unwrap().len(), 1000);
    // What is added between two pages is in neither.
    hub.commit(&[file("added", "x")]).expect(200);
    let next = first.header("link").trim_start_matches('<').split('>').next().unwrap();
    assert!(
        next.starts_with(&format!("{}/api/models/ada/demo/tree/main?", hub.server.url())),
        "{next}"
    );
    let second = send(next, "GET", "", "", &[], b"").expect(200);
    assert_eq!(
        second.json().as_array().unwrap().len(),
        202,
        "1200 files, a folder and .gitattributes in all"
    );
    assert_eq!(second.header("link"), "");
    let expanded = hub.get("", "/api/models/ada/demo/tree/main/f?expand=true").expect(200);
    assert_eq!(expanded.json().as_array().unwrap().len(), 50);
    hub.get("", "/api/models/ada/demo/tree/main?cursor=nonsense")
        .expect(400);
}

#[test]
fn paths_info_takes_json_and_forms_and_leaves_out_what_is_not_there() {
    let hub = Hub::with_demo();
    hub.commit(&[file("a/b.txt", "b")]).expect(200);
    let path = "/api/models/ada/demo/paths-info/main";
    let reply = hub.post(
        "",
        path,
        r#"{"paths":["a","a/b.txt","nothing","../x",""],"expand":true}"#,
    );
    let reply = reply.expect(200).json();
    assert_eq!(paths(&reply), ["a", "a/b.txt"]);
    assert_eq!(reply[1]["lastCommit"]["title"], "A change");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = hub
        .send("POST", "", path, &form, b"paths=a%2Fb.txt&paths=nothing&expand=false")
        .expect(200);
    assert_eq!(paths(&reply.json()), ["a/b.txt"]);
    let many = json!({ "paths": vec!["a"; 1001] }).to_string();
    hub.post("", path, &many).expect(413);
    hub.post("", path, "{").expect(400);
}

#[test]
fn refs_and_commits() {
    let hub = Hub::with_demo();
    hub.post(ADA, "/api/models/ada/demo/branch/feat%2Fx", "{}").expect(200);
    hub.post(ADA, "/api/models/ada/demo/tag/main", r#"{"tag":"v1","message":"one"}"#)
        .expect(200);
    hub.commit_to("main", "?create_pr=1", &[file("p.txt", "p")]).expect(200);
    let refs = hub.get("", "/api/models/ada/demo/refs").expect(200).json();
    let head = refs["branches"][1]["targetCommit"].clone();
    let named = |name: &str, full: &str| json!({"name": name, "ref": full, "targetCommit": head});
    assert_eq!(
        refs["branches"],
        json!([named("feat/x", "refs/heads/feat/x"), named("main", "refs/heads/main")])
    );
    assert_eq!(refs["tags"], json!([named("v1", "refs/tags/v1")]));
    assert!(refs.get("pullRequests").is_none());
    let refs = hub
        .get("", "/api/models/ada/demo/refs?include_prs=1")
        .expect(200)
        .json();
    assert_eq!(refs["pullRequests"][0]["ref"], "refs/pr/1");

    let commits = hub
        .get("", "/api/models/ada/demo/commits/refs%2Fpr%2F1?expand%5B%5D=formatted")
        .expect(200);
    let commits = commits.json();
    assert_eq!(commits[0]["title"], "A change");
    assert_eq!(commits[0]["authors"][0]["user"], "ada");
    assert_eq!(commits[0]["formatted"]["title"], "A change");
    assert_eq!(commits[1]["authors"][0]["user"], "system");
    let first = hub
        .get("", "/api/models/ada/demo/commits/refs%2Fpr%2F1?limit=1")
        .expect(200);
    let next = first.header("link").trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(send(next, "GET", "", "", &[], b"").expect(200).json()[0]["id"], head);

    let raw = hub
        .get("", "/api/models/ada/demo/compare/main..refs%2Fpr%2F1?raw=true")
        .expect(200)
        .text();
    assert!(raw.starts_with("T 1\t:000000 100644 0000"), "{raw}");
    assert!(raw.ends_with("... A\tp.txt\n"), "{raw}");
}

#[test]
fn large_files_are_listed_and_deleted() {
    let hub = Hub::with_demo();
    let (one, two) = (hub.upload_large(b"one"), hub.upload_large(b"two!"));
    hub.commit(&[large("one.bin", &one, 3)]).expect(200);
    hub.get(BOB, "/api/models/ada/demo/lfs-files").expect(403);
    let files = hub.get(ADA, "/api/models/ada/demo/lfs-files").expect(200).json();
    let first = files
        .as_array()
        .unwrap()
        .iter()
        .find(|file| file["fileOid"] == *one)
        .unwrap();
    assert_eq!((&first["filename"], &first["size"]), (&json!("one.bin"), &json!(3)));
    let body = json!({"deletions": {"sha": [one, two], "rewriteHistory": true}}).to_string();
    hub.post(ADA, "/api/models/ada/demo/lfs-files/batch", &body).expect(200);
    assert_eq!(
        hub.get(ADA, "/api/models/ada/demo/lfs-files").expect(200).json(),
        json!([])
    );
    hub.get("", "/ada/demo/resolve/main/one.bin")
        .expect_code(404, "EntryNotFound");
    hub.delete(ADA, &format!("/api/models/ada/demo/lfs-files/{one}"))
        .expect(404);
}
