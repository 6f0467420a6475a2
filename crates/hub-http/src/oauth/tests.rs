use serde_json::json;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use hub_types::env::Env;

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn anonymous(server: &MockServer) -> HfApi {
    HfApi::builder().endpoint(server.uri()).build().unwrap()
}

async fn device(server: &MockServer, reply: Value) {
    Mock::given(method("POST"))
        .and(path("/oauth/device"))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .and(body_string(format!("client_id={CLIENT_ID}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(reply))
        .mount(server)
        .await;
}

async fn answers(server: &MockServer, replies: Vec<ResponseTemplate>) {
    let last = replies.len() - 1;
    for (n, reply) in replies.into_iter().enumerate() {
        let mock = Mock::given(method("POST"))
            .and(path("/oauth/token"))
            .respond_with(reply);
        let times = if n == last { u64::MAX } else { 1 };
        mock.up_to_n_times(times).mount(server).await;
    }
}

fn error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": code, "error_description": "why"}))
}

async fn begun(server: &MockServer) -> DeviceLogin {
    device(
        server,
        json!({
            "device_code": "planted-code", "user_code": "ABCD-1234", "interval": 0,
            "verification_uri": "https://hub.example/device",
            "verification_uri_complete": "https://hub.example/device?user_code=ABCD-1234",
        }),
    )
    .await;
    anonymous(server).begin_device_login().await.unwrap()
}

#[tokio::test]
async fn a_login_is_asked_for_until_it_is_confirmed() {
    let server = MockServer::start().await;
    let login = begun(&server).await;
    assert_eq!(login.user_code(), "ABCD-1234");
    assert_eq!(login.url(), "https://hub.example/device?user_code=ABCD-1234");
    assert_eq!(login.verification_uri(), "https://hub.example/device");
    assert_eq!(login.expires_in(), Duration::from_secs(900));
    assert!(!format!("{login:?}").contains("planted"));
    answers(
        &server,
        vec![
            error(400, "authorization_pending"),
            ResponseTemplate::new(502).set_body_string("<html>"),
            ResponseTemplate::new(400).set_body_string("what"),
            ResponseTemplate::new(200).set_body_json(json!({"odd": 1})),
            error(429, "too many requests"),
            ResponseTemplate::new(200)
                .set_body_json(json!({"access_token": "hf_oauth_a", "refresh_token": "hf_oauth_r", "expires_in": 60})),
        ],
    )
    .await;
    let begin = now();
    let token = login.finish().await.unwrap();
    assert_eq!(token.access_token.reveal(), "hf_oauth_a");
    assert_eq!(token.refresh_token.as_ref().unwrap().reveal(), "hf_oauth_r");
    assert!((begin + 60..begin + 70).contains(&token.expires_at.unwrap()));
    assert!(!format!("{token:?}").contains("oauth"));
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked.len(), 1 + 6);
    let last = asked.last().unwrap();
    assert_eq!(
        std::str::from_utf8(&last.body).unwrap(),
        format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=planted-code&client_id={CLIENT_ID}"
        )
    );
    assert!(!last.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_login_ends_when_it_is_refused() {
    for (reply, told) in [
        (error(400, "access_denied"), "refused in the browser"),
        (error(400, "expired_token"), "not confirmed in time"),
        (error(401, "invalid_client"), "invalid_client: why"),
        (error(200, "odd"), "odd: why"),
    ] {
        let server = MockServer::start().await;
        let login = begun(&server).await;
        answers(&server, vec![reply]).await;
        let err = login.finish().await.unwrap_err();
        assert!(matches!(err, Error::TokenExchange { .. }));
        assert!(err.to_string().contains(told), "{err}");
    }
}

#[tokio::test]
async fn the_server_may_ask_for_patience_and_the_code_runs_out() {
    let server = MockServer::start().await;
    let mut login = begun(&server).await;
    answers(&server, vec![error(400, "slow_down")]).await;
    assert_eq!(login.poll().await.unwrap(), None);
    assert_eq!(login.poll().await.unwrap(), None);
    assert_eq!(login.interval(), Duration::from_secs(10));
    login.deadline = Instant::now();
    let err = login.finish().await.unwrap_err();
    assert!(err.to_string().contains("not confirmed in time"), "{err}");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn defaults_stand_in_and_an_address_that_is_none_is_refused() {
    let server = MockServer::start().await;
    device(
        &server,
        json!({"device_code": "c", "user_code": "U\u{1b}", "verification_uri": "https://h/device"}),
    )
    .await;
    let login = anonymous(&server).begin_device_login().await.unwrap();
    assert_eq!((login.url(), login.user_code()), ("https://h/device", "U"));
    assert_eq!(login.interval(), Duration::from_secs(5));
    let server = MockServer::start().await;
    device(
        &server,
        json!({"device_code": "planted", "user_code": "U", "verification_uri": "file:///etc/passwd"}),
    )
    .await;
    let err = anonymous(&server).begin_device_login().await.unwrap_err();
    assert!(matches!(err, Error::MalformedReply { .. }) && !format!("{err:?}").contains("planted"));
}

/// A home with a stored login that has `left` seconds, a server, and a client of both.
struct Home {
    dir: tempfile::TempDir,
    server: MockServer,
}

impl Home {
    async fn new(left: i64) -> Self {
        let home = Self {
            dir: tempfile::tempdir().unwrap(),
            server: MockServer::start().await,
        };
        let entry = StoredToken::new(&token("hf_old")).with_refresh(Some(&token("rt_old")), Some(now() + left));
        home.store().login("oauth-ada", entry).unwrap();
        home
    }

    fn env(&self) -> Env {
        Env::from_pairs([("HF_HOME", self.dir.path())])
    }

    fn store(&self) -> TokenStore {
        TokenStore::from_env(&self.env())
    }

    fn api(&self) -> HfApi {
        let builder = crate::HfApiBuilder::from_env(&self.env()).unwrap();
        builder.endpoint(self.server.uri()).build().unwrap()
    }

    async fn used(&self) -> String {
        self.api().token().await.unwrap().unwrap().reveal().to_owned()
    }

    async fn asked(&self) -> usize {
        self.server.received_requests().await.unwrap().len()
    }

    async fn renewals(&self, reply: ResponseTemplate) {
        Mock::given(method("POST"))
            .and(path("/oauth/token"))
            .and(body_string(format!(
                "grant_type=refresh_token&refresh_token=rt_old&client_id={CLIENT_ID}"
            )))
            .respond_with(reply)
            .mount(&self.server)
            .await;
    }
}

fn renewal() -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"access_token": "hf_new", "refresh_token": "rt_new", "expires_in": 30 * 24 * 3600}))
}

#[tokio::test]
async fn a_login_with_less_than_a_day_left_is_renewed_once_and_written_down() {
    let home = Home::new(23 * 3600).await;
    home.renewals(renewal()).await;
    let api = home.api();
    let (a, b) = tokio::join!(api.token(), api.token());
    assert_eq!(a.unwrap().unwrap().reveal(), "hf_new");
    assert_eq!(b.unwrap().unwrap().reveal(), "hf_new");
    assert_eq!(home.used().await, "hf_new");
    assert_eq!(home.asked().await, 1);
    assert!(
        !home.server.received_requests().await.unwrap()[0]
            .headers
            .contains_key("authorization")
    );

    assert_eq!(home.store().active().unwrap(), Some(token("hf_new")));
    let stored = home.store().stored().unwrap();
    let entry = stored.get("oauth-ada").unwrap();
    assert_eq!(entry.token(), Some(token("hf_new")));
    assert_eq!(entry.refresh_token(), Some(token("rt_new")));
    assert!(entry.expires_at().unwrap() > now() + 29 * 24 * 3600);
    #[cfg(unix)]
    for file in ["token", "stored_tokens"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs_err::metadata(home.dir.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn other_tokens_are_left_alone() {
    let home = Home::new(25 * 3600).await;
    assert_eq!(home.used().await, "hf_old");
    home.store()
        .login("plain", StoredToken::new(&token("hf_plain")))
        .unwrap();
    assert_eq!(home.used().await, "hf_plain");
    let given = home.api().with_token(TokenChoice::Explicit(token("hf_mine")));
    assert_eq!(given.token().await.unwrap(), Some(token("hf_mine")));
    assert_eq!(home.asked().await, 0);
}

#[tokio::test]
async fn an_old_refresh_token_is_kept_where_no_new_one_comes() {
    let home = Home::new(0).await;
    home.renewals(ResponseTemplate::new(200).set_body_json(json!({"access_token": "hf_new", "expires_in": 60})))
        .await;
    assert_eq!(home.used().await, "hf_new");
    let stored = home.store().stored().unwrap();
    assert_eq!(stored.get("oauth-ada").unwrap().refresh_token(), Some(token("rt_old")));
    // It never has a day left, and is not renewed at each call for that.
    assert_eq!(home.used().await, "hf_new");
    assert_eq!(home.asked().await, 1);
}

#[tokio::test]
async fn a_failure_keeps_the_old_token_and_is_not_repeated_at_once() {
    for reply in [
        error(400, "other"),
        ResponseTemplate::new(503),
        ResponseTemplate::new(200).set_body_string("no json"),
        ResponseTemplate::new(200).set_body_json(json!({})),
    ] {
        let home = Home::new(-5).await;
        home.renewals(reply).await;
        assert_eq!(home.used().await, "hf_old");
        assert_eq!(home.used().await, "hf_old");
        assert_eq!(home.asked().await, 1);
        let slot = slot(home.store().token_path());
        let again = slot.lock().await.as_ref().unwrap().again.unwrap();
        assert!((now() + LOOK_AGAIN - 5..=now() + LOOK_AGAIN).contains(&again));
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_no_longer_good_is_never_tried_again() {
    let home = Home::new(-5).await;
    home.renewals(error(400, "invalid_grant")).await;
    assert_eq!(home.used().await, "hf_old");
    let slot = slot(home.store().token_path());
    assert!(slot.lock().await.as_ref().unwrap().again.is_none());
    // A new login is another token, and looked at anew.
    home.store().login("new", StoredToken::new(&token("hf_fresh"))).unwrap();
    assert_eq!(home.used().await, "hf_fresh");
}

#[tokio::test]
async fn what_another_process_renewed_is_adopted() {
    let home = Home::new(0).await;
    let store = home.store();
    let held = store.try_lock().unwrap();
    assert!(matches!(held, Lock::Held(_)));
    let api = home.api();
    let waiting = tokio::spawn(async move { api.token().await.unwrap().unwrap() });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let entry = StoredToken::new(&token("hf_theirs")).with_refresh(Some(&token("rt_2")), Some(now() + 900_000));
    store.renew("oauth-ada", &token("hf_old"), entry).unwrap();
    drop(held);
    assert_eq!(waiting.await.unwrap(), token("hf_theirs"));
    assert_eq!(home.used().await, "hf_theirs");
    assert_eq!(home.asked().await, 0);
}

#[tokio::test]
async fn a_renewal_whose_caller_has_gone_is_still_written_down() {
    let home = Home::new(0).await;
    home.renewals(renewal().set_delay(Duration::from_millis(50))).await;
    let api = home.api();
    let gone = tokio::time::timeout(Duration::from_millis(10), api.token()).await;
    assert!(gone.is_err());
    assert_eq!(home.used().await, "hf_new");
    assert_eq!(home.asked().await, 1);
}

#[tokio::test]
async fn a_token_that_cannot_be_stored_is_still_used() {
    let home = Home::new(0).await;
    home.renewals(renewal()).await;
    // A folder in place of the file: it can neither be read nor replaced once the renewal is under way.
    let file = home.store().stored_tokens_path().to_owned();
    let blocked = file.clone();
    Mock::given(path("/oauth/token"))
        .respond_with(move |_: &wiremock::Request| {
            fs_err::remove_file(&blocked).unwrap();
            fs_err::create_dir_all(blocked.join("x")).unwrap();
            renewal()
        })
        .with_priority(1)
        .mount(&home.server)
        .await;
    assert_eq!(home.used().await, "hf_new");
    assert_eq!(home.used().await, "hf_new");
    assert_eq!(home.asked().await, 1);
    fs_err::remove_dir_all(file).unwrap();
}
