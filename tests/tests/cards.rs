//! Cards: ours and the official client's reading of the same READMEs, and changes of them on a Hub of our own.

use hub_http::Error;
use hub_tests::{ADA, Python, TestEnv};
use hub_types::RepoType;
use hub_types::cards::{
    Card, CardMap, CardValue, EvalResult, ModelIndex, eval_result_entries_to_yaml, from_yaml, metadata_eval_result,
    parse_eval_result_entries,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const MODEL_INDEX: &str = "model-index:
- name: Demo
  results:
  - task:
      type: automatic-speech-recognition
      name: Speech Recognition
    dataset:
      type: common_voice
      name: Common Voice (French)
      config: fr
      split: test
      revision: 5503434
      args: {language: fr, max: 4}
    metrics:
    - type: wer
      value: 0.20
      name: Test WER
      args:
        max_order: 4
    - {type: cer, value: 12, verified: true, verifyToken: abc}
    source:
      url: https://example.org/board
      name: Board
  - task:
      type: translation
    dataset:
      type: wmt
      name: WMT
    metrics:
    - type: bleu
      value: 20.0 ± 1.2
";

/// READMEs as people and tools write them, and worse.
fn readmes() -> Vec<String> {
    let mut readmes: Vec<String> = [
        "---\nlicense: mit\ntags: [a, a, b]\nfoo: null\n---\n# Hi",
        "\n\n---\nlicense: mit\n---\nT",
        "# only",
        "",
        "---\n---\nT",
        "---\n\n---\nT",
        "---\r\n---\r\nT",
        "---\n# nothing but\n\n# comments\n---\nT",
        "---\r\nlicense: mit\r\ntags:\r\n- a\r\n---\r\nT\r\n",
        "---\nlicense: mit\n---",
        "---\nlicense: mit\n...\nT",
        "---\nlanguage: no\nv: 1.10\nt: 12:30:45\no: 010\nn: ~\n---\nT",
        "---\nm: |\n  l1\n  l2\n---\nT",
        "---\nm: |\n  l1\n\n   l2\nf: >\n  folded\n  text\n\n  more\nk: |+\n  kept\n\ns: >-\n  stripped\n\n---\nT",
        "---\n- a\n---\nT",
        "---\njust text\n---\nT",
        "\u{feff}---\nlicense: mit\nlanguage:\n- en\n- 'no'\n---\n\u{feff}T",
        "---\nlicense: apache-2.0 # permissive\nlanguage:\n  - en\n  # not yet: - de\n  - fr   # soon\n\n\n# the rest\nlibrary_name:   \"timm\"\n---\n\n# T\n\n---\n\nno: metadata\n\n---\n",
        "---\ntitle: 'It''s a Space 🚀'\nemoji: 🐢\ncolorFrom: \"\\x62lue\\u00e9\\n\"\nsdk: gradio\nsdk_version: 4.10\napp_port: 7860\npinned: off\nhf_oauth_scopes: [ read-repos , write-repos ]\n---\n",
        "---\nbase: &base\n  a: 1\n  b: [x, y]\nmerged:\n  <<: *base\n  b: z\nagain: *base\nlist:\n- *base\n- <<: [*base, {c: 2, a: 9}]\n  d: 3\n---\n",
        "---\nlicense: mit\nlicense: gpl\nnested: {a: 1, a: 2, b: 3}\n---\nT",
        "---\n{license: mit, tags: [a, {b: c}], 'k e y': \"v\"}\n---\nT",
        "---\nd: 2024-01-02\nq: '2024-01-02'\nt: 2001-12-14T21:59:43\nv: 1e3\nw: 1.5e+3\nx: 0x1F\nb: 0b11\nu: 1_000\nh: 1:30\ni: .inf\nj: -.INF\nk: .nan\nl: 0o17\nm: 08\nn: +12\no: 1.\np: .5\nr: -0.0\ns: 1__0\n---\n",
        "---\nnested:\n  on: 1\n  2: two\n  1.5: x\n  ~: none\n  2024-01-02: day\nyes_: y\ny: n\n---\n",
        "---\na: !!str 010\nb: !!float 3\nc: !!int '7'\nd: ! no\ne: !!null ''\nf: !!bool 'yes'\n---\n",
        "---\nlong: this is a text that goes on\n  in the next line\n\n  and behind an empty one\nquoted: \"and this\n  too, \\\n  joined\"\nsingle: 'a\n\n  b'\n---\nT",
        "---\na: 'x\ty'\nb: \"\t\"\nc: |\n  \tx\n   \ty\n---\nT",
        "---\na: [1\nb: 2\n---\nT",
        "---\na: b: c\n---\nT",
        "---\na: =\n---\nT",
        "---\na: @x\n---\nT",
        "---\na: *missing\n---\nT",
        "---\na: 1\n b: 2\n---\nT",
        "---\n? complex\n: value\n? |\n  block key\n: - 1\n---\nT",
        "---\nextra_gated_fields:\n  Company: text\n  Country: country\n  I agree:\n    type: select\n    options:\n    - label: Yes\n      value: 'yes'\n    - Other\nextra_gated_prompt: >-\n  You agree: really.\n---\n",
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: \"data/*.parquet\"\n  - split: test\n    path:\n    - a.csv\n    -  b.csv\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  splits:\n  - name: train\n    num_bytes: 12345678901234567890\n---\n",
        "---\na: x#y\nb: x #y\nc: '#z'\nurl: https://example.org/a?b=c#d\ntime: 10:20 am\nwin: C:\\dir\npercent: 100%\ndash: -x\nq: ?x\ncolon: a:b\n---\n",
        "---  \na: 1\n---\nT",
        "--- # c\na: 1\n---\nT",
        "---\na: 1\n----\n---\t \nT",
        "---\ra: 1\rb:\r- x\r---",
    ]
    .map(str::to_owned)
    .into();
    readmes.push(format!("---\n{MODEL_INDEX}---\n# T\n"));
    readmes.push(format!(
        "---\nlicense: mit\n{MODEL_INDEX}tags:\n- x\n---\n{}",
        "A line of text.\n---\n".repeat(2500)
    ));
    readmes.push(format!(
        "---\nkeys:\n{}---\n",
        (0..500).map(|i| format!("- k{i}: {i}\n")).collect::<String>()
    ));
    readmes
}

/// The official client's answers.
fn ask(env: &TestEnv, question: &str, about: &[Value]) -> Vec<Result<Value, String>> {
    let request = json!({ "ask": question, "about": about }).to_string();
    let output = env
        .python(Python::V2_4, "python/cards.py", [""; 0])
        .stdin(request)
        .success();
    let answers: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(answers.len(), about.len());
    let answers = answers.into_iter().map(|mut answer| match answer["err"].as_str() {
        Some(err) => Err(err.to_owned()),
        None => Ok(answer["ok"].take()),
    });
    answers.collect()
}

/// As the script tells values.
fn typed(value: &CardValue) -> Value {
    match value {
        CardValue::Null => Value::Null,
        CardValue::Bool(value) => (*value).into(),
        CardValue::Integer(number) => json!({ "int": number.to_string() }),
        CardValue::Float(number) if number.is_nan() => json!({ "float": "nan" }),
        CardValue::Float(number) => json!({ "float": format!("{:016x}", number.to_bits()) }),
        CardValue::String(text) => text.as_str().into(),
        CardValue::Timestamp(text) => json!({ "time": text }),
        CardValue::List(items) => items.iter().map(typed).collect(),
        CardValue::Map(map) => {
            let entries: Vec<Value> = map
                .iter()
                .map(|(key, value)| json!([typed(key), typed(value)]))
                .collect();
            json!({ "map": entries })
        }
        other => panic!("{other:?} is new"),
    }
}

fn typed_data(card: &Card) -> Value {
    typed(&CardValue::Map(card.data().clone()))
}

#[test]
fn readmes_say_to_us_what_they_say_to_python() {
    let env = TestEnv::new();
    let readmes = readmes();
    let about: Vec<Value> = readmes.iter().map(|readme| readme.as_str().into()).collect();
    let mut read = 0;
    for (readme, answer) in readmes.iter().zip(ask(&env, "read", &about)) {
        let shown = readme.chars().take(300).collect::<String>();
        match (Card::parse(readme.as_str()), answer) {
            (Ok(card), Ok(answer)) => {
                assert_eq!(typed_data(&card), answer["data"], "{shown}");
                if let Some(text) = answer["text"].as_str() {
                    assert_eq!(card.text(), text, "{shown}");
                }
                read += 1;
            }
            (Err(_), Err(_)) => {}
            (Ok(card), Err(err)) => panic!("Python refuses what we read as {:?}: {err}\n{shown}", card.data()),
            (Err(err), Ok(answer)) => panic!("{err}, which Python reads as {answer}\n{shown}"),
        }
    }
    assert!(read >= 30, "only {read} can be read");
    // Tabs between keys and values are read here, as by the Hub; the official client alone refuses them.
    for tab in ["---\na:\t1\n---\n", "---\n\ta: 1\n---\n"] {
        assert!(ask(&env, "read", &[tab.into()])[0].is_err());
        assert_eq!(Card::parse(tab).unwrap().get("a"), Some(&1.into()));
    }
}

fn text() -> impl Strategy<Value = String> {
    let words = vec![
        "no",
        "on",
        "Yes",
        "y",
        "1e3",
        "0o17",
        "1_000",
        "1:30",
        "12:30:45",
        "2020-01-01",
        "~",
        "",
        "=",
        "<<",
        "- a",
        "-",
        "--",
        "a: b",
        "a #b",
        "#",
        "é",
        "😀",
        "a\nb",
        "a\n\n b\n",
        "'",
        "\"",
        "\t",
        " a",
        "a ",
        "{",
        "[a]",
        "@x",
        "%",
        "---",
        "...",
        "\u{85}",
        "\u{2028}",
        "\r\n",
        "a,b",
        "key:",
        "null",
        ".5",
        "1.",
        "0x1F",
        "!!str",
        "&a",
        "*a",
        "| x",
        "> x",
        "\u{feff}",
        "\0",
        "\n",
        "a\n---\nb",
        "a\n\tb",
        "1 2",
        "?",
        "? a",
        ":",
        "a\n \nb",
        "\u{7f}",
        "\u{1f680} a\n",
        "+1",
        "2001-12-14t21:59:43.10-05:00",
        "a\u{2029}b",
        "\\n",
        "a\\",
        "1.5e3",
        "-.5",
        "{{ x }}",
        "`a`",
        "a\n#b\n",
        "# a\nb",
    ];
    prop_oneof![
        3 => prop::sample::select(words).prop_map(str::to_owned),
        2 => "[ -~é\n]{0,12}",
        1 => "\\PC{0,8}",
        1 => any::<String>(),
        1 => "[a-z ]{60,200}",
    ]
}

fn value() -> impl Strategy<Value = CardValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(CardValue::from),
        any::<i64>().prop_map(CardValue::from),
        any::<f64>().prop_map(CardValue::from),
        text().prop_map(CardValue::from),
        text().prop_map(CardValue::from),
        Just(CardValue::Timestamp("2024-01-02".to_owned())),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(CardValue::List),
            prop::collection::vec((text(), inner), 0..4)
                .prop_map(|entries| CardValue::Map(entries.into_iter().collect())),
        ]
    })
}

/// What random changes of the READMEs make is read by both as what was meant.
#[test]
fn what_we_write_says_to_python_what_was_meant() {
    let env = TestEnv::new();
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let cards: Vec<Card> = readmes()
        .into_iter()
        .filter(|readme| readme.len() < 5000)
        .flat_map(Card::parse)
        .collect();
    let mut written = Vec::new();
    for round in 0..1000 {
        let mut card = cards[round % cards.len()].clone();
        let key = match card.data().len() {
            0 => text().new_tree(&mut runner).unwrap().current(),
            keys if round % 3 > 0 => {
                let (key, _) = card.data().iter().nth(round / 3 % keys).unwrap();
                key.as_str().unwrap_or("added").to_owned()
            }
            _ => text().new_tree(&mut runner).unwrap().current(),
        };
        let value = value().new_tree(&mut runner).unwrap().current();
        let before = card.text().to_owned();
        match round % 7 {
            0 => card.append(&key, value).unwrap(),
            1 => drop(card.remove(&key).unwrap()),
            _ => card.set(&key, value).unwrap(),
        }
        assert_eq!(card.text(), before);
        written.push(card);
    }
    let about: Vec<Value> = written.iter().map(|card| card.content().into()).collect();
    for (card, answer) in written.iter().zip(ask(&env, "read", &about)) {
        let answer = answer.unwrap_or_else(|err| panic!("{err}\n{card}\n{:?}", card.content()));
        assert_eq!(typed_data(card), answer["data"], "{card}\n{:?}", card.content());
    }
}

#[test]
fn results_are_grouped_as_python_groups_them() {
    let env = TestEnv::new();
    let grouped = format!(
        "{}  - task: {{type: translation}}\n    dataset: {{type: wmt, name: Other}}\n    metrics: [{{type: ter, value: [1, 2]}}]\n- name: Second\n  results:\n  - task: {{type: translation, name: x}}\n    dataset: {{type: wmt, name: y}}\n    metrics: [{{type: z, value: ~}}]\n",
        MODEL_INDEX
    );
    let missing = MODEL_INDEX.replace("      type: wmt\n", "");
    let nameless = MODEL_INDEX.replace("      url: https://example.org/board\n", "");
    let cases: Vec<String> = [MODEL_INDEX, &grouped, &missing, &nameless, "model-index: []\n"]
        .map(|case| serde_json::to_string(from_yaml(case).unwrap().get("model-index").unwrap()).unwrap())
        .into();
    let about: Vec<Value> = cases.iter().map(|case| case.as_str().into()).collect();
    let ours = cases.iter().map(|case| {
        let index = ModelIndex::from_value(&from_yaml(case).unwrap())?;
        index.to_value()
    });
    let mut refused = 0;
    for ((case, ours), answer) in cases.iter().zip(ours).zip(ask(&env, "regroup", &about)) {
        match (ours, answer) {
            (Ok(ours), Ok(answer)) => assert_eq!(unordered(&typed(&ours)), unordered(&textual(answer)), "{case}"),
            (Err(_), Err(_)) => refused += 1,
            (ours, answer) => panic!("{ours:?}, to Python {answer:?}: {case}"),
        }
    }
    assert_eq!(refused, 3);
}

/// We have the revision 5503434 as the text that it must be, the official client as the number that YAML says.
fn textual(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(map) => {
            if map.get("int").is_some_and(|number| number == "5503434") {
                return "5503434".into();
            }
            map.values_mut().for_each(|value| *value = textual(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = textual(item.take())),
        _ => {}
    }
    answer
}

/// With the pairs of each map sorted.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: serde_json::Map<String, Value> =
                map.iter().map(|(key, value)| (key.clone(), unordered(value))).collect();
            if let Some(Value::Array(pairs)) = map.get_mut("map") {
                pairs.sort_by_key(Value::to_string);
            }
            map.into()
        }
        Value::Array(items) => items.iter().map(unordered).collect(),
        value => value.clone(),
    }
}

#[test]
fn entries_of_results_go_both_ways() {
    let env = TestEnv::new();
    let text = "- dataset:\n    id: cais/hle\n    task_id: default\n    revision: abc\n  value: 20.9\n  verifyToken: t\n  date: '2025-01-15'\n  source:\n    url: https://example.org\n    name: HLE\n    user: ada\n    org: cais\n  notes: no-tools\n- dataset:\n    id: a/b\n    task_id: t\n  value: 1\n";
    let theirs = ask(&env, "entries", &[text.into()]).remove(0).unwrap();
    let theirs = theirs.as_str().unwrap();
    let entries = parse_eval_result_entries(&from_yaml(theirs).unwrap()).unwrap();
    assert_eq!(entries, parse_eval_result_entries(&from_yaml(text).unwrap()).unwrap());
    let ours = eval_result_entries_to_yaml(&entries).unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(ask(&env, "entries", &[ours.as_str().into()]).remove(0).unwrap(), theirs);
}

/// The same changes by both clients, to two copies of one card.
#[test]
fn updates_say_the_same_as_pythons() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    let result = |metric: &str, value: CardValue| {
        let mut result = EvalResult::new("translation", "wmt", "WMT", metric, value);
        result.metric_name = (metric == "ter").then(|| "TER".to_owned());
        metadata_eval_result("Demo", result).unwrap()
    };
    let nasty = format!(
        "\u{feff}---\r\n{}license: mit # ok\r\n---\r\nT\r\n",
        MODEL_INDEX.replace('\n', "\r\n")
    );
    let plain = "---\nlicense: mit\ntags: [a, b]   # two\nlanguage: 'no'\n---\n# T\n";
    let cases: Vec<(Option<&str>, CardMap, bool, bool)> = vec![
        (
            Some(plain),
            [("license", "mit"), ("library_name", "timm")].into(),
            false,
            true,
        ),
        (Some(plain), [("license", "gpl")].into(), false, false),
        (Some(plain), [("license", "gpl")].into(), true, true),
        (Some(plain), [("tags", ["a", "b"])].into(), false, true),
        (Some(plain), [("tags", ["a", "on", "1e3"])].into(), true, true),
        (Some(plain), [("language", CardValue::Null)].into(), true, true),
        (Some(plain), result("bleu", 1.into()), false, true),
        (Some(&nasty), result("bleu", "20.0 ± 1.2".into()), false, true),
        (Some(&nasty), result("bleu", 21.into()), false, false),
        (Some(&nasty), result("bleu", 21.5.into()), true, true),
        (Some(&nasty), result("ter", 3.into()), false, true),
        (Some("# no block\n"), [("license", "mit")].into(), false, true),
        (None, [("license", "mit")].into(), false, true),
        (None, result("bleu", 3.into()), false, true),
    ];
    let (mut requests, mut copies) = (Vec::new(), Vec::new());
    for (at, (card, metadata, overwrite, fine)) in cases.iter().enumerate() {
        let (ours, theirs) = (format!("ada/ours-{at}"), format!("ada/theirs-{at}"));
        // The official client would need a template engine to make a card of nothing.
        for (repo, card) in [(&ours, *card), (&theirs, Some(card.unwrap_or("# T\n")))] {
            api.create_repo(repo.as_str()).wait().unwrap();
            if let Some(card) = card {
                api.upload_file(repo.as_str(), card.as_bytes(), "README.md")
                    .wait()
                    .unwrap();
            }
        }
        let updated = api
            .metadata_update(ours.as_str(), metadata)
            .overwrite(*overwrite)
            .wait();
        assert_eq!(updated.is_ok(), *fine, "{at}: {updated:?}");
        requests.push(json!({ "repo": theirs, "metadata": metadata, "overwrite": overwrite }));
        copies.push(json!({ "repo": ours }));
    }
    let updated = ask(&env, "update", &requests);
    let loaded = ask(&env, "load", &copies);
    for ((request, theirs), ours) in requests.iter().zip(updated).zip(loaded) {
        match theirs {
            Ok(theirs) => assert_eq!(unordered(&ours.unwrap()), unordered(&theirs), "{request}"),
            Err(err) => assert!(err.starts_with("ValueError"), "{request}: {err}"),
        }
    }
}

#[tokio::test]
async fn an_update_touches_what_it_is_about() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").await.unwrap();
    let content = "---\n# ours\nlicense:  'mit'   # why\ntags:\n    - a\n\n    # next\n    - b\n---\n# T\n";
    let card: Card = content.parse().unwrap();
    api.push_card("ada/demo", &card).await.unwrap();
    let update = |entries: CardMap| api.metadata_update("ada/demo", entries);

    // Nothing to change: no commit.
    let head = api.resolve_revision("ada/demo").await.unwrap();
    let same = update([("license", "mit")].into()).await.unwrap();
    assert_eq!(same.oid, head.as_str());

    let err = update([("license", "gpl")].into()).await.unwrap_err();
    assert!(matches!(err, Error::Invalid(_)), "{err}");
    let said = err.to_string();
    assert!(
        said.contains("license") && said.contains("mit") && said.contains("gpl"),
        "{said}"
    );

    // As a pull request, twice to the same one.
    let proposed = update([("license", "gpl")].into())
        .overwrite(true)
        .create_pr(true)
        .await
        .unwrap();
    assert!(proposed.pr_url.is_some());
    assert_eq!(api.load_card("ada/demo").await.unwrap().content(), content);
    update([("pipeline_tag", "translation")].into())
        .revision("refs/pr/1")
        .await
        .unwrap();
    let proposed = api.load_card("ada/demo").revision("refs/pr/1").await.unwrap();
    let expected = content
        .replace("'mit'", "'gpl'")
        .replace("    - b\n", "    - b\npipeline_tag: translation\n");
    assert_eq!(proposed.content(), expected);
    api.merge_pull_request("ada/demo", 1u64).await.unwrap();
    assert_eq!(api.load_card("ada/demo").await.unwrap().content(), expected);

    let history: Vec<String> = {
        let mut commits = api.list_repo_commits("ada/demo").revision("refs/pr/1").await.unwrap();
        let mut titles = Vec::new();
        while let Some(commit) = commits.next().await {
            titles.push(commit.unwrap().title);
        }
        titles
    };
    assert!(
        history.contains(&"Update metadata with huggingface_hub".to_owned()),
        "{history:?}"
    );
    let err = update([("x", 1)].into())
        .parent_commit(head.as_str())
        .await
        .unwrap_err();
    assert_eq!(err.status(), Some(412), "{err}");

    // Without a card: a dataset gets one, a Space does not.
    api.create_repo("ada/notes").repo_type(RepoType::Dataset).await.unwrap();
    let notes = api
        .metadata_update("datasets/ada/notes", [("license", "mit")])
        .await
        .unwrap();
    assert!(notes.pr_url.is_none());
    let card = api.load_card("datasets/ada/notes").await.unwrap();
    assert_eq!(card.license(), Some("mit"));
    assert!(card.text().contains("# Dataset Card"));
    let err = api.metadata_update("ada/none", [("license", "mit")]).await.unwrap_err();
    assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
    api.create_repo("spaces/ada/app").space_sdk("static").await.unwrap();
    if let Err(Error::EntryNotFound(_)) = api.load_card("spaces/ada/app").await {
        let err = api
            .metadata_update("spaces/ada/app", [("title", "T")])
            .await
            .unwrap_err();
        assert!(matches!(err, Error::Invalid(_)), "{err}");
    } else {
        panic!("a new Space has no card on this Hub");
    }
}

#[test]
fn both_clients_have_a_card_validated() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    let (good, bare) = ("---\nlicense: mit\n---\n", "# T\n");
    let bad = "---\nlicense: mit\n---\n".replace("mit", "[mit");
    let report = api.validate_card(good).wait().unwrap();
    assert!(report.is_valid() && report.warnings.is_empty());
    let report = api.validate_card(bare).wait().unwrap();
    assert!(report.is_valid() && report.warnings.len() == 1);
    let report = api
        .validate_card(bad.as_str())
        .repo_type(RepoType::Space)
        .wait()
        .unwrap();
    assert!(
        !report.is_valid() && report.errors[0].message.contains("not valid"),
        "{report:?}"
    );
    let answers = ask(&env, "validate", &[good.into(), bare.into()]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
