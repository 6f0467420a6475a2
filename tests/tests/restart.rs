//! What people did together is there when the Hub comes back.

use hub_tests::{ADA, BOB, TestEnv};
use hub_types::webhooks::WatchedItem;
use serde_json::json;

#[test]
fn nothing_is_lost_when_the_server_restarts() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    ada.create_repo("ada/demo").wait().unwrap();
    bob.create_discussion("ada/demo", "A question")
        .description("Why?")
        .wait()
        .unwrap();
    let said = ada.comment_discussion("ada/demo", 1, "Becuase").wait().unwrap();
    ada.edit_discussion_comment("ada/demo", 1, said.id, "Because")
        .wait()
        .unwrap();
    ada.change_discussion_status("ada/demo", 1, "closed").wait().unwrap();
    bob.create_pull_request("ada/demo", "A draft").wait().unwrap();
    let collection = ada.create_collection("Ours").wait().unwrap();
    ada.add_collection_item(&collection.slug, "ada/demo", "model")
        .note("The first")
        .wait()
        .unwrap();
    let watched: WatchedItem = serde_json::from_value(json!({"type": "user", "name": "bob"})).unwrap();
    ada.create_webhook(vec![watched])
        .url("http://127.0.0.1:1/")
        .secret("s3cret")
        .wait()
        .unwrap();
    assert_eq!(hub.post(BOB, "/api/models/ada/demo/like", ""), 200);
    ada.update_repo_settings("ada/demo").gated("auto").wait().unwrap();
    ada.grant_access("ada/demo", "bob").wait().unwrap();

    let look = |hub: &hub_tests::TestHub| {
        let (ada, bob) = (hub.api(ADA), hub.api(BOB));
        let accepted = ada.list_accepted_access_requests("ada/demo").wait().unwrap();
        (
            [1, 2].map(|num| bob.get_discussion_details("ada/demo", num).wait().unwrap()),
            ada.get_collection(&collection.slug).wait().unwrap(),
            ada.list_webhooks().wait().unwrap(),
            bob.list_liked_repos().wait().unwrap(),
            accepted.map(Result::unwrap).collect::<Vec<_>>(),
            ada.model_info("ada/demo").wait().unwrap().likes,
        )
    };
    let before = look(&hub);
    drop(hub);
    let hub = env.start_hub();
    assert_eq!(look(&hub), before);
    assert_eq!(before.2[0].secret.as_ref().unwrap().reveal(), "s3cret");
    let next = hub.api(BOB).create_discussion("ada/demo", "Another").wait().unwrap();
    assert_eq!(next.num, 3);
}
