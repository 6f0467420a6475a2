//! Webhooks, against a Hub of our own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use hub_tests::{ADA, Python, TestEnv};
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
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    (secret, serde_json::from_slice(&body).unwrap())
}

#[test]
fn a_push_by_git_is_told_too() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").wait().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let watched = json!([{"type": "model", "name": "ada/demo"}]);
    let hook = api
        .create_webhook(serde_json::from_value::<Vec<hub_types::webhooks::WatchedItem>>(watched).unwrap())
        .url(url)
        .secret("s3cret")
        .wait()
        .unwrap();
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
