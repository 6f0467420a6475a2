//! Collections, against a Hub of our own.

use hub_http::{Error, HfApi};
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

#[test]
fn others_see_what_they_may_see_of_a_collection() {
    let mut env = TestEnv::new();
    let hub = env.start_hub_with(|hub| hub.organization("acme", ["ada"]));
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    for name in ["ada/open", "ada/hidden", "ada/gone", "ada/old"] {
        ada.create_repo(name).wait().unwrap();
    }
    ada.create_repo("ada/data").repo_type("dataset").wait().unwrap();
    let made = ada
        .create_collection("Ours")
        .namespace("acme")
        .private(true)
        .wait()
        .unwrap();
    assert!(made.slug.starts_with("acme/ours-"), "{}", made.slug);
    assert_eq!(made.owner.as_ref().unwrap().name, "acme");
    for (id, kind) in [
        ("ada/open", "model"),
        ("ada/hidden", "model"),
        ("ada/gone", "model"),
        ("ada/old", "model"),
        ("ada/data", "dataset"),
    ] {
        ada.add_collection_item(&made.slug, id, kind).wait().unwrap();
    }
    let err = bob.get_collection(&made.slug).wait().unwrap_err();
    assert!(err.is_not_found(), "{err}");
    ada.update_collection_metadata(&made.slug)
        .private(false)
        .wait()
        .unwrap();

    // Items follow their repositories: hidden, deleted, moved.
    ada.update_repo_settings("ada/hidden").private(true).wait().unwrap();
    ada.delete_repo("ada/gone").wait().unwrap();
    ada.move_repo("ada/old", "ada/new").wait().unwrap();
    let items = |api: &HfApi| -> Vec<(String, i64)> {
        let shown = api.get_collection(&made.slug).wait().unwrap();
        let items = shown.items.iter();
        items.map(|item| (item.item_id().to_owned(), item.position)).collect()
    };
    let named = |names: &[&str]| -> Vec<(String, i64)> { names.iter().map(|&name| name.to_owned()).zip(0..).collect() };
    assert_eq!(items(&ada), named(&["ada/open", "ada/hidden", "ada/new", "ada/data"]));
    assert_eq!(items(&bob), named(&["ada/open", "ada/new", "ada/data"]));
    let err = bob
        .update_collection_metadata(&made.slug)
        .title("Mine")
        .wait()
        .unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    let err = bob.create_collection("x").namespace("acme").wait().unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");

    // A collection of collections; and what cannot be in one.
    let outer = bob.create_collection("Collections").wait().unwrap();
    let outer = bob
        .add_collection_item(&outer.slug, &made.slug, "collection")
        .note("theirs")
        .wait()
        .unwrap();
    assert_eq!(outer.items[0].item_id(), made.slug);
    assert_eq!(outer.items[0].note.as_ref().unwrap().text, "theirs");
    let err = bob
        .add_collection_item(&outer.slug, "ada/hidden", "model")
        .wait()
        .unwrap_err();
    assert!(err.is_not_found(), "{err}");
    let err = bob
        .add_collection_item(&outer.slug, "ada/open", "planet")
        .wait()
        .unwrap_err();
    assert!(matches!(err, Error::Invalid(_)), "{err}");
    let note = "x".repeat(501);
    let err = bob
        .update_collection_item(&outer.slug, &outer.items[0].item_object_id)
        .note(note)
        .wait()
        .unwrap_err();
    assert!(matches!(err, Error::Invalid(_)), "{err}");
    let err = bob
        .update_collection_resource_group(&outer.slug)
        .resource_group_id("0123")
        .wait()
        .unwrap_err();
    assert!(err.is_not_found(), "{err}");
    bob.update_collection_resource_group(&outer.slug).wait().unwrap();
}

#[test]
fn lists_of_collections_are_filtered_and_paged() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    ada.create_repo("ada/one").wait().unwrap();
    for number in 0..105 {
        let made = ada.create_collection(format!("Number {number}")).wait().unwrap();
        if number % 50 == 0 {
            ada.add_collection_item(&made.slug, "ada/one", "model").wait().unwrap();
        }
    }
    bob.create_collection("Of Bob").wait().unwrap();
    let titles = |listed: hub_http::api::collections::ListCollections| -> Vec<String> {
        let listed = listed.wait().unwrap();
        listed.map(|collection| collection.unwrap().title).collect()
    };
    assert_eq!(titles(ada.list_collections()).len(), 106);
    assert_eq!(titles(ada.list_collections().owner("bob")), ["Of Bob"]);
    assert_eq!(titles(ada.list_collections().owner(["ada", "bob"])).len(), 106);
    let holding = titles(ada.list_collections().item("models/ada/one").sort("lastModified"));
    assert_eq!(holding, ["Number 100", "Number 50", "Number 0"]);
    assert_eq!(titles(ada.list_collections().item("datasets/ada/one")), [""; 0]);
    assert_eq!(titles(ada.list_collections().limit(2)).len(), 2);
}
