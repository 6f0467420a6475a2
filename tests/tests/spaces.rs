//! Spaces, against a Hub of our own.

use hub_http::Error;
use hub_tests::{ADA, BOB, Python, TestEnv};
use hub_types::RepoType;

#[test]
fn python_2_4_runs_spaces() {
    TestEnv::judge(Python::V2_4, "python/spaces.py");
}

#[test]
fn python_0_36_runs_spaces() {
    TestEnv::judge(Python::V0_36, "python/spaces.py");
}

#[test]
fn a_space_is_waited_for_and_its_logs_are_read() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    let made = ada
        .create_repo("ada/app")
        .repo_type(RepoType::Space)
        .space_sdk("docker");
    made.wait().unwrap();
    let upload = ada.upload_file("ada/app", b"FROM scratch".to_vec(), "Dockerfile");
    upload.repo_type(RepoType::Space).wait().unwrap();
    let runtime = ada
        .wait_for_space("ada/app")
        .timeout(20.0)
        .poll_interval(0.01)
        .wait()
        .unwrap();
    assert_eq!(runtime.stage.as_str(), "RUNNING");
    let lines: Vec<String> = ada
        .fetch_space_logs("ada/app")
        .build(true)
        .follow(true)
        .wait()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(lines[0].contains("Build Queued"), "{lines:?}");

    ada.add_space_secret("ada/app", "TOKEN", "hush").wait().unwrap();
    let secrets = ada.get_space_secrets("ada/app").wait().unwrap();
    assert_eq!(secrets.keys().collect::<Vec<_>>(), ["TOKEN"]);
    let err = bob.get_space_secrets("ada/app").wait().unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    let variables = ada.add_space_variable("ada/app", "LANG", "C").wait().unwrap();
    assert_eq!(variables["LANG"].value, "C");

    let asked = ada
        .request_space_hardware("ada/app", "t4-small")
        .sleep_time(600)
        .wait()
        .unwrap();
    assert_eq!(asked.hardware.unwrap().requested.unwrap().as_str(), "t4-small");
    assert_eq!(ada.pause_space("ada/app").wait().unwrap().stage.as_str(), "PAUSED");
    ada.restart_space("ada/app").factory_reboot(true).wait().unwrap();
    let runtime = ada.wait_for_space("ada/app").poll_interval(0.01).wait().unwrap();
    assert_eq!(runtime.stage.as_str(), "RUNNING");
    assert_eq!(ada.search_spaces("app").wait().unwrap().len(), 1);
}
