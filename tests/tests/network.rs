//! Networks as users have them: behind a proxy, with certificates of their own, on a line that others need too.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use hub_http::HfApi;
use hub_tests::{ADA, Proxy, TestEnv, TestHub, TlsFront, noise};
use hub_types::Token;

/// A file up and down again through `api`; `carried` has seen every kind of request that this takes.
fn goes_through(api: &HfApi, hub: &hub_tests::TestHub, proxy: &Proxy) {
    up_and_down(api);
    let carried = proxy.carried();
    let seen = |begin: String| {
        let seen = carried.iter().any(|one| one.to_string().starts_with(&begin));
        assert!(seen, "{begin} did not go through the proxy: {carried:#?}");
    };
    seen(format!("POST {}/api/repos/create", hub.url()));
    seen(format!("POST {}/api/models/ada/demo/preupload/main", hub.url()));
    seen(format!("PUT {}/", hub.blob_url()));
    seen(format!("POST {}/api/models/ada/demo/commit/main", hub.url()));
    seen(format!("HEAD {}/ada/demo/resolve/", hub.url()));
    seen(format!("GET {}/", hub.blob_url()));
}

#[test]
fn a_proxy_that_is_set_carries_every_kind_of_request() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let proxy = Proxy::start();
    let builder = HfApi::builder().endpoint(hub.url()).token(Token::new(ADA).unwrap());
    let api = builder.proxy(proxy.url()).build().unwrap();
    goes_through(&api, &hub, &proxy);
}

#[test]
fn the_environments_proxy_is_used_and_no_proxy_is_kept() {
    let mut env = TestEnv::new();
    let _hub = env.start_hub();
    let proxy = Proxy::start();
    let whoami = |variables: &[(&str, &str)]| {
        let command = variables
            .iter()
            .fold(env.hub(["auth", "whoami"]), |command, (name, value)| {
                command.env(name, value)
            });
        let output = command.success();
        assert!(output.stdout.contains("ada"), "{}", output.stdout);
        proxy.take().len()
    };
    assert_eq!(whoami(&[]), 0);
    assert!(whoami(&[("http_proxy", proxy.url())]) > 0);
    assert!(whoami(&[("ALL_PROXY", proxy.url())]) > 0);
    assert_eq!(whoami(&[("http_proxy", proxy.url()), ("no_proxy", "127.0.0.1")]), 0);
}

#[test]
fn a_proxy_that_is_not_there_is_told() {
    let mut env = TestEnv::new();
    let _hub = env.start_hub();
    // A port that was free a moment ago, and whose listener is gone.
    let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let output = env
        .hub(["auth", "whoami", "--retries", "0"])
        .env("http_proxy", format!("http://someone:secret@{gone}"))
        .run();
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.contains("proxy"), "{}", output.stderr);
    assert!(!output.stderr.contains("secret"), "{}", output.stderr);
}

/// A Hub of which both origins are reached by TLS alone.
struct Secured {
    hub: TlsFront,
    blobs: TlsFront,
    _hub: TestHub,
}

fn secured(env: &mut TestEnv) -> Secured {
    let (hub, blobs) = (TlsFront::start(), TlsFront::start());
    let plain = env.start_hub_with(|builder| builder.reached_at(hub.url(), blobs.url()));
    let [address, blob_address] = plain.listens_at();
    hub.hand_on_to(address);
    blobs.hand_on_to(blob_address);
    Secured {
        hub,
        blobs,
        _hub: plain,
    }
}

/// A large file up and down again.
fn up_and_down(api: &HfApi) {
    let bytes = noise(3_000_000, 7);
    api.create_repo("ada/demo").wait().unwrap();
    api.upload_file("ada/demo", bytes.clone(), "weights.bin")
        .wait()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cache = hub_cache::HubCache::new(api.clone(), dir.path());
    let path = cache.download_file("ada/demo", "weights.bin").wait().unwrap();
    assert_eq!(fs_err::read(path).unwrap(), bytes);
}

#[test]
fn certificates_that_are_given_are_trusted_by_every_kind_of_request() {
    let mut env = TestEnv::new();
    let secured = secured(&mut env);
    let builder = HfApi::builder().endpoint(secured.hub.url());
    let builder = builder.token(Token::new(ADA).unwrap()).ca_bundle(TlsFront::authority());
    up_and_down(&builder.build().unwrap());
    assert!(secured.blobs.accepted() > 0);
}

#[test]
fn certificates_are_trusted_through_a_proxy_too() {
    let mut env = TestEnv::new();
    let secured = secured(&mut env);
    let proxy = Proxy::start();
    let address = proxy.url().replace("http://", "http://someone:secret@");
    let builder = HfApi::builder().endpoint(secured.hub.url()).proxy(address);
    let builder = builder.token(Token::new(ADA).unwrap()).ca_bundle(TlsFront::authority());
    let api = builder.build().unwrap();
    up_and_down(&api);
    let carried = proxy.carried();
    for front in [&secured.hub, &secured.blobs] {
        let address = front.url().trim_start_matches("https://");
        let mut to_it = carried.iter().filter(|one| one.address == address).peekable();
        assert!(to_it.peek().is_some(), "nothing to {address}: {carried:#?}");
        // "someone:secret", as RFC 7617 has it.
        assert!(to_it.all(|one| one.credentials.as_deref() == Some("Basic c29tZW9uZTpzZWNyZXQ=")));
    }
    assert!(!format!("{api:?}").contains("secret"));
}

#[test]
fn the_environments_certificates_are_trusted() {
    let mut env = TestEnv::new();
    let secured = secured(&mut env);
    let authority = TlsFront::authority().into_os_string();
    for name in ["HUB_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"] {
        let output = env.hub(["auth", "whoami"]).env(name, &authority).success();
        assert!(output.stdout.contains("ada"), "{name}: {}", output.stdout);
    }

    let before = secured.hub.accepted();
    let output = env.hub(["auth", "whoami"]).run();
    assert_eq!(output.code, Some(5), "{output}");
    assert!(output.stderr.contains("certificate"), "{output}");
    assert!(output.stderr.contains("HUB_CA_BUNDLE"), "{output}");
    // No wait makes a certificate better.
    assert_eq!(secured.hub.accepted() - before, 1);

    env.write("empty.pem", b"no certificate\n");
    for (file, said) in [("gone.pem", "gone.pem"), ("empty.pem", "PEM")] {
        let output = env.hub(["auth", "whoami"]).env("HUB_CA_BUNDLE", file).run();
        assert_ne!(output.code, Some(0));
        assert!(output.stderr.contains(said), "{output}");
    }
}

#[test]
fn a_proxys_password_is_sent_to_it_and_told_nobody() {
    let mut env = TestEnv::new();
    let _hub = env.start_hub();
    let proxy = Proxy::start();
    let address = proxy.url().replace("http://", "http://someone:secret@");
    let output = env
        .hub(["auth", "whoami", "--log-level", "trace"])
        .env("http_proxy", &address)
        .success();
    let carried = proxy.carried();
    let credentials = carried.first().and_then(|one| one.credentials.as_deref());
    assert_eq!(credentials, Some("Basic c29tZW9uZTpzZWNyZXQ="));
    for told in [&output.stdout, &output.stderr] {
        assert!(
            !told.contains("secret") && !told.contains("c29tZW9uZTpzZWNyZXQ"),
            "{told}"
        );
    }
    let output = env.hub(["env"]).env("http_proxy", &address).run();
    assert!(!output.to_string().contains("secret"), "{output}");
}

/// A lower bound only: a busy machine is slower, never faster.
#[test]
fn a_bandwidth_limit_is_kept_both_ways() {
    const RATE: u64 = 2_000_000;
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let builder = HfApi::builder().endpoint(hub.url()).token(Token::new(ADA).unwrap());
    let api = builder.bandwidth_limit(RATE).build().unwrap();
    let bytes = noise(1_500_000, 3);
    let least = Duration::from_secs_f64(bytes.len() as f64 / RATE as f64);

    api.create_repo("ada/demo").wait().unwrap();
    let started = Instant::now();
    api.upload_file("ada/demo", bytes.clone(), "weights.bin")
        .wait()
        .unwrap();
    assert!(started.elapsed() >= least, "up in {:?}", started.elapsed());

    let dir = tempfile::tempdir().unwrap();
    let cache = hub_cache::HubCache::new(api.clone(), dir.path());
    let started = Instant::now();
    let path = cache.download_file("ada/demo", "weights.bin").wait().unwrap();
    assert!(started.elapsed() >= least, "down in {:?}", started.elapsed());
    assert_eq!(fs_err::read(path).unwrap(), bytes);
}
