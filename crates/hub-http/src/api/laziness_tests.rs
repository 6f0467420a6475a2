//! Every listing asks for a page when its first item is wanted, and for no page before.

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::api::testing::Hub;
use crate::client::HfApi;
use crate::error::Result;
use crate::operation::BoxFuture;
use crate::page::Items;

/// Two items a page, and always a page behind it.
struct Endless;

impl Respond for Endless {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let page: u64 = request
            .url
            .query_pairs()
            .find(|(key, _)| key == "p" || key == "cursor")
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0);
        let path = request.url.path();
        let item = item(path);
        let body = if path.ends_with("/discussions") {
            json!({"discussions": [item, item], "count": 1000, "start": page * 2})
        } else {
            json!([item, item])
        };
        let next = format!("<{}?cursor={}>; rel=\"next\"", path, page + 1);
        ResponseTemplate::new(200)
            .set_body_json(body)
            .insert_header("link", next.as_str())
    }
}

/// What is listed there: the members that its model needs.
fn item(path: &str) -> Value {
    let account = json!({"_id": "1", "name": "ada", "fullname": "Ada", "type": "user", "user": "ada"});
    match path {
        _ if path.contains("/tree/") && !path.contains("/buckets/") => {
            json!({"type": "file", "path": "a.txt", "size": 1, "oid": "a".repeat(40)})
        }
        _ if path.contains("/tree") => json!({"type": "file", "path": "a.txt", "size": 1}),
        _ if path.contains("/commits/") => json!({
            "id": "a".repeat(40), "title": "t", "message": "", "date": "2026-03-04T05:06:07.000Z", "authors": [],
        }),
        _ if path.ends_with("/lfs-files") => json!({
            "fileOid": "f", "filename": "m.bin", "oid": "a".repeat(64), "size": 1,
            "pushedAt": "2026-03-04T05:06:07.000Z",
        }),
        _ if path.ends_with("/discussions") => json!({
            "num": 1, "title": "t", "status": "open", "isPullRequest": false, "author": account,
            "repo": {"name": "ada/demo", "type": "model"}, "createdAt": "2026-03-04T05:06:07.000Z",
        }),
        _ if path.contains("/user-access-request/") => json!({
            "user": account, "status": "pending", "timestamp": "2026-03-04T05:06:07.000Z",
        }),
        _ if path.ends_with("/collections") => json!({
            "slug": "ada/c-1", "title": "c", "owner": account, "items": [], "position": 0, "private": false,
        }),
        _ if path.ends_with("/settings/repositories") => json!({
            "id": "ada/demo", "name": "ada/demo", "type": "model", "storage": 1, "visibility": "public",
        }),
        _ if path.contains("/jobs/") => json!({
            "id": "j", "createdAt": "2026-03-04T05:06:07.000Z", "status": {"stage": "RUNNING"}, "flavor": "cpu-basic",
            "owner": {"id": "1", "name": "ada", "type": "user"},
        }),
        _ if path.contains("followers") || path.contains("following") || path.contains("members") => account,
        _ if path.ends_with("/likers") => account,
        _ => json!({"id": "ada/demo"}),
    }
}

type Count = BoxFuture<Result<usize>>;

/// Takes so many items, and gives how many came.
fn take<T: Send + Unpin + 'static>(
    listing: impl IntoFuture<Output = Result<Items<T>>, IntoFuture: Send + 'static>,
    wanted: usize,
) -> Count {
    let listing = listing.into_future();
    Box::pin(async move {
        let mut items = listing.await?;
        let mut came = 0;
        while came < wanted && items.next().await.transpose()?.is_some() {
            came += 1;
        }
        Ok(came)
    })
}

macro_rules! listings {
    ($($name:ident($($argument:expr),*) $(.$option:ident($value:expr))*;)+) => {
        const LISTINGS: &[(&str, fn(&HfApi, usize) -> Count)] = &[
            $((stringify!($name), |api, wanted| take(api.$name($($argument),*)$(.$option($value))*, wanted)),)+
        ];
    };
}

listings! {
    list_models();
    list_datasets();
    list_spaces();
    list_repo_tree("ada/demo");
    list_repo_commits("ada/demo");
    list_lfs_files("ada/demo");
    get_repo_discussions("ada/demo");
    list_collections();
    list_pending_access_requests("ada/demo");
    list_accepted_access_requests("ada/demo");
    list_rejected_access_requests("ada/demo");
    list_user_repos().namespace("acme");
    list_repo_likers("ada/demo");
    list_organization_members("acme");
    list_organization_followers("acme");
    list_user_followers("ada");
    list_user_following("ada");
    list_buckets().namespace("ada");
    list_bucket_tree("ada/box");
    list_jobs().namespace("ada");
}

/// Streams of events or bytes of one reply: they have no pages, and tests of their own.
const NOT_PAGED: &[&str] = &[
    "download_stream",
    "fetch_space_logs",
    "fetch_job_logs",
    "fetch_job_metrics",
];

#[tokio::test]
async fn a_page_is_asked_for_when_its_first_item_is_wanted() {
    for (name, take) in LISTINGS {
        for (wanted, pages) in [(0, 0), (1, 1), (2, 1), (3, 2), (5, 3)] {
            let server = MockServer::start().await;
            Mock::given(any()).respond_with(Endless).mount(&server).await;
            let api = HfApi::builder().endpoint(server.uri()).build().unwrap();
            let came = take(&api, wanted).await.unwrap_or_else(|err| panic!("{name}: {err:?}"));
            let asked = server.received_requests().await.unwrap().len();
            assert_eq!((came, asked), (wanted, pages), "{name}: {wanted} items");
        }
    }
}

#[tokio::test]
async fn a_limit_ends_a_listing_without_another_page() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(Endless).mount(&server).await;
    let api = HfApi::builder().endpoint(server.uri()).build().unwrap();
    let all = api.list_models().limit(4).await.unwrap().collect_all().await.unwrap();
    assert_eq!((all.len(), server.received_requests().await.unwrap().len()), (4, 2));
}

#[test]
fn every_listing_is_in_the_table() {
    let mut found = 0;
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api")];
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(fs_err::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs_err::read_to_string(&path).unwrap();
        // A definition's name stands before its arguments, in families that of each member behind it.
        for (at, _) in text.match_indices("=> stream ") {
            let head = &text[..at];
            let name = head.rsplit("pub fn ").next().unwrap().split('(').next().unwrap();
            if name == "$name" || path.ends_with("laziness_tests.rs") {
                continue;
            }
            found += 1;
            let known = LISTINGS.iter().any(|(listed, _)| *listed == name) || NOT_PAGED.contains(&name);
            assert!(known, "{name} is missing in the table");
        }
    }
    assert!(found > 12, "only {found} listings were found");
}

#[tokio::test]
async fn a_listing_that_fails_midway_gives_what_came_and_then_the_error() {
    let hub = Hub::start().await;
    let page = ResponseTemplate::new(200)
        .set_body_json(json!([{"id": "a/b"}]))
        .insert_header("link", "</api/models?cursor=1>; rel=\"next\"");
    hub.answer_first(1, "GET", "/api/models", page).await;
    hub.answer("GET", "/api/models", ResponseTemplate::new(400)).await;
    let mut items = hub.api().list_models().await.unwrap();
    assert_eq!(items.next().await.unwrap().unwrap().id, "a/b");
    assert!(items.next().await.unwrap().is_err());
    assert!(items.next().await.is_none());
}
