//! Collections, against a Hub of our own.

use hub_http::Error;
use hub_tests::{ADA, BOB, Python, TestEnv};

#[test]
fn python_2_4_collects() {
    TestEnv::judge(Python::V2_4, "python/collect.py");
}

#[test]
fn python_0_36_collects() {
    TestEnv::judge(Python::V0_36, "python/collect.py");
}

#[test]
fn a_collection_is_made_filled_put_in_order_and_deleted() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    for name in ["ada/one", "ada/two"] {
        ada.create_repo(name).wait().unwrap();
    }
    let made = ada
        .create_collection("Tiny models")
        .description("Small")
        .wait()
        .unwrap();
    let again = ada.create_collection("Tiny models").exists_ok(true).wait().unwrap();
    assert_eq!(again.slug, made.slug);
    for name in ["ada/one", "ada/two"] {
        ada.add_collection_item(&made.slug, name, "model").wait().unwrap();
    }
    let err = ada
        .add_collection_item(&made.slug, "ada/one", "model")
        .wait()
        .unwrap_err();
    assert!(matches!(err, Error::Conflict(_)), "{err}");
    let err = bob.delete_collection(&made.slug).wait().unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");

    let items = ada.get_collection(&made.slug).wait().unwrap().items;
    ada.update_collection_item(&made.slug, &items[1].item_object_id)
        .position(0)
        .note("the better one")
        .wait()
        .unwrap();
    let shown = ada.get_collection(&made.slug).wait().unwrap();
    let ids: Vec<&str> = shown.items.iter().map(|item| item.item_id()).collect();
    assert_eq!(ids, ["ada/two", "ada/one"]);

    let renamed = ada
        .update_collection_metadata(&made.slug)
        .title("Small models")
        .wait()
        .unwrap();
    assert_ne!(renamed.slug, made.slug);
    assert_eq!(ada.get_collection(&made.slug).wait().unwrap().slug, renamed.slug);
    let listed: Vec<_> = bob
        .list_collections()
        .owner("ada")
        .wait()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!((listed.len(), listed[0].title.as_str()), (1, "Small models"));
    ada.delete_collection(&renamed.slug).wait().unwrap();
    assert!(ada.get_collection(&renamed.slug).wait().unwrap_err().is_not_found());
}
