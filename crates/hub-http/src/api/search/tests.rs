use serde_json::json;
use wiremock::ResponseTemplate;

use super::super::testing::Hub;
use super::*;

#[tokio::test]
async fn every_filter_of_models_has_its_parameter() {
    let hub = Hub::with("GET", "/api/models", 200, json!([{"id": "a/b"}, {"id": "c/d"}])).await;
    let api = hub.api();
    let found = api
        .list_models()
        .filter(["bert", "license:mit"])
        .trained_dataset(["squad", "dataset:glue"])
        .author("acme")
        .apps("vllm")
        .gated(true)
        .inference("warm")
        .inference_provider(["groq", "together"])
        .pipeline_tag("fill-mask")
        .num_parameters("min:6B")
        .search("c++")
        .sort("last_modified")
        .limit(1)
        .full(true)
        .fetch_config(true)
        .card_data(true)
        .await
        .unwrap()
        .collect_all()
        .await
        .unwrap();
    assert_eq!((found.len(), found[0].id.as_str()), (1, "a/b"));
    api.list_models()
        .filter("")
        .trained_dataset("")
        .author("")
        .search("")
        .full(false)
        .gated(false)
        .await
        .unwrap()
        .next()
        .await;
    assert_eq!(
        hub.asked().await,
        [
            "GET /api/models?filter=bert&filter=license%3Amit&filter=dataset%3Asquad&filter=dataset%3Aglue\
             &author=acme&apps=vllm&gated=true&inference=warm&inference_provider=groq\
             &inference_provider=together&pipeline_tag=fill-mask&num_parameters=min%3A6B&search=c%2B%2B\
             &sort=lastModified&limit=1&full=true&config=true&cardData=true",
            "GET /api/models?gated=false",
        ]
    );
}

#[tokio::test]
async fn every_filter_of_datasets_and_spaces_has_its_parameter() {
    let hub = Hub::with("GET", "/api/datasets", 200, json!([])).await;
    hub.answer(
        "GET",
        "/api/spaces",
        ResponseTemplate::new(200).set_body_json(json!([])),
    )
    .await;
    let api = hub.api();
    let datasets = api
        .list_datasets()
        .filter("x")
        .language(["en", "language:fr"])
        .size_categories("100K<n<1M")
        .task_ids("paraphrase")
        .benchmark(true)
        .dataset_name("squad")
        .search("news")
        .sort("created_at")
        .expand(["mainSize"]);
    assert!(datasets.await.unwrap().next().await.is_none());
    let spaces = api
        .list_spaces()
        .filter("x")
        .author("")
        .datasets("a/d")
        .models(["a/m"])
        .linked(true)
        .sort("likes30d")
        .limit(2);
    assert!(spaces.await.unwrap().next().await.is_none());
    assert_eq!(
        hub.asked().await,
        [
            "GET /api/datasets?filter=x&filter=language%3Aen&filter=language%3Afr&\
             filter=size_categories%3A100K%3Cn%3C1M&filter=task_ids%3Aparaphrase&filter=benchmark%3Aofficial\
             &search=squad&search=news&sort=createdAt&expand=mainSize",
            "GET /api/spaces?filter=x&author=&sort=likes30d&limit=2&linked=true&datasets=a%2Fd&models=a%2Fm",
        ]
    );
}

#[tokio::test]
async fn arguments_that_exclude_each_other_send_nothing() {
    let hub = Hub::start().await;
    let api = hub.api();
    for err in [
        api.list_models().expand(["likes"]).full(true).await.unwrap_err(),
        api.list_models().expand(["likes"]).card_data(true).await.unwrap_err(),
        api.list_models()
            .expand(["likes"])
            .fetch_config(true)
            .await
            .unwrap_err(),
        api.list_models().emissions_thresholds((0.0, 1.0)).await.unwrap_err(),
        api.list_datasets().expand(["likes"]).full(true).await.unwrap_err(),
        api.list_spaces().expand(["likes"]).full(true).await.unwrap_err(),
    ] {
        assert!(matches!(err, Error::Invalid(_)), "{err}");
    }
    assert!(hub.asked().await.is_empty());
}

#[tokio::test]
async fn emissions_are_compared_here() {
    let models = json!([
        {"id": "a", "cardData": {"co2_eq_emissions": {"emissions": "5.5 g"}}},
        {"id": "b", "cardData": {"co2_eq_emissions": 50}},
        {"id": "c"},
        {"id": "d", "cardData": {"co2_eq_emissions": 6}},
    ]);
    let hub = Hub::with("GET", "/api/models", 200, models).await;
    let call = || {
        hub.api()
            .list_models()
            .card_data(true)
            .emissions_thresholds((None, Some(10.0)))
    };
    let ids = |models: Vec<ModelInfo>| models.into_iter().map(|model| model.id).collect::<Vec<_>>();
    assert_eq!(ids(call().await.unwrap().collect_all().await.unwrap()), ["a", "d"]);
    // The limit counts what is read.
    assert_eq!(ids(call().limit(3).await.unwrap().collect_all().await.unwrap()), ["a"]);
    #[cfg(feature = "blocking")]
    assert_eq!(
        ids(call().wait().unwrap().map(|model| model.unwrap()).collect()),
        ["a", "d"]
    );
}

#[tokio::test]
async fn spaces_are_found_by_words_and_tags_by_nobody() {
    let hub = Hub::start().await;
    let found = json!([{"id": "a/b", "semanticRelevancyScore": 0.9, "ai_category": "x"}]);
    hub.answer(
        "GET",
        "/api/spaces/semantic-search",
        ResponseTemplate::new(200).set_body_json(found),
    )
    .await;
    let tags = ResponseTemplate::new(200).set_body_json(json!({"license": []}));
    hub.answer("GET", "/api/models-tags-by-type", tags.clone()).await;
    hub.answer("GET", "/api/datasets-tags-by-type", tags).await;
    let api = hub.api();
    let found = api
        .search_spaces("remove background")
        .sdk(["gradio"])
        .include_non_running(true)
        .await
        .unwrap();
    assert_eq!(found[0].semantic_relevancy_score, Some(0.9));
    assert!(api.get_model_tags().await.unwrap().contains_key("license"));
    assert!(api.get_dataset_tags().await.unwrap().contains_key("license"));
    assert_eq!(
        hub.asked().await[0],
        "GET /api/spaces/semantic-search?q=remove+background&sdk=gradio&includeNonRunning=true"
    );
    assert_eq!(hub.authorized().await, [true, false, false]);
}
