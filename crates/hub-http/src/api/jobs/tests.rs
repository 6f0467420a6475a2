//! Tests of jobs.

use super::body::{checked_schedule, default_name, seconds};
use super::*;

#[test]
fn a_job_without_a_name_gets_the_python_clients() {
    let command = ["python", "-c", "print(1)"].map(str::to_owned);
    assert_eq!(
        default_name("python:3.12", "python:3.12", &command),
        "python-3-12-3212e188"
    );
    assert_eq!(
        default_name("python:3.12", "python:3.12", &["x".to_owned()]),
        "python-3-12-71625c0e"
    );
}

#[test]
fn times_have_units() {
    for (text, expected) in [
        ("2h", Some(7200)),
        ("1.5m", Some(90)),
        ("30", Some(30)),
        ("0", None),
        ("", None),
    ] {
        assert_eq!(seconds(&text.into()).unwrap(), expected, "{text}");
    }
    assert_eq!(seconds(&json!(5)).unwrap(), Some(5));
    for bad in [json!("soon"), json!("-1s"), json!("é"), json!([]), json!("infd")] {
        assert!(seconds(&bad).is_err(), "{bad}");
    }
}

#[test]
fn networks_and_labels_are_checked() {
    assert!(network(None, Some("a".into())).is_err());
    assert!(network(Some("Group".into()), None).is_err());
    assert!(network(Some("g".into()), Some(["a", "a"].into())).is_err());
    assert_eq!(
        network(Some("g".into()), Some("a".into())).unwrap(),
        Some(json!({"group": "g", "aliases": ["a"]}))
    );
    assert!(checked_labels(&Labels::from([("a b".to_owned(), String::new())])).is_err());
    assert!(checked_schedule("every day".into()).is_err());
}
