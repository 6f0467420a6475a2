//! Users, organisations and likes, against a Hub of our own.

use hub_http::Error;
use hub_server::Role;
use hub_tests::{ADA, ADA_READS, BOB, Python, TestEnv};

#[test]
fn python_2_4_knows_the_accounts() {
    TestEnv::judge_with(Python::V2_4, "python/users.py", |hub| hub.organization("acme", ["ada"]));
}

#[test]
fn python_0_36_knows_the_accounts() {
    TestEnv::judge_with(Python::V0_36, "python/users.py", |hub| {
        hub.organization("acme", ["ada"])
    });
}

#[test]
fn accounts_are_described() {
    let mut env = TestEnv::new();
    let hub = env.start_hub_with(|hub| hub.organization("acme", ["ada", "bob"]));
    let bob = hub.api(BOB);
    bob.create_repo("bob/demo").wait().unwrap();
    let overview = bob.get_user_overview("bob").wait().unwrap();
    assert_eq!(overview.num_models, Some(1));
    let acme = bob.get_organization_overview("acme").wait().unwrap();
    assert_eq!(acme.num_users, Some(2));
    let members: Vec<_> = bob
        .list_organization_members("acme")
        .wait()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(members.len(), 2);
    assert!(bob.get_user_overview("nobody").wait().unwrap_err().is_not_found());
    assert_eq!(bob.list_liked_repos().user("bob").wait().unwrap().total, 0);
}

#[test]
fn likes_are_counted_listed_and_taken_back() {
    let mut env = TestEnv::new();
    let token = |number: usize| format!("hf_user{number:020}");
    let hub = env.start_hub_with(|hub| {
        (0..120).fold(hub, |hub, number| {
            hub.user(format!("user{number}"), token(number), Role::Write)
        })
    });
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    for name in ["ada/liked", "ada/loved", "ada/hidden"] {
        ada.create_repo(name).wait().unwrap();
    }
    ada.create_repo("ada/data").repo_type("dataset").wait().unwrap();
    ada.create_repo("ada/app")
        .repo_type("space")
        .space_sdk("static")
        .wait()
        .unwrap();
    for number in 0..120 {
        assert_eq!(hub.post(&token(number), "/api/models/ada/loved/like", ""), 200);
    }
    for path in [
        "models/ada/liked",
        "models/ada/hidden",
        "datasets/ada/data",
        "spaces/ada/app",
    ] {
        assert_eq!(hub.post(ADA, &format!("/api/{path}/like"), ""), 200);
    }
    // Once is enough; who is not known, or may only read, likes nothing.
    assert_eq!(hub.post(ADA, "/api/models/ada/liked/like", ""), 200);
    assert_eq!(hub.post(ADA_READS, "/api/models/ada/loved/like", ""), 403);
    assert_eq!(hub.post("hf_nobody", "/api/models/ada/loved/like", ""), 401);
    ada.update_repo_settings("ada/hidden").private(true).wait().unwrap();

    let mut likers: Vec<String> = ada
        .list_repo_likers("ada/loved")
        .wait()
        .unwrap()
        .map(|user| user.unwrap().username)
        .collect();
    likers.sort();
    likers.dedup();
    assert_eq!(likers.len(), 120);
    let sorted: Vec<(String, Option<u64>)> = bob
        .list_models()
        .author("ada")
        .sort("likes")
        .wait()
        .unwrap()
        .map(|model| model.map(|model| (model.id, model.likes)).unwrap())
        .collect();
    assert_eq!(
        sorted,
        [("ada/loved".to_owned(), Some(120)), ("ada/liked".to_owned(), Some(1))]
    );

    // What is private is in nobody else's list.
    let own = ada.list_liked_repos().wait().unwrap();
    assert_eq!((own.user.as_str(), own.total), ("ada", 4));
    assert_eq!(
        (own.datasets, own.spaces),
        (vec!["ada/data".to_owned()], vec!["ada/app".to_owned()])
    );
    let shown = bob.list_liked_repos().user("ada").wait().unwrap();
    assert_eq!((shown.total, shown.models), (3, vec!["ada/liked".to_owned()]));

    ada.unlike("ada/liked").wait().unwrap();
    ada.unlike("ada/liked").wait().unwrap();
    assert_eq!(ada.model_info("ada/liked").wait().unwrap().likes, Some(0));
    assert_eq!(ada.list_liked_repos().wait().unwrap().total, 3);
    let err = bob.unlike("ada/hidden").wait().unwrap_err();
    assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
}
