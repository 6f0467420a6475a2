//! A file's bytes in order, as they come.

use futures_util::StreamExt;

use super::*;

async fn collect(test: &Test, start: Option<u64>, end: Option<u64>) -> Result<Vec<u8>> {
    let mut items = test
        .api
        .download_stream("ada/demo", "dir/file.bin")
        .start(start)
        .end(end)
        .await?;
    let mut all = Vec::new();
    while let Some(bytes) = StreamExt::next(&mut items).await {
        all.extend_from_slice(&bytes?);
    }
    Ok(all)
}

#[tokio::test]
async fn every_range_of_a_small_file_is_right_also_when_cut_or_ignored() {
    let bytes = content(12);
    for fault in ["none", "cut", "ignored"] {
        let body = bytes.clone();
        let server = Server::start(move |seen, number| match fault {
            "cut" if number % 2 == 1 => {
                let answer = good(seen, &body);
                let at = answer.body.len() / 2;
                answer.cut(at)
            }
            "ignored" => Answer::new("200 OK").header("content-length", 12).body(&body),
            _ => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url);
        for start in 0..14u64 {
            for end in start + 1..15 {
                let expected = &bytes[(start as usize).min(12)..(end as usize).min(12)];
                let found = test
                    .api
                    .download_range("ada/demo", "dir/file.bin", start, end)
                    .await
                    .unwrap();
                assert_eq!(found, expected, "{fault} {start}..{end}");
            }
            let expected = &bytes[(start as usize).min(12)..];
            assert_eq!(collect(&test, Some(start), None).await.unwrap(), expected);
        }
        assert!(test.api.download_range("ada/demo", "x", 5, 5).await.is_err());
        assert!(collect(&test, Some(5), Some(4)).await.is_err());
        assert_eq!(test.api.download_bytes("ada/demo", "x").await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_cut() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number <= 4 {
            answer.cut(100_000 * number)
        } else {
            answer
        }
    })
    .await;
    let test = Test::new(&server.url);
    assert!(collect(&test, None, None).await.unwrap() == bytes);
    let starts: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.range(bytes.len()).map(|r| r.0))
        .collect();
    assert_eq!(
        starts,
        [None, Some(100_000), Some(300_000), Some(600_000), Some(1_000_000)]
    );
}

#[tokio::test]
async fn a_stream_that_cannot_go_on_is_an_error() {
    let bytes = content(1000);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &body).cut(500),
        _ => Answer::new("503 Busy").header("content-length", 0),
    })
    .await;
    let err = collect(&Test::new(&server.url), None, None).await.unwrap_err();
    assert_eq!(err.status(), Some(503));

    let other = Server::start(move |seen, number| match number {
        1 => good(seen, &bytes).cut(500),
        _ => good(seen, &[1; 1000]),
    })
    .await;
    let err = collect(&Test::new(&other.url), None, None).await.unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
}

#[tokio::test]
async fn a_missing_file_is_told_with_the_first_item() {
    let server = Server::start(|_, _| {
        Answer::new("404 x")
            .header("x-error-code", "EntryNotFound")
            .header("content-length", 0)
    })
    .await;
    let test = Test::new(&server.url);
    assert!(matches!(collect(&test, None, None).await, Err(Error::EntryNotFound(_))));
    assert!(matches!(
        test.api.download_bytes("a/b", "x").await,
        Err(Error::EntryNotFound(_))
    ));
}

#[tokio::test]
async fn a_path_is_never_half_a_file() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &body).cut(2 << 20),
        2..=5 => Answer::new("503 Busy").header("content-length", 0),
        _ => good(seen, &body),
    })
    .await;
    let test = Test::new(&server.url);
    let path = test.dir.path().join("new/folder/file.bin");
    let call = || test.api.download_to_path("ada/demo", "dir/file.bin", &path);
    assert!(call().await.is_err());
    assert!(!path.exists());
    let fetched = call().await.unwrap();
    assert_eq!(fetched.resumed_from, 2 << 20);
    assert!(fs_err::read(&path).unwrap() == bytes);
    // Two at once do not get in each other's way.
    let (one, two) = tokio::join!(call(), call());
    assert_eq!((one.unwrap().bytes, two.unwrap().bytes), (3 << 20, 3 << 20));
    let names = fs_err::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1);
}

#[tokio::test]
async fn a_path_that_gets_nothing_leaves_nothing() {
    let server = Server::start(|_, _| Answer::new("404 x").header("content-length", 0)).await;
    let test = Test::new(&server.url);
    let path = test.dir.path().join("file.bin");
    assert!(test.api.download_to_path("ada/demo", "x", &path).await.is_err());
    test.assert_nothing();
}
