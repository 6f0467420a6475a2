//! Networks as users have them: behind a proxy, with certificates of their own, on a line that others need too.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use hub_http::HfApi;
use hub_tests::{ADA, Proxy, TestEnv, noise};
use hub_types::Token;

/// A file up and down again through `api`; `carried` has seen every kind of request that this takes.
fn goes_through(api: &HfApi, hub: &hub_tests::TestHub, proxy: &Proxy) {
    let bytes = noise(3_000_000, 7);
    api.create_repo("ada/demo").wait().unwrap();
    api.upload_file("ada/demo", bytes.clone(), "weights.bin")
        .wait()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cache = hub_cache::HubCache::new(api.clone(), dir.path());
    let path = cache.download_file("ada/demo", "weights.bin").wait().unwrap();
    assert_eq!(fs_err::read(path).unwrap(), bytes);

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
