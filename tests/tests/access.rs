//! Access requests of gated repositories, against a Hub of our own.

use hub_cache::HubCache;
use hub_http::{Error, HfApi};
use hub_server::Role;
use hub_tests::{ADA, BOB, Python, TestEnv};
use hub_types::RepoId;
use hub_types::access::{AccessRequest, AccessRequestStatus};

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

#[test]
fn requests_are_listed_answered_and_felt_everywhere() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    let repo = RepoId::dataset("ada/gated").unwrap();
    ada.create_repo(repo.clone()).wait().unwrap();
    ada.upload_file(repo.clone(), b"secret".to_vec(), "a.txt")
        .wait()
        .unwrap();
    let err = ada
        .list_pending_access_requests(repo.clone())
        .wait()
        .and_then(|mut listed| listed.next().transpose())
        .unwrap_err();
    assert!(matches!(err, Error::BadRequest(_)), "{err}");
    ada.update_repo_settings(repo.clone()).gated("manual").wait().unwrap();

    // That it is there, and what its files are called, may be known; what is in them may not.
    let info = bob.dataset_info("ada/gated").wait().unwrap();
    assert_eq!(info.siblings.unwrap().len(), 2);
    let clone = |name: &str| {
        let remote = hub.url().replace("http://", &format!("http://bob:{BOB}@"));
        env.git(["clone", "--quiet", &format!("{remote}/datasets/ada/gated"), name])
            .run()
    };
    let reads = |allowed: bool| {
        let file = bob.download_bytes(repo.clone(), "a.txt").wait();
        let cached = HubCache::new(bob.clone(), env.cache())
            .snapshot_download(repo.clone())
            .wait();
        let check = bob.auth_check(repo.clone()).wait();
        let proposed = bob
            .upload_file(repo.clone(), b"x".to_vec(), "x.txt")
            .create_pr(true)
            .wait();
        if allowed {
            assert_eq!(file.unwrap(), "secret");
            assert_eq!(fs_err::read(cached.unwrap().join("a.txt")).unwrap(), b"secret");
            check.unwrap();
            proposed.unwrap();
        } else {
            for err in [file.unwrap_err(), check.unwrap_err(), proposed.unwrap_err()] {
                assert!(matches!(err, Error::GatedRepo(_)), "{err}");
                assert!(err.to_string().contains("restricted"), "{err}");
            }
            assert!(cached.is_err());
        }
    };
    reads(false);
    assert_ne!(clone("before").code, Some(0));

    let ask = "/datasets/ada/gated/ask-access";
    assert_eq!(hub.post(BOB, ask, r#"{"Company":"Example"}"#), 200);
    assert_eq!(hub.post(BOB, ask, ""), 400);
    let pending = |api: &HfApi| -> Vec<AccessRequest> {
        let listed = api.list_pending_access_requests(repo.clone()).wait().unwrap();
        listed.map(Result::unwrap).collect()
    };
    let asked = pending(&ada);
    assert_eq!(asked[0].user.as_ref().unwrap().user, "bob");
    assert_eq!(asked[0].fields["Company"], "Example");
    let id = asked[0].request_id.clone().unwrap();
    // The id of a request is no user's name.
    let err = ada
        .accept_access_request(repo.clone())
        .user(id.clone())
        .wait()
        .unwrap_err();
    assert!(err.is_not_found(), "{err}");
    let err = bob
        .accept_access_request(repo.clone())
        .request_id(id.clone())
        .wait()
        .unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    ada.accept_access_request(repo.clone()).request_id(id).wait().unwrap();
    assert!(pending(&ada).is_empty());
    reads(true);
    let cloned = clone("after");
    assert_eq!(cloned.code, Some(0), "{cloned}");

    ada.reject_access_request(repo.clone())
        .user("bob")
        .rejection_reason("Not any more")
        .wait()
        .unwrap();
    let err = bob.download_bytes(repo.clone(), "a.txt").wait().unwrap_err();
    assert!(matches!(err, Error::GatedRepo(_)), "{err}");
    let rejected: Vec<_> = ada
        .list_rejected_access_requests(repo.clone())
        .wait()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        (rejected.len(), &rejected[0].status),
        (1, &AccessRequestStatus::Rejected)
    );
    let err = ada
        .reject_access_request(repo.clone())
        .user("bob")
        .rejection_reason("x".repeat(201))
        .wait()
        .unwrap_err();
    assert!(matches!(err, Error::Invalid(_)), "{err}");
    let err = ada.grant_access(repo.clone(), "nobody").wait().unwrap_err();
    assert!(err.is_not_found(), "{err}");
}

#[test]
fn lists_of_requests_are_paged() {
    let mut env = TestEnv::new();
    let token = |number: usize| format!("hf_user{number:020}");
    let hub = env.start_hub_with(|hub| {
        (0..120).fold(hub, |hub, number| {
            hub.user(format!("user{number}"), token(number), Role::Read)
        })
    });
    let ada = hub.api(ADA);
    ada.create_repo("ada/gated").wait().unwrap();
    ada.update_repo_settings("ada/gated").gated("manual").wait().unwrap();
    for number in 0..120 {
        assert_eq!(hub.post(&token(number), "/ada/gated/ask-access", ""), 200);
    }
    let mut names: Vec<String> = ada
        .list_pending_access_requests("ada/gated")
        .wait()
        .unwrap()
        .map(|request| request.unwrap().user.unwrap().user)
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 120);
}
