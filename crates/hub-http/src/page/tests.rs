use std::time::Duration;

use hub_types::Token;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn api(server: &MockServer) -> HfApi {
    HfApi::builder()
        .endpoint(server.uri())
        .token(Token::new("hf_planted").unwrap())
        .retries(5, Duration::from_millis(1))
        .build()
        .unwrap()
}

/// Mounts `/n` for each page: its items, and the whole `Link` header.
async fn pages(server: &MockServer, pages: &[(&[u32], &str)]) {
    for (n, (items, link)) in pages.iter().enumerate() {
        let mut reply = ResponseTemplate::new(200).set_body_json(items);
        if !link.is_empty() {
            reply = reply.insert_header("link", link.replace("HUB", &server.uri()).as_str());
        }
        Mock::given(path(format!("/{n}")))
            .respond_with(reply)
            .mount(server)
            .await;
    }
}

fn items(server: &MockServer) -> Items<u32> {
    Items::paged(api(server), Request::get("/0").query("limit", "3"))
}

async fn asked(server: &MockServer) -> Vec<String> {
    let all = server.received_requests().await.unwrap();
    all.iter()
        .map(|request| match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        })
        .collect()
}

const THREE: [(&[u32], &str); 3] = [
    (&[1, 2, 3], "<HUB/1?cursor=a%2Fb>; rel=\"next\""),
    (&[4, 5], "<HUB/9>; rel=\"xet-auth\", <2>; rel=next"),
    (&[6], "<HUB/0>; rel=\"prev\""),
];

#[tokio::test]
async fn a_page_is_asked_for_when_its_first_item_is() {
    let server = MockServer::start().await;
    pages(&server, &THREE).await;
    let mut items = items(&server);
    assert!(asked(&server).await.is_empty());
    for (item, requests) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)] {
        assert_eq!(items.next().await.unwrap().unwrap(), item);
        assert_eq!(asked(&server).await.len(), requests, "at {item}");
    }
    assert!(items.next().await.is_none() && items.next().await.is_none());
    // The link is followed as it stands, with the token; a relative one too; other relations are not.
    assert_eq!(asked(&server).await, ["/0?limit=3", "/1?cursor=a%2Fb", "/2"]);
    for request in server.received_requests().await.unwrap() {
        assert_eq!(request.headers["authorization"], "Bearer hf_planted");
    }
}

#[tokio::test]
async fn a_limit_spares_requests() {
    for (limit, requests, got) in [(0, 0, 0), (2, 1, 2), (3, 1, 3), (4, 2, 4), (9, 3, 6)] {
        let server = MockServer::start().await;
        pages(&server, &THREE).await;
        let all = items(&server).limited(Some(limit)).limited(None).limited(Some(100));
        assert_eq!(all.collect_all().await.unwrap().len(), got);
        assert_eq!(asked(&server).await.len(), requests, "limit {limit}");

        let server = MockServer::start().await;
        pages(&server, &THREE).await;
        let mut pages = items(&server).limited(Some(limit)).pages();
        let mut sum = 0;
        while let Some(page) = std::future::poll_fn(|cx| Pin::new(&mut pages).poll_next(cx)).await {
            sum += page.unwrap().len();
        }
        assert_eq!((sum, asked(&server).await.len()), (got, requests), "limit {limit}");
    }
}

#[tokio::test]
async fn an_empty_page_may_have_a_next_one() {
    let server = MockServer::start().await;
    pages(
        &server,
        &[(&[], "</1>; rel=next"), (&[], "<HUB/2>; rel=next"), (&[7], "")],
    )
    .await;
    assert_eq!(items(&server).collect_all().await.unwrap(), [7]);
}

#[tokio::test]
async fn a_page_on_another_host_is_asked_for_without_the_token() {
    let other = MockServer::start().await;
    pages(&other, &[(&[], ""), (&[2], "")]).await;
    let server = MockServer::start().await;
    let link = format!("<{}/1>; rel=\"next\"", other.uri());
    pages(&server, &[(&[1], &link)]).await;
    assert_eq!(items(&server).collect_all().await.unwrap(), [1, 2]);
    let asked = &other.received_requests().await.unwrap()[0];
    assert!(!asked.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_mirror_that_passes_links_on_is_not_left() {
    let server = MockServer::start().await;
    pages(
        &server,
        &[(&[1], "<https://huggingface.co/1?c=2>; rel=\"next\""), (&[2], "")],
    )
    .await;
    assert_eq!(items(&server).collect_all().await.unwrap(), [1, 2]);
    assert_eq!(asked(&server).await, ["/0?limit=3", "/1?c=2"]);
}

#[tokio::test]
async fn every_page_is_tried_again_and_an_error_ends_the_listing() {
    let server = MockServer::start().await;
    Mock::given(path("/1"))
        .and(query_param("cursor", "a/b"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(5)
        .mount(&server)
        .await;
    pages(&server, &THREE[..2]).await;
    let mut items = items(&server);
    for item in 1..=5 {
        assert_eq!(items.next().await.unwrap().unwrap(), item);
    }
    assert_eq!(asked(&server).await.len(), 1 + 6);
    let err = items.next().await.unwrap().unwrap_err();
    assert_eq!(err.status(), Some(404));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn a_listing_that_runs_in_a_circle_or_is_no_list_is_an_error() {
    let server = MockServer::start().await;
    pages(&server, &[(&[1], "<HUB/1>; rel=next"), (&[2], "<1>; rel=next")]).await;
    let mut circle = items(&server);
    assert_eq!(circle.next().await.unwrap().unwrap(), 1);
    let err = circle.next().await.unwrap().unwrap_err();
    assert!(err.to_string().contains("leads back"), "{err}");
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200).set_body_json(serde_json::json!({"items": []}));
    Mock::given(path("/0")).respond_with(reply).mount(&server).await;
    let err = items(&server).collect_all().await.unwrap_err();
    assert!(matches!(err, Error::MalformedReply { .. }), "{err:?}");
}

#[cfg(feature = "blocking")]
#[tokio::test]
async fn a_blocking_iterator_is_as_lazy() {
    let server = MockServer::start().await;
    pages(&server, &THREE).await;
    let mut all = items(&server).into_blocking();
    assert!(asked(&server).await.is_empty());
    let two: Vec<u32> = all.by_ref().take(2).map(Result::unwrap).collect();
    assert_eq!((two, asked(&server).await.len()), (vec![1, 2], 1));
    assert_eq!(all.map(Result::unwrap).collect::<Vec<_>>(), [3, 4, 5, 6]);
    let none = items(&server).limited(Some(0)).into_blocking().count();
    assert_eq!((none, asked(&server).await.len()), (0, 3));
}

#[test]
fn finds_the_next_link_among_others() {
    for (value, expected) in [
        ("<http://h/a?x=1&c=2>; rel=\"next\"", Some("http://h/a?x=1&c=2")),
        (
            "<http://h/p>; rel=\"prev\", <http://h/n,1;2>; rel=next",
            Some("http://h/n,1;2"),
        ),
        ("<http://h/a>; rel=\"xet-auth\"", None),
        ("garbage", None),
        ("<unclosed; rel=next", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("link", value.parse().unwrap());
        assert_eq!(next_link(&headers).as_deref(), expected, "{value}");
    }
}
