//! Webhooks, against a Hub of our own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use hub_http::HfApi;
use hub_http::api::upload::CommitOperation;
use hub_tests::{ADA, BOB, Python, TestEnv};
use hub_types::webhooks::{WatchedItem, Webhook, WebhookPayload};
use serde_json::{Value, json};

#[test]
fn python_2_4_is_told() {
    TestEnv::judge(Python::V2_4, "python/webhooks.py");
}

#[test]
fn python_0_36_is_told() {
    TestEnv::judge(Python::V0_36, "python/webhooks.py");
}

/// Takes one delivery, and gives its secret and its body.
fn receive(listener: &TcpListener) -> (Option<String>, Value) {
    answer(listener, "200 OK\r\n")
}

/// As [`receive`], with another status and further headers.
fn answer(listener: &TcpListener, head: &str) -> (Option<String>, Value) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut secret, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some(("x-webhook-secret", value)) => secret = Some(value.to_owned()),
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut stream = reader.into_inner();
    let head = format!("HTTP/1.1 {head}content-length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    (secret, serde_json::from_slice(&body).unwrap())
}

/// A listener, and a webhook that tells it.
fn watch(api: &HfApi, kind: &str, name: &str) -> (TcpListener, Webhook) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let watched: WatchedItem = serde_json::from_value(json!({"type": kind, "name": name})).unwrap();
    let made = api.create_webhook(vec![watched]).url(url).secret("s3cret").wait();
    (listener, made.unwrap())
}

#[test]
fn everything_is_told_in_its_order() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    let (listener, hook) = watch(&ada, "user", "ada");
    // Everything happens before anything is taken: nobody waits for a receiver.
    ada.create_repo("ada/demo").wait().unwrap();
    let commit = ada.upload_file("ada/demo", b"x".to_vec(), "x.txt").wait().unwrap();
    bob.create_discussion("ada/demo", "A question")
        .description("Why?")
        .wait()
        .unwrap();
    for number in 0..10 {
        bob.comment_discussion("ada/demo", 1, format!("Number {number}"))
            .wait()
            .unwrap();
    }
    let said = bob.comment_discussion("ada/demo", 1, "Becuase").wait().unwrap();
    bob.edit_discussion_comment("ada/demo", 1, said.id.clone(), "Because")
        .wait()
        .unwrap();
    ada.hide_discussion_comment("ada/demo", 1, said.id.clone())
        .wait()
        .unwrap();
    ada.rename_discussion("ada/demo", 1, "A better question")
        .wait()
        .unwrap();
    ada.change_discussion_status("ada/demo", 1, "closed").wait().unwrap();
    let proposed = bob
        .create_commit("ada/demo", vec![CommitOperation::add("y.txt", b"y")], "Add y")
        .create_pr(true)
        .wait()
        .unwrap();
    ada.merge_pull_request("ada/demo", 2).wait().unwrap();
    let head = ada.model_info("ada/demo").wait().unwrap().sha.unwrap();
    ada.update_repo_settings("ada/demo").private(true).wait().unwrap();
    ada.move_repo("ada/demo", "ada/new").wait().unwrap();
    ada.delete_repo("ada/new").wait().unwrap();

    let next = |action: &str, scope: &str| -> WebhookPayload {
        let (secret, body) = receive(&listener);
        assert_eq!(secret.as_deref(), Some("s3cret"));
        let payload: WebhookPayload = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(
            (payload.event.action.as_str(), payload.event.scope.as_str()),
            (action, scope),
            "{body:#}"
        );
        assert_eq!((payload.webhook.id.as_str(), payload.webhook.version), (&*hook.id, 3));
        assert_eq!(payload.repo.kind, "model");
        assert_eq!(payload.repo.head_sha.is_some(), payload.event.is_about("repo"));
        payload
    };
    let created = next("create", "repo");
    assert_eq!(created.repo.name, "ada/demo");
    let urls = created.repo.url.unwrap();
    assert_eq!(urls.web, format!("{}/ada/demo", hub.url()));
    assert_eq!(
        urls.api.as_deref(),
        Some(&*format!("{}/api/models/ada/demo", hub.url()))
    );
    let content = next("update", "repo.content");
    assert_eq!(content.repo.head_sha.as_deref(), Some(commit.oid.as_str()));
    assert_eq!(content.updated_refs[0].name, "refs/heads/main");
    assert_eq!(content.updated_refs[0].new_sha.as_deref(), Some(commit.oid.as_str()));

    let opened = next("create", "discussion").discussion.unwrap();
    assert_eq!(
        (opened.num, opened.title.as_str(), opened.status.as_str()),
        (1, "A question", "open")
    );
    assert_eq!(opened.url.unwrap().web, format!("{}/ada/demo/discussions/1", hub.url()));
    for number in 0..10 {
        let comment = next("create", "discussion.comment").comment.unwrap();
        assert_eq!(comment.content, Some(format!("Number {number}")));
    }
    for (action, content) in [
        ("create", Some("Becuase")),
        ("update", Some("Because")),
        ("update", None),
    ] {
        let comment = next(action, "discussion.comment").comment.unwrap();
        assert_eq!(comment.id, said.id);
        assert_eq!(
            (comment.content.as_deref(), comment.hidden),
            (content, content.is_none())
        );
    }
    assert_eq!(
        next("update", "discussion").discussion.unwrap().title,
        "A better question"
    );
    assert_eq!(
        next("update", "discussion").discussion.unwrap().status.as_str(),
        "closed"
    );

    let opened = next("create", "discussion").discussion.unwrap();
    assert_eq!((opened.num, opened.is_pull_request), (2, true));
    let pushed = next("update", "repo.content").updated_refs;
    assert_eq!((pushed[0].name.as_str(), &pushed[0].old_sha), ("refs/pr/2", &None));
    assert_eq!(pushed[0].new_sha.as_deref(), Some(proposed.oid.as_str()));
    let merged = next("update", "discussion").discussion.unwrap();
    assert_eq!(merged.status.as_str(), "merged");
    assert_eq!(merged.changes.unwrap().merge_commit_id.as_deref(), Some(head.as_str()));
    let pushed = next("update", "repo.content").updated_refs;
    assert_eq!(
        (pushed[0].name.as_str(), pushed[0].new_sha.as_deref()),
        ("refs/heads/main", Some(head.as_str()))
    );
    let config = next("update", "repo.config");
    assert_eq!(config.updated_config, Some(json!({"private": true})));
    assert_eq!(next("move", "repo").moved_to.unwrap().name, "ada/new");
    assert_eq!(next("delete", "repo").repo.name, "ada/new");
}

#[test]
fn a_delivery_is_tried_again_and_never_sent_elsewhere() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let ada = hub.api(ADA);
    let (listener, hook) = watch(&ada, "user", "ada");
    ada.create_repo("ada/one").wait().unwrap();
    let first = answer(&listener, "503 Service Unavailable\r\n");
    assert_eq!(receive(&listener), first);

    // A redirect would take the secret to another address.
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let elsewhere = format!(
        "307 Temporary Redirect\r\nlocation: http://{}/\r\n",
        other.local_addr().unwrap()
    );
    ada.create_repo("ada/two").wait().unwrap();
    answer(&listener, &elsewhere);
    ada.create_repo("ada/three").wait().unwrap();
    assert_eq!(receive(&listener).1["repo"]["name"], "ada/three");
    other.set_nonblocking(true).unwrap();
    assert_eq!(other.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    // What waits for one that is switched off is not sent once it is on again.
    ada.create_repo("ada/four").wait().unwrap();
    answer(&listener, "503 Service Unavailable\r\n");
    assert!(ada.disable_webhook(&hook.id).wait().unwrap().disabled);
    assert!(!ada.enable_webhook(&hook.id).wait().unwrap().disabled);
    ada.create_repo("ada/five").wait().unwrap();
    assert_eq!(receive(&listener).1["repo"]["name"], "ada/five");
}

#[test]
fn a_push_by_git_is_told_too() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").wait().unwrap();
    let (listener, hook) = watch(&api, "model", "ada/demo");
    assert_eq!(api.get_webhook(&hook.id).wait().unwrap(), hook);

    let remote = hub.url().replace("http://", &format!("http://ada:{ADA}@"));
    env.git(["clone", "--quiet", &format!("{remote}/ada/demo")]).success();
    env.write("demo/a.txt", "a\n");
    for args in [
        vec!["add", "a.txt"],
        vec![
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
            "commit",
            "--quiet",
            "-m",
            "Add a",
        ],
        vec!["push", "--quiet", "origin", "main"],
    ] {
        env.git(args).dir(env.work().join("demo")).success();
    }
    let (secret, payload) = receive(&listener);
    assert_eq!(secret.as_deref(), Some("s3cret"));
    assert_eq!(payload["event"]["scope"], "repo.content");
    let head = api.model_info("ada/demo").wait().unwrap().sha.unwrap();
    assert_eq!(payload["updatedRefs"][0]["newSha"], head);
    api.delete_webhook(&hook.id).wait().unwrap();
    assert!(api.get_webhook(&hook.id).wait().unwrap_err().is_not_found());
}
