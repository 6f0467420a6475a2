use super::*;

fn error(status: u16, url: &str, headers: &[(&'static str, &str)], body: &str) -> Error {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    ErrorReply {
        method: &Method::GET,
        url,
        status: StatusCode::from_u16(status).unwrap(),
        headers: &map,
        body: body.as_bytes(),
        attempts: 1,
        secret: Some(&Token::new("hf_planted").unwrap()),
    }
    .into_error()
}

macro_rules! table {
    ($($name:ident: $status:literal $url:literal [$($header:literal = $value:literal),*] => $variant:ident;)*) => {
        $(#[test]
        fn $name() {
            let err = error($status, concat!("http://hub.example", $url), &[$(($header, $value)),*], "");
            assert!(matches!(err, Error::$variant(_)), "{err:?}");
        })*
    };
}

table! {
    code_revision: 404 "/api/models/a/b" ["x-error-code" = "RevisionNotFound"] => RevisionNotFound;
    code_entry: 404 "/a/b/resolve/main/x" ["x-error-code" = "EntryNotFound"] => EntryNotFound;
    gated_401: 401 "/api/models/a/b" ["x-error-code" = "GatedRepo"] => GatedRepo;
    gated_403: 403 "/a/b/resolve/main/x" ["x-error-code" = "GatedRepo"] => GatedRepo;
    disabled: 403 "/api/models/a/b" ["x-error-message" = "Access to this resource is disabled."] => DisabledRepo;
    forbidden_other_text: 403 "/api/models/a/b" ["x-error-message" = "Access to this is disabled."] => Forbidden;
    bucket: 404 "/api/buckets/a/b/tree" ["x-error-code" = "RepoNotFound"] => BucketNotFound;
    job: 404 "/api/jobs/ada/123" [] => JobNotFound;
    scheduled_job: 404 "/api/scheduled-jobs/ada/123" [] => JobNotFound;
    jobs_listing: 404 "/api/jobs/ada" [] => Http;
    code_repo: 404 "/api/repos/delete" ["x-error-code" = "RepoNotFound"] => RepoNotFound;
    hidden_repo: 401 "/api/models/a/b" ["x-error-message" = "Invalid username or password."] => RepoNotFound;
    hidden_file: 401 "/datasets/a/b/resolve/main/x" [] => RepoNotFound;
    bad_token: 401 "/api/models/a/b" ["x-error-message" = "Invalid credentials in Authorization header"] => Unauthorized;
    unauthorized_listing: 401 "/api/models" [] => Unauthorized;
    unauthorized_create: 401 "/api/repos/create" [] => Unauthorized;
    bad_request: 400 "/api/models/a/b" [] => BadRequest;
    conflict: 409 "/api/repos/create" [] => Conflict;
    rate_limited: 429 "/api/models" [] => RateLimited;
    plain_404: 404 "/api/models/a/b" [] => Http;
    teapot: 418 "/x" [] => Http;
}

#[test]
fn message_names_each_thing_once() {
    let err = error(
        400,
        "http://user:hf_secret@hub.example/api/models/a/b?sig=secret",
        &[("x-request-id", "r1"), ("x-error-message", "bad name")],
        r#"{"error": ["bad name", "too long"], "errors": [{"message": "third"}]}"#,
    );
    let text = err.to_string();
    assert_eq!(
        text,
        "bad request: 400 Bad Request for GET http://hub.example/api/models/a/b (Request ID: r1): bad name; too long; third"
    );
    assert!(!format!("{err:?}").contains("secret"));
    let html = error(502, "http://h/x", &[("content-type", "text/html")], "<html>oops</html>");
    assert_eq!(html.server_message(), None);
}

#[test]
fn a_bucket_is_named() {
    let err = error(
        404,
        "http://h/api/buckets/a/b/tree",
        &[("x-error-code", "RepoNotFound")],
        "",
    );
    assert_eq!(err.reply().unwrap().bucket.as_deref(), Some("a/b"));
    let other = error(404, "http://h/api/models/a/b", &[("x-error-code", "RepoNotFound")], "");
    assert_eq!(other.reply().unwrap().bucket, None);
}

#[test]
fn the_request_id_is_told_once_and_the_first_header_wins() {
    let all = [
        ("x-amz-cf-id", "cf"),
        ("x-amzn-trace-id", "trace"),
        ("x-request-id", ""),
    ];
    let err = error(500, "http://h/x", &all, "");
    assert_eq!(err.request_id(), Some("trace"));
    let text = err.to_string();
    assert!(
        text.contains("(Amzn Trace ID: trace)") && text.matches("trace").count() == 1,
        "{text}"
    );
}

#[test]
fn a_limit_that_is_not_used_up_is_not_told() {
    let left = [("ratelimit", "\"api\";r=99794;t=55")];
    assert!(!error(429, "http://h/x", &left, "").to_string().contains("limit"));
    let used = [
        ("ratelimit", "\"api\";r=0;t=55"),
        ("ratelimit-policy", "\"fixed window\";\"api\";q=500;w=300"),
    ];
    let text = error(429, "http://h/x", &used, "").to_string();
    assert!(
        text.contains("'api', again possible in 55 seconds (0/500 requests"),
        "{text}"
    );
}

#[test]
fn signed_addresses_lose_their_query() {
    for (text, shown) in [
        (
            "see https://h/x?X-Amz-Signature=p and more",
            "see https://h/x?*** and more",
        ),
        (
            "\"http://h/x?a=1&sig=p\", https://h?Policy=p)",
            "\"http://h/x?***\", https://h?***)",
        ),
        ("https://h/x?revision=main", "https://h/x?revision=main"),
        ("no http here, nor https", "no http here, nor https"),
        ("http", "http"),
    ] {
        assert_eq!(without_signatures(text), shown);
    }
}

#[test]
fn repo_is_read_from_the_address() {
    for (path, repo) in [
        ("/api/datasets/a/b/tree/main", Some("datasets/a/b")),
        ("/api/models/gpt2/revision/main", Some("gpt2")),
        ("/spaces/a/b/resolve/main/x/y", Some("spaces/a/b")),
        ("/gpt2/resolve/main/x", Some("gpt2")),
        ("/api/whoami-v2", None),
    ] {
        assert_eq!(repo_of(path).map(|repo| repo.to_string()).as_deref(), repo, "{path}");
    }
}

#[test]
fn is_small() {
    assert!(size_of::<Error>() <= 72, "{}", size_of::<Error>());
}
