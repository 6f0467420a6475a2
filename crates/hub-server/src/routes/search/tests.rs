//! Listings, as requests and replies.

use super::*;
use crate::testing::{ADA, BOB, Hub, send};

#[test]
fn a_listing_filters_sorts_and_pages() {
    let hub = Hub::start();
    for name in ["alpha", "beta", "gamma"] {
        hub.create(name);
    }
    hub.post(
        ADA,
        "/api/repos/create",
        r#"{"name":"hidden","organization":"acme","private":true}"#,
    )
    .expect(200);
    let ids = |token: &str, query: &str| -> Vec<String> {
        let reply = hub.get(token, &format!("/api/models{query}")).expect(200).json();
        let items = reply.as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("", "?sort=createdAt"), ["ada/gamma", "ada/beta", "ada/alpha"]);
    assert_eq!(ids(ADA, "?author=acme"), ["acme/hidden"]);
    assert!(ids(BOB, "?author=acme").is_empty());
    assert_eq!(ids("", "?search=ALPH"), ["ada/alpha"]);
    assert_eq!(ids("", "?filter=region:us&search=beta"), ["ada/beta"]);
    assert!(ids("", "?filter=license:mit").is_empty());
    assert!(ids("", "?gated=true").is_empty());
    hub.get("", "/api/models?sort=nonsense").expect(400);
    hub.get("", "/api/models?limit=x").expect(400);

    let first = hub.get("", "/api/models?limit=2&sort=createdAt").expect(200);
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    let link = first.header("link");
    let next = link
        .strip_prefix('<')
        .and_then(|link| link.split_once(">; rel=\"next\""))
        .unwrap()
        .0;
    let second = send(next, "GET", "", "", &[], b"").expect(200);
    assert_eq!(second.json()[0]["id"], "ada/alpha");
    assert_eq!(second.header("link"), "");

    let item = hub.get("", "/api/models?search=alpha&full=true").expect(200).json();
    assert_eq!(item[0]["siblings"][0]["rfilename"], ".gitattributes");
    let item = hub.get("", "/api/models?search=alpha&expand=sha").expect(200).json();
    assert_eq!(item[0].as_object().unwrap().len(), 3);
    assert_eq!(hub.get("", "/api/datasets").expect(200).json(), json!([]));
    assert_eq!(hub.get("", "/api/spaces").expect(200).json(), json!([]));
}

fn make(hub: &Hub, body: Value) {
    hub.post(ADA, "/api/repos/create", &body.to_string()).expect(200);
}

/// Commits a card to the repository with this address in the API.
fn card(hub: &Hub, repo: &str, front_matter: &str, more: &[String]) {
    let readme = crate::testing::file("README.md", &format!("---\n{front_matter}\n---\n# Card\n"));
    let mut body = r#"{"key":"header","value":{"summary":"A card","description":""}}"#.to_owned();
    for line in [&[readme], more].concat() {
        body.push('\n');
        body.push_str(&line);
    }
    hub.post(ADA, &format!("/api/{repo}/commit/main"), &body).expect(200);
}

fn ids(hub: &Hub, path: &str) -> Vec<String> {
    let reply = hub.get(ADA, path).expect(200).json();
    let items = reply.as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_filter_of_a_card_narrows() {
    let hub = Hub::with_demo();
    hub.create("plain");
    let config = crate::testing::file(
        "config.json",
        r#"{"architectures":["BertForMaskedLM"],"model_type":"bert"}"#,
    );
    let tokenizer = crate::testing::file("tokenizer_config.json", r#"{"mask_token":{"content":"[MASK]"}}"#);
    card(
        &hub,
        "models/ada/demo",
        "license: mit\nlanguage: [en, de]\nlibrary_name: transformers\npipeline_tag: fill-mask\ndatasets: [ada/words]\n\
         base_model: ada/plain\ntags: [tiny, 'arxiv:1810.04805']",
        &[config, tokenizer],
    );
    for filter in [
        "license:mit",
        "en",
        "language:de",
        "transformers",
        "library:transformers",
        "fill-mask",
        "pipeline_tag:fill-mask",
        "dataset:ada/words",
        "base_model:ada/plain",
        "other:tiny",
        "TINY",
        "arxiv:1810.04805",
        "en&filter=license:mit",
        "en,tiny",
    ] {
        assert_eq!(
            ids(&hub, &format!("/api/models?filter={filter}")),
            ["ada/demo"],
            "{filter}"
        );
    }
    for filter in [
        "fr",
        "license:apache-2.0",
        "en&filter=fr",
        "dataset:words",
        "license:en",
    ] {
        assert!(
            ids(&hub, &format!("/api/models?filter={filter}")).is_empty(),
            "{filter}"
        );
    }
    assert_eq!(ids(&hub, "/api/models?pipeline_tag=fill-mask"), ["ada/demo"]);
    for query in [
        "inference=warm",
        "inference_provider=all",
        "apps=ollama",
        "num_parameters=min:1",
    ] {
        assert!(ids(&hub, &format!("/api/models?{query}")).is_empty(), "{query}");
    }
    let info = hub.get("", "/api/models/ada/demo").expect(200).json();
    assert_eq!(info["mask_token"], "[MASK]");
    assert_eq!(
        info["transformersInfo"],
        json!({"auto_model": "AutoModelForMaskedLM", "pipeline_tag": "fill-mask"})
    );
    let expand = "expand=baseModels&expand=childrenModelCount&expand=xetEnabled&expand=gguf";
    let rows = hub.get("", &format!("/api/models?{expand}&sort=id")).expect(200).json();
    assert_eq!(rows[0]["id"], "ada/plain");
    assert_eq!(rows[0]["childrenModelCount"], 1);
    assert_eq!(rows[1]["baseModels"], json!(["ada/plain"]));
    assert_eq!((&rows[1]["xetEnabled"], rows[1].get("gguf")), (&json!(false), None));
    let usual = hub.get("", "/api/models?search=demo").expect(200).json();
    for key in [
        "baseModels",
        "mask_token",
        "transformersInfo",
        "gitalyUid",
        "downloadsAllTime",
    ] {
        assert!(usual[0].get(key).is_none(), "{key} was not asked for");
    }
}

#[test]
fn datasets_and_spaces_are_filtered_by_their_own_words() {
    let hub = Hub::with_demo();
    make(&hub, json!({"name": "words", "type": "dataset"}));
    make(&hub, json!({"name": "app", "type": "space", "sdk": "gradio"}));
    make(&hub, json!({"name": "page", "type": "space", "sdk": "static"}));
    card(
        &hub,
        "datasets/ada/words",
        "language: en\nsize_categories: ['100K<n<1M']\ntask_categories: [text-classification]\nmultilinguality: monolingual",
        &[],
    );
    card(
        &hub,
        "spaces/ada/app",
        "sdk: gradio\nmodels: [ada/demo]\ndatasets: [ada/words]",
        &[],
    );
    for filter in [
        "language:en",
        "en",
        "size_categories:100K%3Cn%3C1M",
        "task_categories:text-classification",
        "multilinguality:monolingual",
    ] {
        assert_eq!(
            ids(&hub, &format!("/api/datasets?filter={filter}")),
            ["ada/words"],
            "{filter}"
        );
    }
    let size = hub.get("", "/api/datasets?expand=mainSize").expect(200).json()[0]["mainSize"].as_u64();
    assert!(size > Some(1000), "{size:?}");

    for query in [
        "models=ada/demo",
        "datasets=ada/words",
        "linked=true",
        "filter=gradio",
        "models=ADA/DEMO",
    ] {
        assert_eq!(ids(&hub, &format!("/api/spaces?{query}")), ["ada/app"], "{query}");
    }
    assert!(ids(&hub, "/api/spaces?models=ada/other").is_empty());
    let linked = hub.get("", "/api/spaces?linked=true").expect(200).json();
    assert_eq!(
        (&linked[0]["models"], &linked[0]["datasets"]),
        (&json!(["ada/demo"]), &json!(["ada/words"]))
    );
    assert!(
        hub.get("", "/api/spaces?search=app").expect(200).json()[0]
            .get("models")
            .is_none()
    );
    hub.get("", "/api/spaces?sort=downloads").expect(400);
    hub.get("", "/api/datasets?sort=num_parameters").expect(400);
    assert_eq!(
        hub.get("", "/api/models/ada/demo").expect(200).json()["spaces"],
        json!(["ada/app"])
    );
    hub.put(ADA, "/api/spaces/ada/app/settings", r#"{"private":true}"#)
        .expect(200);
    let spaces = |token: &str| hub.get(token, "/api/models/ada/demo").expect(200).json()["spaces"].clone();
    assert_eq!((spaces(""), spaces(ADA)), (json!([]), json!(["ada/app"])));
}

#[test]
fn downloads_are_counted_once_a_file() {
    let hub = Hub::with_demo();
    hub.create("other");
    let sha256 = hub.upload_large(b"0123456789");
    hub.commit(&[
        crate::testing::file("a.txt", "0123456789"),
        crate::testing::large("b.bin", &sha256, 10),
    ])
    .expect(200);
    for path in ["a.txt", "b.bin"] {
        let there = hub
            .head("", &format!("/ada/demo/resolve/main/{path}"))
            .header("location")
            .to_owned();
        let (url, path) = match there.strip_prefix(hub.server.blob_url()) {
            Some(path) => (hub.server.blob_url(), path),
            None => (hub.server.url(), &*there),
        };
        let ask = |method: &str, range: &str| send(url, method, "", path, &[("range", range)], b"");
        ask("GET", "bytes=0-4").expect(206);
        ask("GET", "bytes=5-").expect(206);
        ask("HEAD", "bytes=0-").expect(206);
        ask("GET", "bytes=10-").expect(416);
    }
    let info = hub
        .get("", "/api/models/ada/demo?expand=downloads&expand=downloadsAllTime")
        .json();
    assert_eq!((&info["downloads"], &info["downloadsAllTime"]), (&json!(2), &json!(2)));
    assert_eq!(ids(&hub, "/api/models?sort=createdAt"), ["ada/other", "ada/demo"]);
    assert_eq!(ids(&hub, "/api/models?sort=downloads"), ["ada/demo", "ada/other"]);
    // Of a month ago, they count for all time only.
    let db = rusqlite::Connection::open(hub.root.path().join("hub.db")).unwrap();
    db.execute("UPDATE downloads SET day = date('now', '-31 days')", [])
        .unwrap();
    let info = hub
        .get("", "/api/models/ada/demo?expand=downloads&expand=downloadsAllTime")
        .json();
    assert_eq!((&info["downloads"], &info["downloadsAllTime"]), (&json!(0), &json!(2)));
}

#[test]
fn likes_of_a_week_trend() {
    let hub = Hub::with_demo();
    hub.create("other");
    for (token, name) in [(ADA, "demo"), (BOB, "demo"), (ADA, "other")] {
        hub.post(token, &format!("/api/models/ada/{name}/like"), "").expect(200);
    }
    assert_eq!(ids(&hub, "/api/models?sort=trendingScore"), ["ada/demo", "ada/other"]);
    let db = rusqlite::Connection::open(hub.root.path().join("hub.db")).unwrap();
    db.execute(
        "UPDATE likes SET created = '2022-03-02T23:29:04.000Z' WHERE repo = 1",
        [],
    )
    .unwrap();
    assert_eq!(ids(&hub, "/api/models"), ["ada/other", "ada/demo"]);
    assert_eq!(ids(&hub, "/api/models?sort=likes30d"), ["ada/other", "ada/demo"]);
    assert_eq!(ids(&hub, "/api/models?sort=likes"), ["ada/demo", "ada/other"]);
    let info = hub.get("", "/api/models/ada/demo").json();
    assert_eq!((&info["likes"], &info["trendingScore"]), (&json!(2), &json!(0)));
}

#[test]
fn a_page_goes_on_where_the_last_one_ended() {
    let hub = Hub::start();
    for number in 0..5 {
        hub.create(&format!("m{number}"));
    }
    let next = |link: &str| {
        let link = link.strip_prefix('<').unwrap().split_once('>').unwrap().0;
        link.strip_prefix(hub.server.url()).unwrap().to_owned()
    };
    let names = |reply: &crate::testing::Reply| -> Vec<String> {
        let reply = reply.json();
        reply
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap()[4..].to_owned())
            .collect()
    };
    let first = hub.get("", "/api/models?limit=2&sort=createdAt").expect(200);
    assert_eq!(names(&first), ["m4", "m3"]);
    // A new one comes before all: nothing is told twice.
    hub.create("m5");
    let second = hub.get("", &next(first.header("link"))).expect(200);
    assert_eq!(names(&second), ["m2", "m1"]);
    // The one that a page ended with is gone: its place counts.
    hub.send(
        "DELETE",
        ADA,
        "/api/repos/delete",
        &[("content-type", "application/json")],
        br#"{"name":"m1"}"#,
    )
    .expect(200);
    let third = hub.get("", &next(second.header("link"))).expect(200);
    assert_eq!((names(&third), third.header("link")), (vec!["m0".to_owned()], ""));
    hub.get("", "/api/models?cursor=nonsense").expect(400);
}

#[test]
fn the_vocabulary_is_what_public_repositories_are_tagged_with() {
    let hub = Hub::with_demo();
    card(
        &hub,
        "models/ada/demo",
        "license: mit\nlanguage: en\nlibrary_name: keras\npipeline_tag: fill-mask\ntags: [tiny]",
        &[],
    );
    make(&hub, json!({"name": "hidden", "private": true}));
    card(&hub, "models/ada/hidden", "license: openrail", &[]);
    let tags = hub.get("", "/api/models-tags-by-type").expect(200).json();
    assert_eq!(
        tags["license"],
        json!([{"type": "license", "id": "license:mit", "label": "mit"}])
    );
    for (kind, id) in [
        ("language", "en"),
        ("library", "keras"),
        ("pipeline_tag", "fill-mask"),
        ("other", "tiny"),
        ("region", "region:us"),
    ] {
        let ids: Vec<_> = tags[kind].as_array().unwrap().iter().map(|tag| &tag["id"]).collect();
        assert_eq!(ids, [id], "{kind}");
    }
    assert_eq!(tags["dataset"], json!([]));
    let tags = hub.get("", "/api/datasets-tags-by-type").expect(200).json();
    assert_eq!(tags["task_categories"], json!([]));
}

#[test]
fn parameters_of_all_parts_are_counted() {
    let hub = Hub::with_demo();
    let part = |name: &str, count: u64| -> Vec<u8> {
        let end = count * 4;
        let header = json!({name: {"dtype": "F32", "shape": [count], "data_offsets": [0, end]}}).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + end as usize, 0);
        bytes
    };
    let parts = [part("a", 1000), part("b", 500)];
    let mut lines = Vec::new();
    for (number, bytes) in parts.iter().enumerate() {
        let sha256 = hub.upload_large(bytes);
        let name = format!("model-0000{}-of-00002.safetensors", number + 1);
        lines.push(crate::testing::large(&name, &sha256, bytes.len()));
    }
    let index = json!({"weight_map": {
        "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"
    }});
    lines.push(crate::testing::file("model.safetensors.index.json", &index.to_string()));
    hub.commit(&lines).expect(200);
    let info = hub.get("", "/api/models/ada/demo").expect(200).json();
    assert_eq!(
        info["safetensors"],
        json!({"parameters": {"F32": 1500}, "total": 1500, "sharded": true})
    );
    assert_eq!(ids(&hub, "/api/models?num_parameters=min:1K,max:2K"), ["ada/demo"]);
    assert!(ids(&hub, "/api/models?num_parameters=min:2K").is_empty());
}

#[test]
fn spaces_are_found_by_the_words_of_their_cards() {
    let hub = Hub::start();
    for (name, sdk) in [("painter", "gradio"), ("writer", "static"), ("empty-painter", "gradio")] {
        make(&hub, json!({"name": name, "type": "space", "sdk": sdk}));
    }
    let app = crate::testing::file("app.py", "print()");
    let page = crate::testing::file("index.html", "<p>");
    let about = "sdk: gradio\nshort_description: Paints Pictures of cats\nemoji: E\ntags: [art]";
    card(&hub, "spaces/ada/painter", about, &[app]);
    card(&hub, "spaces/ada/writer", "sdk: static\ntitle: Cats in words", &[page]);

    let found = |query: &str| ids(&hub, &format!("/api/spaces/semantic-search?{query}"));
    // A name counts more than a description.
    assert_eq!(found("q=CATS"), ["ada/writer", "ada/painter"]);
    assert_eq!(found("q=painter+pictures"), ["ada/painter"]);
    assert_eq!(
        found("q=painter+pictures&includeNonRunning=true"),
        ["ada/painter", "ada/empty-painter"]
    );
    assert_eq!(found("q=cats&sdk=static&sdk=docker"), ["ada/writer"]);
    assert_eq!(found("q=cats&filter=art"), ["ada/painter"]);
    assert!(found("q=dogs").is_empty());
    hub.get("", "/api/spaces/semantic-search").expect(400);
    let row = &hub.get("", "/api/spaces/semantic-search?q=pictures").expect(200).json()[0];
    assert_eq!(
        (
            &row["title"],
            &row["emoji"],
            &row["semanticRelevancyScore"],
            &row["sdk"]
        ),
        (&json!("painter"), &json!("E"), &json!(0.5), &json!("gradio"))
    );
    assert_eq!(row["shortDescription"], "Paints Pictures of cats");
}
