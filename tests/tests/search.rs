//! Listings and their filters, against a Hub of our own.

use hub_http::{Error, HfApi};
use hub_tests::{ADA, BOB, Python, TestEnv};

#[test]
fn python_2_4_finds_what_is_here() {
    TestEnv::judge(Python::V2_4, "python/search.py");
}

#[test]
fn python_0_36_finds_what_is_here() {
    TestEnv::judge(Python::V0_36, "python/search.py");
}

fn card(api: &HfApi, repo: &str, kind: &str, front_matter: &str) {
    let text = format!("---\n{front_matter}\n---\n# Card\n").into_bytes();
    let upload = api.upload_file(repo, text, "README.md");
    upload.repo_type(kind).wait().unwrap();
}

#[test]
fn filters_narrow_each_other() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let ada = hub.api(ADA);
    for name in ["ada/bert", "ada/plain"] {
        ada.create_repo(name).wait().unwrap();
    }
    ada.create_repo("ada/words").repo_type("dataset").wait().unwrap();
    ada.create_repo("ada/app")
        .repo_type("space")
        .space_sdk("gradio")
        .wait()
        .unwrap();
    card(
        &ada,
        "ada/bert",
        "model",
        "license: mit\nlanguage: [en, de]\npipeline_tag: fill-mask\ndatasets: [ada/words]\nbase_model: ada/plain\n\
         co2_eq_emissions: 12.5",
    );
    card(&ada, "ada/words", "dataset", "language: en\nsize_categories: 100K<n<1M");
    card(
        &ada,
        "ada/app",
        "space",
        "sdk: gradio\nmodels: [ada/bert]\ndatasets: [ada/words]",
    );

    let models = |list: hub_http::api::search::ListModels| -> Vec<String> {
        list.wait().unwrap().map(|model| model.unwrap().id).collect()
    };
    let list = || ada.list_models();
    assert_eq!(
        models(list().filter("license:mit").pipeline_tag("fill-mask")),
        ["ada/bert"]
    );
    assert_eq!(models(list().trained_dataset("ada/words").search("BERT")), ["ada/bert"]);
    assert_eq!(
        models(list().card_data(true).emissions_thresholds((10.0, 13.0))),
        ["ada/bert"]
    );
    assert_eq!(models(list().sort("created_at")), ["ada/plain", "ada/bert"]);
    for nothing in [
        list().filter(["license:mit", "fr"]),
        list().inference("warm"),
        list().apps("ollama"),
        list().gated(true),
        list().author("bob"),
        list().num_parameters("min:1"),
    ] {
        assert!(models(nothing).is_empty());
    }

    let dataset = ada.list_datasets().language("en").size_categories("100K<n<1M");
    let found: Vec<_> = dataset.wait().unwrap().map(|dataset| dataset.unwrap().id).collect();
    assert_eq!(found, ["ada/words"]);
    let mut spaces = ada.list_spaces().models("ada/bert").linked(true).wait().unwrap();
    let app = spaces.next().unwrap().unwrap();
    assert_eq!(
        (&*app.id, app.datasets.as_deref()),
        ("ada/app", Some(&["ada/words".to_owned()][..]))
    );
    assert!(spaces.next().is_none());
    let tags = ada.get_model_tags().wait().unwrap();
    assert_eq!(tags["license"][0]["label"], "mit");
}

#[test]
fn only_the_wanted_properties_come() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let (ada, bob) = (hub.api(ADA), hub.api(BOB));
    for name in ["ada/bert", "ada/plain"] {
        ada.create_repo(name).wait().unwrap();
    }
    card(&ada, "ada/bert", "model", "license: mit\nbase_model: ada/plain");
    let _ = env.hub(["download", "ada/bert", "README.md"]).success();

    let wanted = ["downloads", "downloadsAllTime", "cardData", "baseModels"];
    let list = bob.list_models().search("bert").expand(wanted);
    let bert = list.wait().unwrap().next().unwrap().unwrap();
    assert_eq!((bert.downloads, bert.downloads_all_time), (Some(1), Some(1)));
    assert_eq!(bert.card_data.unwrap()["license"], "mit");
    assert_eq!(bert.base_models.unwrap()[0], "ada/plain");
    assert_eq!((bert.tags, bert.likes, bert.sha), (None, None, None));
    let plain = bob
        .model_info("ada/plain")
        .expand(["childrenModelCount"])
        .wait()
        .unwrap();
    assert_eq!(plain.children_model_count, Some(1));

    let err = bob
        .list_models()
        .expand(["nonsense"])
        .wait()
        .unwrap()
        .next()
        .unwrap()
        .unwrap_err();
    assert!(matches!(err, Error::BadRequest(_)), "{err}");
    assert!(
        err.server_message()
            .unwrap()
            .starts_with("\"expand\" must be one of [author, "),
        "{err}"
    );
    let err = bob
        .list_spaces()
        .sort("nonsense")
        .wait()
        .unwrap()
        .next()
        .unwrap()
        .unwrap_err();
    assert!(matches!(err, Error::BadRequest(_)), "{err}");
}

#[test]
fn pages_are_asked_for_as_they_are_read() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let ada = hub.api(ADA);
    for number in 0..5 {
        ada.create_repo(&*format!("ada/m{number}")).wait().unwrap();
    }
    let all: Vec<_> = ada
        .list_models()
        .sort("created_at")
        .wait()
        .unwrap()
        .map(|model| model.unwrap().id)
        .collect();
    assert_eq!(all, ["ada/m4", "ada/m3", "ada/m2", "ada/m1", "ada/m0"]);
    let three: Vec<_> = ada
        .list_models()
        .sort("created_at")
        .limit(3_u64)
        .wait()
        .unwrap()
        .map(|model| model.unwrap().id)
        .collect();
    assert_eq!(three, all[..3]);
}
