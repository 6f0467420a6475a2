//! Users, organisations and likes, against a Hub of our own.

use hub_tests::{BOB, Python, TestEnv};

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
