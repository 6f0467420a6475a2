//! Fetches into memory: held against size and hash as those into files are.

use hub_types::{GitOid, RepoId};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const CONTENT: &[u8] = b"a small content";

struct World {
    server: MockServer,
    api: HfApi,
    source: FileSource,
}

impl World {
    async fn new() -> Self {
        let server = MockServer::start().await;
        let api = HfApi::builder().endpoint(server.uri()).build().unwrap();
        let repo = RepoId::model("o/n").unwrap();
        let mut source = FileSource::new(repo, "main".parse().unwrap(), "f.txt".parse().unwrap());
        source.etag = Some((&GitOid::of(CONTENT)).into());
        source.size = Some(CONTENT.len() as u64);
        Self { server, api, source }
    }

    /// Answers so many requests with these bytes.
    async fn answer(&self, bytes: &[u8], times: u64) {
        let reply = ResponseTemplate::new(200)
            .insert_header("ETag", format!("\"{}\"", GitOid::of(CONTENT)))
            .set_body_bytes(bytes);
        Mock::given(method("GET"))
            .and(path("/o/n/resolve/main/f.txt"))
            .respond_with(reply)
            .up_to_n_times(times)
            .expect(times)
            .mount(&self.server)
            .await;
    }

    async fn fetch(&self) -> Result<(Fetched, Vec<Bytes>)> {
        self.api.fetch_to_memory(&self.source, &FetchOptions::default()).await
    }
}

#[tokio::test]
async fn a_small_file_comes_into_memory_by_one_request() {
    let world = World::new().await;
    world.answer(CONTENT, 1).await;
    let (fetched, chunks) = world.fetch().await.unwrap();
    assert_eq!(chunks.concat(), CONTENT);
    assert_eq!((fetched.bytes, fetched.etag), (15, world.source.etag.clone()));
}

#[tokio::test]
async fn other_bytes_are_asked_for_once_more_and_never_given() {
    let world = World::new().await;
    world.answer(b"A small content", 1).await;
    world.answer(CONTENT, 1).await;
    let (_, chunks) = world.fetch().await.unwrap();
    assert_eq!(chunks.concat(), CONTENT);

    let world = World::new().await;
    world.answer(b"A small content", 2).await;
    let err = world.fetch().await.unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
}

#[tokio::test]
async fn a_reply_of_another_size_is_not_taken() {
    let world = World::new().await;
    world.answer(b"short", 2).await;
    let err = world.fetch().await.unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
}

#[tokio::test]
async fn an_unknown_or_large_size_is_refused_before_any_request() {
    let mut world = World::new().await;
    for size in [None, Some(SMALL + 1)] {
        world.source.size = size;
        let err = world.fetch().await.unwrap_err();
        assert!(matches!(err, Error::Invalid(_)), "{err}");
    }
    assert_eq!(world.server.received_requests().await.unwrap().len(), 0);
}
