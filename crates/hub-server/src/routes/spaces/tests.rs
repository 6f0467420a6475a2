use serde_json::{Value, json};

use crate::testing::{ADA, BOB, Hub, file};

const AT: &str = "/api/spaces/ada/app";

fn with_space(more: &str) -> Hub {
    let hub = Hub::start();
    hub.post(
        ADA,
        "/api/repos/create",
        &format!(r#"{{"name":"app","type":"space","sdk":"gradio"{more}}}"#),
    )
    .expect(200);
    hub
}

fn add_app(hub: &Hub) {
    let header = r#"{"key":"header","value":{"summary":"s","description":""}}"#;
    let body = format!("{header}\n{}", file("app.py", "print()"));
    hub.post(ADA, &format!("{AT}/commit/main"), &body).expect(200);
}

fn stage(hub: &Hub) -> String {
    hub.get("", &format!("{AT}/runtime")).expect(200).json()["stage"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_space_is_built_when_its_app_is_there_and_restarts() {
    let hub = with_space("");
    assert_eq!(stage(&hub), "NO_APP_FILE");
    add_app(&hub);
    let first = hub.get("", &format!("{AT}/runtime")).json();
    assert_eq!(first["hardware"], json!({"current": null, "requested": "cpu-basic"}));
    assert_eq!(
        (&first["stage"], &first["gcTimeout"]),
        (&json!("BUILDING"), &json!(172_800))
    );
    assert_eq!(stage(&hub), "RUNNING");
    assert_eq!(hub.get("", AT).json()["runtime"]["hardware"]["current"], "cpu-basic");

    hub.post(BOB, &format!("{AT}/pause"), "").expect(403);
    assert_eq!(
        hub.post(ADA, &format!("{AT}/pause"), "").expect(200).json()["stage"],
        "PAUSED"
    );
    assert_eq!(stage(&hub), "PAUSED");
    let restarted = hub.post(ADA, &format!("{AT}/restart"), "").expect(200).json();
    assert_eq!(restarted["stage"], "RUNNING_APP_STARTING");
    stage(&hub);
    assert_eq!(stage(&hub), "RUNNING");
    let rebuilt = hub
        .post(ADA, &format!("{AT}/restart?factory=true"), "")
        .expect(200)
        .json();
    assert_eq!(rebuilt["stage"], "BUILDING");
    let log = hub.get(ADA, &format!("{AT}/logs/build")).text();
    assert!(log.starts_with("data: {\"data\":\"===== Build Queued"), "{log}");
    hub.get(BOB, &format!("{AT}/logs/build")).expect(403);
    hub.get(ADA, &format!("{AT}/logs/other")).expect(404);
}

#[test]
fn hardware_sleep_and_dev_mode_are_kept() {
    let hub = with_space(r#","hardware":"t4-small","sleepTimeSeconds":300"#);
    add_app(&hub);
    stage(&hub);
    let post = |what: &str, body: &str| hub.post(ADA, &format!("{AT}/{what}"), body);
    let runtime = hub.get("", &format!("{AT}/runtime")).json();
    assert_eq!(
        (&runtime["hardware"]["current"], &runtime["gcTimeout"]),
        (&json!("t4-small"), &json!(300))
    );
    let asked = post("hardware", r#"{"flavor":"a10g-large","sleepTimeSeconds":-1}"#)
        .expect(200)
        .json();
    assert_eq!(
        asked["hardware"],
        json!({"current": "t4-small", "requested": "a10g-large"})
    );
    assert_eq!(asked["gcTimeout"], Value::Null);
    assert_eq!(
        post("sleeptime", r#"{"seconds":60}"#).expect(200).json()["gcTimeout"],
        60
    );
    assert_eq!(
        post("dev-mode", r#"{"enabled":true}"#).expect(200).json()["devMode"],
        true
    );
    post("hardware", r#"{"flavor":"abacus"}"#).expect(400);
    post("sleeptime", r#"{"seconds":-2}"#).expect(400);

    hub.post(
        ADA,
        "/api/repos/create",
        r#"{"name":"page","type":"space","sdk":"static"}"#,
    )
    .expect(200);
    for what in ["pause", "restart"] {
        hub.post(ADA, &format!("/api/spaces/ada/page/{what}"), "").expect(400);
    }
    hub.post(
        ADA,
        "/api/repos/create",
        r#"{"name":"x","type":"space","sdk":"gradio","hardware":"abacus"}"#,
    )
    .expect(400);
    hub.get("", "/api/spaces/ada/x").expect(401);
}

#[test]
fn secrets_have_no_value_and_variables_one() {
    let hub = with_space(r#","secrets":[{"key":"FIRST","value":"hush"}]"#);
    let secrets = format!("{AT}/secrets");
    hub.post(
        ADA,
        &secrets,
        r#"{"key":"TOKEN","value":"very-secret","description":"d"}"#,
    )
    .expect(200);
    let shown = hub.get(ADA, &secrets).expect(200);
    assert_eq!(shown.json()["TOKEN"]["description"], "d");
    assert!(shown.json()["FIRST"].is_object() && !shown.text().contains("secret\"") && !shown.text().contains("hush"));
    hub.get(BOB, &secrets).expect(403);
    for stored in ["hub.db", "hub.db-wal"] {
        let bytes = fs_err::read(hub.root.path().join(stored)).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"very-secret"), "{stored}");
    }
    let variables = format!("{AT}/variables");
    hub.post(ADA, &variables, r#"{"key":"TOKEN","value":"x"}"#).expect(400);
    hub.post(ADA, &variables, r#"{"key":"2x","value":"x"}"#).expect(400);
    let all = hub
        .post(ADA, &variables, r#"{"key":"LANG","value":"C"}"#)
        .expect(200)
        .json();
    assert_eq!(all["LANG"]["value"], "C");
    assert_eq!(hub.get("", &variables).expect(200).json(), all);
    let left = hub
        .send("DELETE", ADA, &variables, &[], br#"{"key":"LANG"}"#)
        .expect(200)
        .json();
    assert_eq!(left, json!({}));
    hub.send("DELETE", ADA, &secrets, &[], br#"{"key":"none"}"#).expect(200);
}

#[test]
fn volumes_are_of_what_is_there() {
    let hub = with_space("");
    hub.create("demo");
    let at = format!("{AT}/volumes");
    let volume = r#"{"volumes":[{"type":"model","source":"ada/demo","mountPath":"/models"}]}"#;
    hub.put(ADA, &at, volume).expect(200);
    let runtime = hub.get("", &format!("{AT}/runtime")).json();
    assert_eq!(runtime["volumes"][0]["source"], "ada/demo");
    hub.put(ADA, &at, &volume.replace("ada/demo", "ada/none")).expect(404);
    hub.put(ADA, &at, &volume.replace("/models", "models")).expect(400);
    hub.delete(ADA, &at).expect(200);
    hub.delete(ADA, &at).expect(400);
}
