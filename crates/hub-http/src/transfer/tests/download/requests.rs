//! Which requests a download takes, and where they lead.

use super::*;

#[tokio::test]
async fn a_small_file_takes_one_request_and_no_head() {
    let bytes = content(5000);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    for test in [Test::new(&server.url), Test::new(&server.url).knowing(&bytes)] {
        let fetched = test.fetch().await.unwrap();
        test.assert_complete(&bytes);
        assert_eq!((fetched.bytes, fetched.resumed_from), (5000, 0));
        assert_eq!(fetched.sha256, Some(Sha256::of(&bytes)));
        assert_eq!(fetched.commit_hash.unwrap().as_str(), COMMIT);
        assert_eq!(fetched.etag.unwrap().as_sha256(), Some(Sha256::of(&bytes)));
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].target, "/ada/demo/resolve/main/dir/file.bin");
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer hf_secret"));
}

#[tokio::test]
async fn a_large_file_comes_in_ranges() {
    let bytes = content(40 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert!(server.seen().iter().all(|seen| seen.header("range").is_some()));
}

#[tokio::test]
async fn c_046_d11_the_redirect_that_leaves_the_hub_says_what_is_expected() {
    let bytes = content(2000);
    let (store_body, hash) = (bytes.clone(), Sha256::of(&bytes));
    let store = Server::start(move |seen, number| match number {
        // Two bytes, which its own headers call the whole file.
        1..3 => Answer::new("200 OK").header("content-length", 2).body("no"),
        _ => good(seen, &store_body),
    })
    .await;
    let target = store.url.replace("127.0.0.1", "localhost");
    let hub = Server::start(move |_, _| {
        Answer::new("302 Found")
            .header("location", format!("{target}/blob?sig=signed"))
            .header("x-repo-commit", COMMIT)
            .header("x-linked-etag", format!("\"{hash}\""))
            .header("x-linked-size", 2000)
            .header("content-length", 0)
    })
    .await;
    let test = Test::new(&hub.url);
    let err = test.fetch().await.unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
    test.assert_nothing();
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(fetched.sha256, Some(hash));
    assert_eq!(fetched.commit_hash.unwrap().as_str(), COMMIT);
    // The store never sees who we are.
    for seen in store.seen() {
        assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None));
        assert_eq!(seen.target, "/blob?sig=signed");
    }
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = Server::start(|_, _| {
        Answer::new("302 Found")
            .header("location", "/again")
            .header("content-length", 0)
    })
    .await;
    let test = Test::new(&server.url);
    assert!(matches!(test.fetch().await, Err(Error::TooManyRedirects { .. })));
    test.assert_nothing();
}

#[tokio::test]
async fn an_address_that_expires_midway_is_asked_for_anew() {
    let bytes = content(40 << 20);
    let body = bytes.clone();
    let store = Server::start(move |seen, number| {
        let valid = seen.target.ends_with(if number == 1 { "sig=1" } else { "sig=2" });
        if valid {
            good(seen, &body)
        } else {
            Answer::new("403 Forbidden").header("content-length", 0)
        }
    })
    .await;
    let target = store.url.replace("127.0.0.1", "localhost");
    let hash = Sha256::of(&bytes);
    let hub = Server::start(move |_, number| {
        Answer::new("302 Found")
            .header("location", format!("{target}/blob?sig={number}"))
            .header("x-repo-commit", COMMIT)
            .header("x-linked-etag", format!("\"{hash}\""))
            .header("x-linked-size", 40 << 20)
            .header("content-length", 0)
    })
    .await;
    let mut test = Test::new(&hub.url).knowing(&bytes);
    test.options.max_connections = Some(1);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(
        hub.seen().len(),
        2,
        "the signed address is used for all ranges until it expires"
    );
}

#[tokio::test]
async fn an_address_that_is_refused_again_is_an_error() {
    let store = Server::start(|_, _| Answer::new("403 Forbidden").header("content-length", 0)).await;
    let target = store.url.replace("127.0.0.1", "localhost");
    let location = format!("{target}/blob?sig=secret");
    let redirect = location.clone();
    let hub = Server::start(move |_, _| {
        Answer::new("302 Found")
            .header("location", &redirect)
            .header("content-length", 0)
    })
    .await;
    let mut test = Test::new(&hub.url).knowing(&content(2000));
    test.source.location = Some(location);
    let err = test.fetch().await.unwrap_err();
    assert_eq!(err.status(), Some(403));
    assert!(!format!("{err} {err:?} {:?}", test.source).contains("secret"));
    test.assert_nothing();
    assert_eq!((hub.seen().len(), store.seen().len()), (1, 2));
}

#[tokio::test]
async fn an_empty_file_takes_no_request() {
    let test = Test::new("http://127.0.0.1:1").knowing(b"");
    assert_eq!(test.fetch().await.unwrap().bytes, 0);
    test.assert_complete(b"");
    let mut wrong = Test::new("http://127.0.0.1:1").knowing(b"x");
    wrong.source.size = Some(0);
    assert!(matches!(wrong.fetch().await, Err(Error::Integrity { .. })));
    wrong.assert_nothing();
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_by_name() {
    let bytes = content(2 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let test = Test::new(&server.url).knowing(&bytes);
    let path = test.dir.path().join("missing").join("x");
    let err = test
        .api
        .fetch_to_file(&test.source, &path, &test.options)
        .await
        .unwrap_err();
    assert!(
        matches!(&err, Error::Io(io) if io.to_string().contains("missing")),
        "{err}"
    );
}

#[tokio::test]
async fn a_download_that_is_offline_sends_nothing() {
    let server = Server::start(|seen, _| good(seen, b"x")).await;
    let mut test = Test::new(&server.url);
    test.api = HfApi::builder().endpoint(&server.url).offline(true).build().unwrap();
    assert!(matches!(test.fetch().await, Err(Error::Offline { .. })));
    assert!(server.seen().is_empty());
    test.assert_nothing();
}
