use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const COMMIT: &str = "8f1f7d9c3f7f2a0f4e5b6c7d8e9fa0b1c2d3e4f5";
const OID: &str = "cb24c04e8b86279d12dd1e225a8b73deaaba3fd6";
const HASH: &str = "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f";

fn api(server: &MockServer) -> HfApi {
    HfApi::builder()
        .endpoint(server.uri())
        .token(hub_types::Token::new("hf_t").unwrap())
        .retries(2, Duration::from_millis(1))
        .build()
        .unwrap()
}

async fn answer(server: &MockServer, at: &str, reply: ResponseTemplate) {
    Mock::given(method("HEAD"))
        .and(path(at))
        .and(header("accept-encoding", "identity"))
        .and(header("authorization", "Bearer hf_t"))
        .respond_with(reply)
        .expect(1)
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_small_file_is_described_behind_a_redirect_on_the_hub() {
    let server = MockServer::start().await;
    let first = ResponseTemplate::new(307)
        .insert_header("location", "/api/resolve-cache/x?y=1")
        .insert_header("content-length", "341");
    answer(&server, "/ada/demo/resolve/main/config.json", first).await;
    let second = ResponseTemplate::new(200)
        .insert_header("etag", format!("W/\"{OID}\""))
        .insert_header("x-repo-commit", COMMIT)
        .set_body_bytes(vec![b'x'; 818]);
    answer(&server, "/api/resolve-cache/x", second).await;
    let found = api(&server)
        .get_hf_file_metadata("ada/demo", "config.json")
        .await
        .unwrap();
    assert_eq!(found.size, Some(818));
    assert_eq!((found.commit_hash.as_str(), found.etag.as_str()), (COMMIT, OID));
    assert_eq!(found.location, format!("{}/api/resolve-cache/x?y=1", server.uri()));
    assert_eq!(found.xet, None);
}

#[tokio::test]
async fn a_file_is_described_by_its_address() {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200)
        .insert_header("etag", format!("\"{OID}\""))
        .insert_header("x-repo-commit", COMMIT)
        .set_body_bytes(vec![b'x'; 818]);
    answer(&server, "/ada/demo/resolve/main/a%20b.json", reply).await;
    let api = api(&server);
    let address = format!("{}/ada/demo/resolve/main/a%20b.json", server.uri());
    let found = api.get_hf_file_metadata_at(address).await.unwrap();
    assert_eq!((found.size, found.etag.as_str()), (Some(818), OID));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    for bad in ["", "ada/demo", "ftp://hub/x?sig=planted", "/ada/demo/resolve/main/x"] {
        let err = api.get_hf_file_metadata_at(bad).await.unwrap_err();
        assert!(matches!(err, Error::Invalid(_)), "{err:?}");
        assert!(!err.to_string().contains("planted"), "{err}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_large_file_is_described_by_the_redirect_that_leaves_the_hub() {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(302)
        .insert_header("location", "http://store.invalid/blob?sig=secret")
        .insert_header("x-repo-commit", COMMIT)
        .insert_header("x-linked-etag", format!("\"{HASH}\""))
        .insert_header("etag", format!("\"{OID}\""))
        .insert_header("x-linked-size", "818")
        .insert_header("x-xet-hash", HASH)
        .insert_header(
            "link",
            "<https://huggingface.co/api/models/a/b/xet-read-token/abc>; rel=\"xet-auth\"",
        )
        .set_body_string("redirecting");
    answer(&server, "/datasets/ada/demo/resolve/refs%2Fpr%2F1/a%20b/c.bin", reply).await;
    let found = api(&server)
        .get_hf_file_metadata("ada/demo", "a b/c.bin")
        .repo_type(RepoType::Dataset)
        .revision("refs/pr/1")
        .await
        .unwrap();
    assert_eq!((found.size, found.etag.as_str()), (Some(818), HASH));
    assert_eq!(found.location, "http://store.invalid/blob?sig=secret");
    assert!(!format!("{found:?}").contains("secret"));
    let xet = found.xet.unwrap();
    assert_eq!(
        xet.refresh_route,
        format!("{}/api/models/a/b/xet-read-token/abc", server.uri())
    );
}

#[tokio::test]
async fn a_xet_hash_without_a_route_is_no_xet_file_and_a_bad_size_is_unknown() {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(302)
        .insert_header("location", "http://store.invalid/blob")
        .insert_header("x-repo-commit", COMMIT)
        .insert_header("etag", format!("\"{HASH}\""))
        .insert_header("x-linked-size", "many")
        .insert_header("x-xet-hash", HASH);
    answer(&server, "/a/b/resolve/main/x", reply).await;
    let found = api(&server).get_hf_file_metadata("a/b", "x").await.unwrap();
    assert_eq!((found.size, found.xet), (None, None));
}

#[tokio::test]
async fn what_is_no_hub_is_told_apart() {
    for (headers, named) in [
        (&[("etag", OID)][..], "lacks the header x-repo-commit"),
        (&[("x-repo-commit", COMMIT)][..], "lacks the header etag"),
        (
            &[("x-repo-commit", "main"), ("etag", OID)][..],
            "no usable header x-repo-commit",
        ),
        // D5: an etag that would be a path.
        (
            &[("x-repo-commit", COMMIT), ("etag", "../../x")][..],
            "no usable header etag",
        ),
    ] {
        let server = MockServer::start().await;
        let reply = headers.iter().fold(ResponseTemplate::new(200), |reply, (name, value)| {
            reply.insert_header(*name, *value)
        });
        answer(&server, "/a/b/resolve/main/x", reply).await;
        let err = api(&server).get_hf_file_metadata("a/b", "x").await.unwrap_err();
        assert!(
            matches!(&err, Error::Metadata { problem, .. } if problem.contains(named)),
            "{err}"
        );
    }
}

#[tokio::test]
async fn is_asked_once_unless_told_otherwise() {
    let server = MockServer::start().await;
    let busy = || Mock::given(method("HEAD")).respond_with(ResponseTemplate::new(503));
    let quick = busy().expect(1).mount_as_scoped(&server).await;
    assert!(api(&server).get_hf_file_metadata("a/b", "x").await.is_err());
    drop(quick);
    let _patient = busy().expect(3).mount_as_scoped(&server).await;
    let again = api(&server).get_hf_file_metadata("a/b", "x").retry_on_errors(true);
    assert!(again.await.is_err());
}

#[tokio::test]
async fn the_timeout_is_kept() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(60));
    Mock::given(method("HEAD")).respond_with(slow).mount(&server).await;
    let call = api(&server)
        .get_hf_file_metadata("a/b", "x")
        .timeout(Duration::from_millis(20));
    assert!(matches!(call.await, Err(Error::Timeout { .. })));
}

#[tokio::test]
async fn existence_is_told_from_the_error_code() {
    for (status, code, expected) in [
        (404, "EntryNotFound", Some(false)),
        (404, "RevisionNotFound", Some(false)),
        (404, "RepoNotFound", Some(false)),
        (403, "GatedRepo", None),
        (500, "", None),
    ] {
        let server = MockServer::start().await;
        let reply = ResponseTemplate::new(status).insert_header("x-error-code", code);
        Mock::given(method("HEAD")).respond_with(reply).mount(&server).await;
        assert_eq!(api(&server).file_exists("a/b", "x").await.ok(), expected, "{code}");
    }
}
