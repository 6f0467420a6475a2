//! Cards as a whole: reading, changing, merging.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn card(content: &str) -> Card {
    Card::parse(content).unwrap_or_else(|err| panic!("{content:?}: {err}"))
}

/// The file after a change.
#[track_caller]
fn changed(content: &str, change: impl FnOnce(&mut Card)) -> String {
    let mut card = card(content);
    change(&mut card);
    card.into_content()
}

#[test]
fn data_is_read_as_the_python_client_reads_it() {
    let json = |content: &str| serde_json::to_string(card(content).data()).unwrap();
    for (content, expected) in [
        (
            "---\nlicense: mit\ntags: [a, a, b]\nfoo: null\n---\n# Hi",
            r#"{"license":"mit","tags":["a","a","b"],"foo":null}"#,
        ),
        ("\n\n---\nlicense: mit\n---\nT", r#"{"license":"mit"}"#),
        ("# only", "{}"),
        ("---\n---\nT", "{}"),
        ("---\n\n---\nT", "{}"),
        ("---\n# a comment\n---\nT", "{}"),
        ("---\nlicense: mit\n---", r#"{"license":"mit"}"#),
        ("---\nlicense: mit\n...\nT", "{}"),
        (
            "---\nlanguage: no\nv: 1.10\nt: 12:30:45\no: 010\nn: ~\n---\nT",
            r#"{"language":false,"v":1.1,"t":45045,"o":8,"n":null}"#,
        ),
        ("---\nm: |\n  l1\n  l2\n---\nT", r#"{"m":"l1\nl2"}"#),
        ("\u{feff}---\na: 1\n---\n", r#"{"a":1}"#),
        ("---\na: 1\nb: 2\na: 3\n---\n", r#"{"a":3,"b":2}"#),
        (
            "---\nx: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: *x\n---\n",
            r#"{"x":{"a":1,"b":2},"y":{"a":1,"b":3},"z":{"a":1,"b":2}}"#,
        ),
        (
            "---\na: !!str 010\nb: !!float 1\nc: ! no\nd: !!int '7'\n---\n",
            r#"{"a":"010","b":1.0,"c":false,"d":7}"#,
        ),
        (
            "---\nd: 2024-01-02\ne: '2024-01-02'\non: 1\n---\n",
            r#"{"d":"2024-01-02","e":"2024-01-02","true":1}"#,
        ),
    ] {
        assert_eq!(json(content), expected, "{content:?}");
    }
    assert_eq!(card("---\n---\nT").text(), "---\n---\nT");
    assert_eq!(card("\u{feff}T").text(), "T");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (content, part) in [
        ("---\n- a\n---\nT", "line 2: the metadata must be a map"),
        ("\n---\na: 1\nb: [1\n---\nT", "line 4"),
        ("---\r\na: 1\r\nb: =\r\n---\r\n", "'b: =': line 3: a lone '='"),
        ("---\na: &a [*a]\n---\n", "part of"),
        ("---\na: !mine 1\n---\n", "tag 'mine'"),
        ("---\na: 1\n--- x: 2\nb: @c\n---\n", "line"),
        ("---\n? [a]\n: 1\n---\n", "cannot be a key"),
    ] {
        let err = Card::parse(content).unwrap_err().to_string();
        assert!(err.contains(part), "{content:?}: {err}");
    }
    // A card must not be a bomb.
    let mut bomb = String::from("---\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        bomb += &format!(
            "a{level}: &a{level} [{}]\n",
            vec![format!("*a{}", level - 1); 10].join(", ")
        );
    }
    assert!(Card::parse(bomb + "---\n").unwrap_err().to_string().contains("64 MB"));
    assert!(Card::parse(format!("---\na: {}\n---\n", "[".repeat(100_000))).is_err());
}

/// Everything that a careless editor breaks.
const NASTY: &str = "\u{feff}\n---\n# top\nlicense:   mit   # why\nlanguage: [en,  'fr']   # flow\n\n# about tags\ntags:\n    - \"a\"    # first\n\n    # between\n    - b\nnested: {x: 1,  y: [1,2]}\nunknown_key: &anchor\n  deep: 'it''s'\n  list:\n  - k: 1   # one\n    v: >-\n      folded\n      text\n  -   k: 2\nother: *anchor\nempty:\nprompt: |\n  keep\n    this\n\n  # no comment\n\n# the end\n---\t\nText\n---\nmore\n";

#[test]
fn a_change_writes_its_own_place_only() {
    let check = |change: &dyn Fn(&mut Card), from: &str, to: &str| {
        assert!(NASTY.contains(from), "{from:?}");
        let expected = NASTY.replacen(from, to, 1);
        let crlf = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(changed(NASTY, change), expected);
        assert_eq!(changed(&crlf(NASTY), change), crlf(&expected));
    };
    let set = |key: &'static str, value: CardValue| move |card: &mut Card| card.set(key, value.clone()).unwrap();
    check(&set("license", "mit".into()), "mit", "mit");
    check(&set("license", "no".into()), "mit   #", "'no'   #");
    check(&set("empty", 3.into()), "empty:\n", "empty: 3\n");
    check(
        &set("new", ["x", "2020-01-01"].into()),
        "  # no comment\n",
        "  # no comment\nnew:\n- x\n- '2020-01-01'\n",
    );
    check(
        &set("license", ["mit", "gpl"].into()),
        "license:   mit   # why",
        "license: # why\n- mit\n- gpl",
    );
    check(
        &set("prompt", "one line".into()),
        "|\n  keep\n    this\n\n  # no comment",
        "one line",
    );
    check(
        &set("language", CardValue::Null),
        "language: [en,  'fr']   # flow\n",
        "",
    );
    check(
        &set("license", "a\nb".into()),
        "license:   mit   # why",
        "license: |- # why\n  a\n  b",
    );
    check(&|card| card.append("language", "de").unwrap(), "'fr']", "'fr', de]");
    check(
        &|card| card.append("tags", "on").unwrap(),
        "    - b\n",
        "    - b\n    - 'on'\n",
    );
    check(
        &|card| card.append("license", "gpl").unwrap(),
        "license:   mit   # why",
        "license: # why\n- mit\n- gpl",
    );
    check(&set("tags", ["b"].into()), "    - \"a\"    # first\n", "");
    check(&set("tags", ["new", "b"].into()), "\"a\"", "\"new\"");
    check(&set("tags", ["a", "x", "b"].into()), "# first\n", "# first\n    - x\n");
    check(
        &|card| drop(card.remove("tags").unwrap()),
        "tags:\n    - \"a\"    # first\n\n    # between\n    - b\n",
        "",
    );
    let nested = |y: i32, z: i32| CardMap::from([("x", CardValue::from(1)), ("y", [1, y].into()), ("z", z.into())]);
    check(&set("nested", nested(5, 6).into()), "y: [1,2]}", "y: [1,5], z: 6}");
    // Other places refer to this one.
    let mut deep = card(NASTY).get("unknown_key").unwrap().as_map().unwrap().clone();
    deep.insert("deep", "other");
    let text = changed(NASTY, set("unknown_key", deep.clone().into()));
    assert_eq!(card(&text).get("unknown_key"), Some(&deep.into()));
    assert_eq!(card(&text).get("other"), card(NASTY).get("other"));
    // The text may change, and the metadata does not.
    let text = changed(NASTY, |card| card.set_text("New"));
    assert_eq!(text, NASTY.replace("Text\n---\nmore\n", "New"));
}

#[test]
fn a_block_comes_and_goes() {
    let set = |content: &str| changed(content, |card| card.set("a", 1).unwrap());
    for (content, expected) in [
        ("# T\n", "---\na: 1\n---\n# T\n"),
        ("", "---\na: 1\n---\n"),
        ("\u{feff}# T\r\n", "\u{feff}---\r\na: 1\r\n---\r\n# T\r\n"),
        ("---\n\n---\nT", "---\na: 1\n---\nT"),
        ("---\r\n---\r\nT", "---\r\na: 1\r\n---\r\nT"),
        ("---\n---\nT", "---\na: 1\n---\n---\n---\nT"),
        ("---\n{}\n---\nT", "---\na: 1\n---\nT"),
        ("---\n# c\n---\nT", "---\n# c\na: 1\n---\nT"),
        ("---\n{b: 2}\n---\nT", "---\n{b: 2, a: 1}\n---\nT"),
        ("---\n  b: 2\n---", "---\n  b: 2\n  a: 1\n---"),
        ("---\rb: 2\r---", "---\rb: 2\ra: 1\r---"),
        (
            "---\na: 2\nb: 3\na: 4 # last\n---\n",
            "---\na: 2\nb: 3\na: 1 # last\n---\n",
        ),
        ("---\nb: |+\n  x\n\n---\n", "---\nb: |+\n  x\na: 1\n\n---\n"),
        (
            "---\nb: 1\n# c\nm: |\n  x\n---\n",
            "---\nb: 1\na: 1\n# c\nm: |\n  x\n---\n",
        ),
        ("---\nm: |\n  x\n---\n", "---\na: 1\nm: |\n  x\n---\n"),
        ("---\nb: 2 # c\n# d\n---\n", "---\nb: 2 # c\na: 1\n# d\n---\n"),
    ] {
        assert_eq!(set(content), expected, "{content:?}");
    }
    assert_eq!(
        changed("---\na: 1\n---\nT", |card| drop(card.remove("a").unwrap())),
        "---\n{}\n---\nT"
    );
    assert_eq!(
        changed("---\na: 1\nb: 2\na: 3\n---\nT", |card| drop(card.remove("a").unwrap())),
        "---\nb: 2\n---\nT"
    );
    assert_eq!(
        changed("---\nm: |\n  x\na: 1\n---\nT", |card| drop(card.remove("a").unwrap())),
        "---\nm: |\n  x\n\n---\nT"
    );
    assert_eq!(
        changed("---\na: 1\n---", |card| card.set_text("T\n")),
        "---\na: 1\n---\nT\n"
    );
    let data = CardMap::from([("license", "mit")]);
    assert_eq!(Card::new(&data, "T").unwrap().content(), "---\nlicense: mit\n---\nT");
    assert_eq!(Card::new(&CardMap::new(), "T").unwrap().content(), "---\n{}\n---\nT");
}

#[test]
fn known_keys_have_names() {
    let card = card(
        "---\nlicense: mit\nlanguage: [en, fr, no]\ntags: one\nbase_model:\n- a/b\napp_port: 7860\nsdk: docker\n---\n",
    );
    assert_eq!(
        (card.license(), card.sdk(), card.app_port()),
        (Some("mit"), Some("docker"), Some(7860))
    );
    assert_eq!(
        (card.languages(), card.tags(), card.base_models()),
        (vec!["en", "fr"], vec!["one"], vec!["a/b"])
    );
    assert_eq!((card.title(), card.datasets()), (None, vec![]));
    assert_eq!(card.model_index().unwrap(), None);
}

const RESULTS: &str = "---\nmodel-index:\n- name: Demo # ours\n  extra: kept\n  results:\n  - task:\n      type: asr\n    dataset:\n      type: cv\n      name: Common Voice\n      args: {language: fr}\n    metrics:\n    - type: wer   # lower is better\n      value: 0.20\n      name: WER\n      unknown: 1\n    - {type: cer, value: 5}\n    source:\n      url: https://example.org\n---\n# Demo\n";

fn result(metric: &str, value: impl Into<CardValue>) -> CardMap {
    let mut result = EvalResult::new("asr", "cv", "Common Voice", metric, value);
    result.dataset_args = Some(CardMap::from([("language", "fr")]).into());
    result.source_url = Some("https://example.org".to_owned());
    result.metric_name = (metric == "wer").then(|| "WER".to_owned());
    metadata_eval_result("Other", result).unwrap()
}

#[test]
fn results_are_merged_one_by_one() {
    let mut own = card(RESULTS);
    let index = own.model_index().unwrap().unwrap();
    assert_eq!((index.name.as_str(), index.results.len()), ("Demo", 2));
    assert_eq!(index.results[1].metric_value, CardValue::Integer(5));
    own.update(&result("wer", 0.2), false, "ada/demo").unwrap();
    assert_eq!(own.content(), RESULTS);
    let err = own
        .update(&result("wer", 0.1), false, "ada/demo")
        .unwrap_err()
        .to_string();
    assert!(
        err.contains("WER") && err.contains("0.2") && err.contains("0.1"),
        "{err}"
    );
    assert_eq!(own.content(), RESULTS);
    own.update(&result("wer", 0.1), true, "ada/demo").unwrap();
    assert_eq!(own.content(), RESULTS.replace("0.20", "0.1"));
    own.update(&result("bleu", "20 ± 1"), false, "ada/demo").unwrap();
    assert_eq!(
        own.content(),
        RESULTS
            .replace("0.20", "0.1")
            .replace("value: 5}\n", "value: 5}\n    - type: bleu\n      value: 20 ± 1\n")
    );
    // To a card that has none; the name is the caller's.
    let mut bare = card("# T\n");
    let mut new = result("wer", 1);
    let CardValue::List(list) = new.get_mut("model-index").unwrap() else {
        panic!()
    };
    let CardValue::Map(first) = &mut list[0] else { panic!() };
    first.remove("name");
    bare.update(&new, false, "ada/demo").unwrap();
    assert_eq!(bare.model_index().unwrap().unwrap().name, "ada/demo");
    // Another task is a result of its own.
    let other = EvalResult::new("mt", "cv", "Common Voice", "wer", 1);
    bare.update(&metadata_eval_result("x", other.clone()).unwrap(), false, "ada/demo")
        .unwrap();
    let index = bare.model_index().unwrap().unwrap();
    assert_eq!(index.results[1], other);
    assert_eq!(ModelIndex::from_value(&index.to_value().unwrap()).unwrap(), index);
    for bad in [CardValue::Null, CardValue::List(vec![]), ["x"].into()] {
        assert!(own.update(&CardMap::from([("model-index", bad)]), true, "x").is_err());
    }
}

#[test]
fn a_value_that_differs_needs_leave_to_be_overwritten() {
    let content = "---\nlicense: mit\ntags: a\nv: 1\nn: null # here\n---\n";
    let update = |entries: CardMap, overwrite: bool| {
        let mut own = card(content);
        own.update(&entries, overwrite, "x").map(|()| own.into_content())
    };
    let same = CardMap::from([
        ("license", CardValue::from("mit")),
        ("tags", ["a"].into()),
        ("v", 1.0.into()),
    ]);
    assert_eq!(update(same, false).unwrap(), content);
    let err = update([("license", "gpl")].into(), false).unwrap_err().to_string();
    assert!(
        err.contains("'license'") && err.contains("mit") && err.contains("gpl"),
        "{err}"
    );
    assert_eq!(
        update([("license", "gpl")].into(), true).unwrap(),
        content.replace("mit", "gpl")
    );
    assert_eq!(
        update([("n", "x")].into(), false).unwrap(),
        content.replace("null", "x")
    );
    assert!(update([("v", CardValue::Null)].into(), false).is_err());
    assert_eq!(
        update([("v", CardValue::Null)].into(), true).unwrap(),
        content.replace("v: 1\n", "")
    );
}

#[test]
fn entries_are_read_and_written() {
    let text = "- dataset:\n    id: cais/hle\n    task_id: default\n    revision: abc\n  value: 20.9\n  date: '2025-01-15'\n  source:\n    url: https://example.org\n    org: cais\n  notes: no tools\n- dataset:\n    id: a/b\n    task_id: t\n  value: 1\n";
    let entries = parse_eval_result_entries(&from_yaml(text).unwrap()).unwrap();
    assert_eq!((entries.len(), entries[0].source_org.as_deref()), (2, Some("cais")));
    assert_eq!(eval_result_entries_to_yaml(&entries).unwrap(), text);
    assert_eq!(eval_result_entries_to_yaml(&[]).unwrap(), "[]\n");
    let wire = serde_json::json!([
        {"error": "bad", "filename": "x.yaml"},
        {"data": {"dataset": {"id": "a/b", "task_id": "t"}, "value": 1}, "filename": "y.yaml"},
    ]);
    assert_eq!(parse_eval_result_entries(&wire.into()).unwrap(), [entries[1].clone()]);
    for bad in [
        "a: 1",
        "- dataset: {id: a}\n  value: 1",
        "- dataset: {id: a, task_id: b}",
        "- dataset: {id: a, task_id: b}\n  value: 1\n  source: {name: x}",
    ] {
        assert!(parse_eval_result_entries(&from_yaml(bad).unwrap()).is_err(), "{bad}");
    }
}

/// What comes from elsewhere takes neither all of the stack, nor of the memory, nor of the day.
#[test]
fn large_and_deep_cards_are_read() {
    let deep = format!(
        "---\na:\n{}{}{}\n---\n",
        "- ".repeat(60),
        "[".repeat(60),
        "]".repeat(60)
    );
    let mut card = card(&deep);
    card.set("b", 1).unwrap();
    assert_eq!(card.content(), deep.replace("\n---\n", "\nb: 1\n---\n"));
    let wide: String = (0..20_000).map(|at| format!("k{at}: [x, y]\n")).collect();
    let card = Card::parse(format!("---\n{wide}---\n")).unwrap();
    assert_eq!(card.data().len(), 20_000);
    let list = "- {a: b, c: [d]}\n".repeat(4_000);
    let content = format!("---\nconfigs:\n{list}---\n");
    let changed = changed(&content, |card| {
        card.set("license", "mit").unwrap();
        card.append("configs", "x").unwrap();
    });
    assert_eq!(changed, format!("---\nconfigs:\n{list}- x\nlicense: mit\n---\n"));
}

fn text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "no",
        "on",
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
    ]);
    prop_oneof![
        3 => words.prop_map(str::to_owned),
        2 => "[ -~é\n]{0,12}",
        1 => "\\PC{0,8}",
        1 => any::<String>(),
    ]
}

pub(super) fn value() -> impl Strategy<Value = CardValue> {
    let leaf = prop_oneof![
        Just(CardValue::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
        text().prop_map(Into::into),
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

fn map() -> impl Strategy<Value = CardMap> {
    prop::collection::vec((text(), value()), 0..5).prop_map(|entries| entries.into_iter().collect())
}

/// The lines of a text that say nothing: comments. All must survive.
fn comments(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| line.trim_start().starts_with("#!"))
        .collect()
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(content in any::<String>(), yaml in "[-a-c:#&*!|>'\"%@`{}\\[\\],? \n\r\t0-9.~]{0,60}") {
        let _ = Card::parse(content);
        if let Ok(mut card) = Card::parse(format!("---\n{yaml}\n---\nT")) {
            let text = card.text().to_owned();
            card.set("added", "no").unwrap();
            prop_assert_eq!(card.get("added").and_then(CardValue::as_str), Some("no"));
            prop_assert_eq!(card.text(), text);
            card.remove("added").unwrap();
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same(data in map(), nl in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
        let mut card = Card::parse(format!("T{nl}")).unwrap();
        card.set_data(&data).unwrap();
        prop_assert!(CardValue::Map(card.data().clone()).same(&CardValue::Map(data.clone())), "{}", card);
        let json = serde_json::to_string(&CardValue::from(1)).unwrap();
        prop_assert_eq!(json, "1");
    }

    /// Whatever is changed, lines of other keys stay as they are.
    #[test]
    fn a_change_leaves_the_other_lines(at in 0usize..6, new in value()) {
        let lines = [
            "a: 'x'  # 1\n#! a\n", "b:\n  - 1 # 2\n  #! b\n  -   2\n", "c: {p: 1,   q: [r]}\n\n", "d: |\n  one\n\n  two\n#! d\n",
            "e:\n- k:  v\n  l:\n     m: 0x10\n", "f: \"q\\n\"\n",
        ];
        let content = format!("---\n#! top\n{}---\nT", lines.concat());
        let key = ["a", "b", "c", "d", "e", "f"][at];
        let mut card = Card::parse(content.clone()).unwrap();
        card.set(key, new.clone()).unwrap();
        let mut rest = card.content();
        for (other, line) in lines.iter().enumerate() {
            if other != at {
                let found = rest.find(line);
                prop_assert!(found.is_some(), "{line:?} in {rest:?}");
                rest = &rest[found.unwrap() + line.len()..];
            }
        }
        if key != "b" {
            prop_assert_eq!(comments(card.content()), comments(&content));
        }
    }

    #[test]
    fn any_data_becomes_any_other(from in map(), to in map()) {
        let mut card = Card::new(&from, "T").unwrap();
        card.set_data(&to).unwrap();
        prop_assert_eq!(card.text(), "T");
    }
}
