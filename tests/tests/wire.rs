//! What the library sends is what the official Python client sends, call by call.

use std::path::Path;

use hub_tests::wire::{self, Vector, Verdict};
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn our_own_vectors_match() {
    let report = wire::run(&root().join("tests/fixtures/wire.jsonl")).unwrap();
    assert_eq!((report.mismatched(), report.unknown()), (0, 0), "{report}");
    assert!(report.matched() >= 10, "{report}");
}

/// The recordings of the whole API, where this checkout has them beside it.
#[test]
fn the_shared_vectors_match() {
    let file = root().join("../shared/spec/wire/vectors.jsonl");
    if !file.exists() {
        return our_own_vectors_match();
    }
    let all = wire::read(&file).unwrap().len();
    assert!(all > 100, "only {all} vectors");
    let report = wire::run(&file).unwrap();
    assert_eq!(
        (report.matched(), report.mismatched(), report.unknown()),
        (all, 0, 0),
        "{report}"
    );
}

fn verdict(vector: Value) -> Verdict {
    let vector: Vector = serde_json::from_value(vector).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(wire::replay(vector)).unwrap()
}

/// A call that matches.
fn squash() -> Value {
    json!({
        "id": "super_squash_history.own", "op": "super_squash_history", "outcome": "ok",
        "args": {"repo_id": "ada/demo", "branch": "feat/x", "commit_message": "One", "token": null},
        "exchanges": [{
            "request": {
                "method": "POST", "path": "/api/models/ada/demo/super-squash/feat%2fx", "query": [],
                "headers": {"authorization": "Bearer {token}", "content-type": "application/json; charset=utf-8"},
                "json": {"message": "One", "other": null},
            },
            "response": {"status": 200, "headers": {"Content-Type": "application/json"}, "json": {}},
        }],
    })
}

#[test]
fn what_is_the_same_matches() {
    assert_eq!(verdict(squash()), Verdict::Matched { spared: vec![] });
}

#[test]
fn every_difference_is_seen() {
    for (pointer, value, words) in [
        ("/exchanges/0/request/method", json!("PUT"), "is not among the recorded"),
        (
            "/exchanges/0/request/path",
            json!("/api/models/ada/demo/super-squash/feat/x"),
            "is not among",
        ),
        (
            "/exchanges/0/request/query",
            json!([["a", "b"]]),
            "query: sent [], recorded is [a=b]",
        ),
        (
            "/exchanges/0/request/json",
            json!({"message": "Two"}),
            "body: sent {\"message\":\"One\"}",
        ),
        (
            "/exchanges/0/request/headers",
            json!({}),
            "authorization: sent Bearer {token}, recorded is none",
        ),
        (
            "/exchanges/0/request/headers/range",
            json!("bytes=0-1"),
            "range: sent none",
        ),
        ("/exchanges/0/response/status", json!(403), "it ended in HfHubHTTPError"),
        ("/outcome", json!("RepositoryNotFoundError"), "it ended in ok"),
        ("/args/newer", json!(1), "not accepted: unknown field `newer`"),
        ("/args/token", json!(false), "authorization: sent none"),
        ("/exchanges/1", squash()["exchanges"][0].clone(), "was not sent"),
    ] {
        let mut vector = squash();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match vector.pointer_mut(parent).unwrap() {
            Value::Array(items) => items.push(value),
            parent => parent[key] = value,
        }
        match verdict(vector) {
            Verdict::Mismatched(differences) => {
                assert!(
                    differences.iter().any(|line| line.contains(words)),
                    "{pointer}: {differences:?}"
                );
                assert!(!differences.iter().any(|line| line.contains("hf_")), "{differences:?}");
            }
            other => panic!("{pointer}: {other:?}"),
        }
    }
}

#[test]
fn what_cannot_be_right_is_refused_by_both() {
    let mut vector = squash();
    vector["exchanges"] = json!([]);
    vector["args"]["repo_id"] = json!("not//an id");
    vector["outcome"] = json!("HFValidationError");
    assert_eq!(verdict(vector.clone()), Verdict::Matched { spared: vec![] });
    vector["outcome"] = json!("ok");
    assert!(matches!(verdict(vector), Verdict::Mismatched(_)));
}

#[test]
fn an_operation_that_there_is_not_is_unknown() {
    let mut vector = squash();
    vector["op"] = json!("make_coffee");
    assert_eq!(verdict(vector), Verdict::Unknown);
}

/// A call that asks too little matches; one that does too little does not.
#[test]
fn fewer_questions_are_no_difference() {
    let mut vector = squash();
    let mut question = squash()["exchanges"][0].clone();
    question["request"]["method"] = json!("GET");
    vector["exchanges"].as_array_mut().unwrap().push(question);
    let spared = vec!["GET /api/models/ada/demo/super-squash/feat%2fx".to_owned()];
    assert_eq!(verdict(vector), Verdict::Matched { spared });

    let mut nothing = squash();
    nothing["op"] = json!("get_full_repo_name");
    nothing["args"] = json!({"model_id": "a/b"});
    assert!(matches!(verdict(nothing), Verdict::Mismatched(_)));
}

/// An operation that the table lacks would be counted as unknown for ever.
#[test]
fn every_operation_of_the_library_can_be_replayed() {
    let replayable = wire::operations();
    let mut missing = Vec::new();
    let mut seen = 0;
    let mut paths = vec![root().join("crates/hub-http/src/api")];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs_err::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs_err::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let name = match line.trim_start().strip_prefix("pub fn ") {
                // Its arguments' type stands a few lines below.
                Some(rest) => {
                    let definition = lines[number..].iter().take_while(|line| !line.trim().is_empty());
                    if !definition
                        .take(40)
                        .any(|line| line.contains("Args)") || line.contains("Args,") || line.ends_with("Args"))
                    {
                        continue;
                    }
                    rest.split('(').next().unwrap()
                }
                // A line of a table that a macro of the area makes operations of.
                None => match line.split_whitespace().collect::<Vec<_>>()[..] {
                    [name, op, args, ..] if args.strip_suffix("Args") == Some(op) => name,
                    _ => continue,
                },
            };
            if name.starts_with('$') {
                continue;
            }
            seen += 1;
            if !replayable.contains(&name) {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "missing in the table: {missing:?}");
    assert!(seen > 130, "only {seen} operations were found");
}
