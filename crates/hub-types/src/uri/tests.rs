use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(uri: &HubUri, kind: &str, id: &str, revision: Option<&str>, path: &str) {
    assert_eq!(
        (
            uri.kind().as_str(),
            uri.id(),
            uri.revision().map(Revision::as_str),
            uri.path()
        ),
        (kind, id, revision, path),
        "{uri}"
    );
    assert_eq!(uri.to_string().parse::<HubUri>().as_ref(), Ok(uri));
}

#[test]
fn reads_what_the_python_client_reads() {
    for (text, kind, id, revision, path, shown) in [
        ("hf://acme/m", "model", "acme/m", None, "", "hf://models/acme/m"),
        (
            "hf://datasets/acme/d@refs/pr/10/f.csv",
            "dataset",
            "acme/d",
            Some("refs/pr/10"),
            "f.csv",
            "hf://datasets/acme/d@refs/pr/10/f.csv",
        ),
        (
            "hf://datasets/acme/d@refs%2Fpr%2F10/f.csv",
            "dataset",
            "acme/d",
            Some("refs/pr/10"),
            "f.csv",
            "hf://datasets/acme/d@refs/pr/10/f.csv",
        ),
        (
            "hf://datasets/acme/d@refs/convert/duckdb.v1/x.db",
            "dataset",
            "acme/d",
            Some("refs/convert/duckdb.v1"),
            "x.db",
            "hf://datasets/acme/d@refs/convert/duckdb.v1/x.db",
        ),
        (
            "hf://acme/m@feature%2Ffoo/c.json",
            "model",
            "acme/m",
            Some("feature/foo"),
            "c.json",
            "hf://models/acme/m@feature%2Ffoo/c.json",
        ),
        ("hf://a/b/c@v1", "model", "a/b", None, "c@v1", "hf://models/a/b/c@v1"),
        (
            "hf://buckets/acme/b/file@1.txt",
            "bucket",
            "acme/b",
            None,
            "file@1.txt",
            "hf://buckets/acme/b/file@1.txt",
        ),
        (
            "hf://spaces/a/b@v1/",
            "space",
            "a/b",
            Some("v1"),
            "",
            "hf://spaces/a/b@v1",
        ),
        (
            "hf://kernels/a/b/x%20y",
            "kernel",
            "a/b",
            None,
            "x%20y",
            "hf://kernels/a/b/x%20y",
        ),
        (
            "hf://models/models/x",
            "model",
            "models/x",
            None,
            "",
            "hf://models/models/x",
        ),
        // The match of a special ref has no regard for what follows.
        (
            "hf://a/b@refs/pr/10x/f",
            "model",
            "a/b",
            Some("refs/pr/10"),
            "x/f",
            "hf://models/a/b@refs/pr/10/x/f",
        ),
        (
            "hf://a/b@refs%2Fpr%2F10x/f",
            "model",
            "a/b",
            Some("refs/pr/10x"),
            "f",
            "hf://models/a/b@refs%2Fpr%2F10x/f",
        ),
        (
            "hf://a/b@refs/x/f",
            "model",
            "a/b",
            Some("refs"),
            "x/f",
            "hf://models/a/b@refs/x/f",
        ),
        (
            "hf://a/b@50%252F",
            "model",
            "a/b",
            Some("50%2F"),
            "",
            "hf://models/a/b@50%252F",
        ),
        ("hf://a/b@50%", "model", "a/b", Some("50%"), "", "hf://models/a/b@50%"),
    ] {
        let uri: HubUri = text.parse().unwrap();
        check(&uri, kind, id, revision, path);
        assert_eq!(uri.to_string(), shown);
    }
}

#[test]
fn refuses_what_the_python_client_refuses() {
    for text in [
        "",
        "hf://",
        "hf:/a/b",
        "HF://a/b",
        "a/b",
        "hf://gpt2",
        "hf://models/gpt2",
        "hf://dataset/a/b",
        "hf://dataset",
        "hf://bucket/a/b",
        "hf://datasets",
        "hf://datasets/",
        "hf://buckets/a",
        "hf://buckets/a/b@v1",
        "hf://buckets/a@v1/b",
        "hf://a/b@",
        "hf://a/b@/f",
        "hf://models/a/b//c",
        "hf://a/b@v1//c",
        "hf://a/b@refs/pr/1//c",
        "hf://a@v1/b",
        "hf://@v1",
        "hf://a/b@a%20b",
        "hf://a/b@%ff",
        "hf://a--b/c",
        "hf://a/b.git",
        "https://huggingface.co/a/b",
    ] {
        let err = text.parse::<HubUri>().expect_err(text);
        assert_eq!((err.what(), err.value()), ("Hub URI", Some(text)));
    }
}

#[test]
fn reads_web_addresses() {
    let hub = "https://huggingface.co";
    for (url, kind, id, revision, path) in [
        (
            "/datasets/a/b/blob/refs%2Fpr%2F10/f.csv",
            "dataset",
            "a/b",
            Some("refs/pr/10"),
            "f.csv",
        ),
        (
            "/datasets/a/b/blob/refs/pr/10/f.csv",
            "dataset",
            "a/b",
            Some("refs/pr/10"),
            "f.csv",
        ),
        (
            "/a/b/blob/main/my%20file.txt?download=true#L1",
            "model",
            "a/b",
            Some("main"),
            "my file.txt",
        ),
        ("/a/b", "model", "a/b", None, ""),
        ("/models/a/b/", "model", "a/b", None, ""),
        ("/a/b/tree", "model", "a/b", None, ""),
        ("//spaces//a/b//raw/v1//x/y", "space", "a/b", Some("v1"), "x/y"),
        (
            "/a/b/resolve/feature%2Ffoo/x%2Fy/z%25",
            "model",
            "a/b",
            Some("feature/foo"),
            "x%2Fy/z%",
        ),
        (
            "/a/b/blame/50%252F/100%25.txt",
            "model",
            "a/b",
            Some("50%2F"),
            "100%.txt",
        ),
        ("/buckets/a/b", "bucket", "a/b", None, ""),
        ("/buckets/a/b/tree", "bucket", "a/b", None, ""),
        ("/buckets/a/b/resolve/x%20y/z@1%25", "bucket", "a/b", None, "x y/z@1%"),
    ] {
        check(
            &HubUri::parse_web(&format!("{hub}{url}"), None).unwrap(),
            kind,
            id,
            revision,
            path,
        );
        check(
            &HubUri::parse_any(&format!("HF.co{url}"), None).unwrap(),
            kind,
            id,
            revision,
            path,
        );
    }
}

#[test]
fn knows_the_hosts_of_the_hub_and_no_others() {
    for url in [
        "https://huggingface.co/gpt2",
        "https://huggingface.co/datasets/a",
        "https://huggingface.co",
        "https://huggingface.co/a/b/discussions",
        "https://huggingface.co/a/b/commit/abc",
        "https://huggingface.co/buckets/a/b/blob/x",
        "https://huggingface.co.evil.com/a/b",
        "https://huggingface.co@evil.com/a/b",
        "https://evil.com/huggingface.co/a/b",
        "https://evil.com#huggingface.co/a/b",
        "http:///a/b",
        "https://huggingface.co/dataset/a",
    ] {
        assert!(HubUri::parse_web(url, None).is_err(), "{url}");
        assert!(HubUri::parse_any(url, None).is_err(), "{url}");
    }
    assert!(HubUri::parse_any("a/b/blob/main/x", None).is_err());
    let own = Some("http://127.0.0.9:8080/hf/");
    for url in [
        "http://127.0.0.9:8080/hf/a/b/tree/v1",
        "127.0.0.9/hf/a/b/tree/v1",
        "http://127.0.0.9:8080/a/b/tree/v1",
        "https://huggingface.co/a/b/tree/v1",
    ] {
        check(&HubUri::parse_any(url, own).unwrap(), "model", "a/b", Some("v1"), "");
    }
    assert!(HubUri::parse_web("http://127.0.0.8/hf/a/b", own).is_err());
    assert!(HubUri::parse_web("http://127.0.0.9/hfx/y", own).unwrap().id() == "hfx/y");
}

#[test]
fn shows_web_addresses() {
    for (uri, url) in [
        ("hf://a/b", "https://h/a/b"),
        (
            "hf://datasets/a/b@feature%2Ffoo",
            "https://h/datasets/a/b/tree/feature%2Ffoo",
        ),
        ("hf://a/b@refs/pr/3/x y", "https://h/a/b/blob/refs/pr/3/x%20y"),
        (
            "hf://spaces/a/b/x/100%.txt",
            "https://h/spaces/a/b/blob/main/x/100%25.txt",
        ),
        ("hf://buckets/a/b", "https://h/buckets/a/b"),
        ("hf://buckets/a/b/x/y@1", "https://h/buckets/a/b/tree/x/y%401"),
    ] {
        assert_eq!(uri.parse::<HubUri>().unwrap().to_url("https://h/"), url);
    }
}

#[test]
fn a_mount_is_a_uri_a_path_and_a_flag() {
    for (text, source, path, read_only) in [
        (
            "hf://buckets/a/b/sub/dir:/mnt:ro",
            "hf://buckets/a/b/sub/dir",
            "/mnt",
            Some(true),
        ),
        ("hf://models/a/b:/data", "hf://models/a/b", "/data", None),
        (
            "hf://models/a/b@v1:/data/x:rw",
            "hf://models/a/b@v1",
            "/data/x",
            Some(false),
        ),
        ("hf://models/a/b/c:/d:/e", "hf://models/a/b/c:/d", "/e", None),
        ("hf://models/a/b:/mnt:ro:ro", "hf://models/a/b", "/mnt:ro", Some(true)),
    ] {
        let mount: HubMount = text.parse().unwrap();
        assert_eq!(
            (
                mount.source().to_string().as_str(),
                mount.mount_path(),
                mount.read_only()
            ),
            (source, path, read_only)
        );
        assert_eq!(mount.to_string(), text);
    }
    for text in [
        "hf://a/b",
        "hf://a/b:ro",
        "hf://a/b:/",
        "hf://a/b:/:ro",
        "hf://:/mnt",
        "hf://a:/mnt",
        "hf://a/b:mnt",
        "a/b:/mnt",
        "https://huggingface.co/a/b:/mnt",
    ] {
        assert!(text.parse::<HubMount>().is_err(), "{text}");
    }
    let uri: HubUri = "hf://a/b".parse().unwrap();
    assert!(HubMount::new(uri.clone(), "/mnt:ro", None).is_err());
    assert!(HubMount::new(uri, "/a:/b", None).is_err());
}

#[test]
fn is_text_in_json() {
    let uri: HubUri = serde_json::from_str("\"hf://a/b@v1\"").unwrap();
    assert_eq!(serde_json::to_string(&uri).unwrap(), "\"hf://models/a/b@v1\"");
}

fn any_uri() -> impl Strategy<Value = HubUri> {
    let revision = proptest::option::of("(refs/pr/|refs/convert/|refs/|v)[a-z0-9%@+.é/]{1,8}");
    (
        0usize..5,
        "[a-z0-9_]{1,9}/[a-z0-9_]{1,9}",
        revision,
        "(\\PC{1,9}(/\\PC{1,9}){0,2})?",
    )
        .prop_filter_map(
            "not everything that is generated is valid",
            |(kind, id, revision, path)| {
                let uri = match RepoType::ALL.get(kind) {
                    Some(repo_type) => HubUri::repo(RepoId::new(*repo_type, &id).ok()?)
                        .ok()?
                        .with_revision(revision.and_then(|revision| revision.parse().ok()))
                        .ok()?,
                    None => HubUri::bucket(&id).ok()?,
                };
                uri.with_path(&path).ok()
            },
        )
}

proptest! {
    #[test]
    fn text_comes_back(uri in any_uri()) {
        prop_assert_eq!(&uri.to_string().parse::<HubUri>().unwrap(), &uri);
        let mount = HubMount::new(uri, "/mnt", Some(false)).unwrap();
        prop_assert_eq!(mount.to_string().parse::<HubMount>().unwrap(), mount);
    }

    #[test]
    fn web_addresses_come_back(uri in any_uri()) {
        let back = HubUri::parse_web(&uri.to_url("https://hf.co"), None).unwrap();
        // An address of a file always names a revision.
        let revision = match uri.kind() {
            HubUriKind::Repo(_) if !uri.path().is_empty() => Some(uri.revision().cloned().unwrap_or_default()),
            _ => uri.revision().cloned(),
        };
        prop_assert_eq!(back, uri.with_revision(revision).unwrap());
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}") {
        let _ = format!("hf://{text}").parse::<HubUri>();
        let _ = format!("hf://{text}").parse::<HubMount>();
        let _ = HubUri::parse_any(&text, Some(&text));
    }

    #[test]
    fn what_parses_is_shown_so_that_it_parses(text in "(hf://)([a-z]{1,8}s/)?[a-z]{1,3}/[a-z]{1,3}(@[a-z%0-9/]{0,9})?[/@:a-z%0-9]{0,9}") {
        if let Ok(uri) = text.parse::<HubUri>() {
            prop_assert_eq!(&uri.to_string().parse::<HubUri>().unwrap(), &uri);
        }
    }
}
