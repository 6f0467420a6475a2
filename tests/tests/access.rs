//! Access requests of gated repositories, against a Hub of our own.

use hub_http::Error;
use hub_tests::{ADA, BOB, Python, TestEnv};

#[test]
fn python_2_4_lets_in() {
    TestEnv::judge(Python::V2_4, "python/access.py");
}

#[test]
fn python_0_36_lets_in() {
    TestEnv::judge(Python::V0_36, "python/access.py");
}

#[test]
fn who_is_let_in_can_read() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    ada.create_repo("ada/gated").wait().unwrap();
    ada.upload_file("ada/gated", b"secret".to_vec(), "a.txt")
        .wait()
        .unwrap();
    ada.update_repo_settings("ada/gated").gated("auto").wait().unwrap();
    let err = bob.download_bytes("ada/gated", "a.txt").wait().unwrap_err();
    assert!(matches!(err, Error::GatedRepo(_)), "{err}");

    ada.grant_access("ada/gated", "bob").wait().unwrap();
    assert_eq!(bob.download_bytes("ada/gated", "a.txt").wait().unwrap(), "secret");
    let accepted: Vec<_> = ada
        .list_accepted_access_requests("ada/gated")
        .wait()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(accepted.len(), 1);
    ada.cancel_access_request("ada/gated").user("bob").wait().unwrap();
    let err = bob.download_bytes("ada/gated", "a.txt").wait().unwrap_err();
    assert!(matches!(err, Error::GatedRepo(_)), "{err}");
    let err = ada
        .accept_access_request("ada/gated")
        .user("nobody")
        .wait()
        .unwrap_err();
    assert!(err.is_not_found(), "{err}");
}
