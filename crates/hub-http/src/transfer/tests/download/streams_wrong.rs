//! Streams and reads in place from servers that do them wrong: the right bytes or one clear error, as for whole files.

use futures_util::StreamExt;
use tokio::io::AsyncReadExt as _;

use super::*;

/// The bytes that came, and how it ended.
async fn stream(test: &Test) -> (Vec<u8>, Result<()>) {
    let work = async {
        let mut all = Vec::new();
        let mut items = match test.api.download_stream("ada/demo", "dir/file.bin").await {
            Ok(items) => items,
            Err(err) => return (all, Err(err)),
        };
        while let Some(item) = StreamExt::next(&mut items).await {
            match item {
                Ok(bytes) => all.extend_from_slice(&bytes),
                Err(err) => return (all, Err(err)),
            }
        }
        (all, Ok(()))
    };
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("a stream never hangs")
}

#[track_caller]
fn assert_integrity<T: std::fmt::Debug>(result: Result<T>, what: &str) {
    assert!(matches!(&result, Err(Error::Integrity { .. })), "{what}: {result:?}");
}

#[tokio::test]
async fn a_file_that_has_become_shorter_is_no_whole_one() {
    let bytes = content(1000);
    let server = Server::start(move |seen, _| match seen.range(1000) {
        None => good(seen, &bytes).cut(500),
        Some(_) => Answer::new("416 Range Not Satisfiable")
            .header("content-range", "bytes */500")
            .header("content-length", 0),
    })
    .await;
    let test = Test::new(&server.url);
    let (found, ended) = stream(&test).await;
    assert_eq!(found, content(500));
    assert_integrity(ended, "a stream");
    assert_integrity(test.api.download_bytes("ada/demo", "x").await, "bytes");
}

#[tokio::test]
async fn more_than_was_announced_is_refused() {
    for length in ["chunked", "none"] {
        let server = Server::start(move |_, _| {
            let answer = Answer::new("200 OK")
                .header("x-repo-commit", COMMIT)
                .header("etag", "\"one\"")
                .header("x-linked-size", 100);
            match length {
                "none" => answer.body(content(200)),
                _ => {
                    let body = [b"c8\r\n".as_slice(), &content(200), b"\r\n0\r\n\r\n"].concat();
                    answer.header("transfer-encoding", "chunked").body(body)
                }
            }
        })
        .await;
        let test = Test::new(&server.url);
        assert_integrity(stream(&test).await.1, length);
        assert_integrity(test.api.download_bytes("ada/demo", "x").await, length);
    }
}

#[tokio::test]
async fn other_bytes_than_their_hash_end_with_an_error() {
    let bytes = content(1000);
    let server = Server::start(move |seen, _| {
        let mut answer = good(seen, &bytes);
        *answer.body.last_mut().unwrap() ^= 1;
        answer
    })
    .await;
    let mut test = Test::new(&server.url);
    let (found, ended) = stream(&test).await;
    assert_eq!(found.len(), 1000);
    assert_integrity(ended, "a stream");
    assert_integrity(test.api.download_bytes("ada/demo", "x").await, "bytes");
    // Of a part nobody knows the hash.
    let part = test.api.download_range("ada/demo", "x", 990, 1000).await.unwrap();
    assert_eq!(part.len(), 10);

    test.api = HfApi::builder().endpoint(&server.url).verify(false).build().unwrap();
    assert!(stream(&test).await.1.is_ok());
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_or_stalls_has_all_bytes() {
    let bytes = content(12);
    for hang in [false, true] {
        for at in 0..=bytes.len() {
            let body = bytes.clone();
            let server = Server::start(move |seen, number| match number {
                1 if hang => good(seen, &body).cut(at).hang(),
                1 => good(seen, &body).cut(at),
                _ => good(seen, &body),
            })
            .await;
            let test = Test::with_timeout(&server.url, Duration::from_millis(200));
            let (found, ended) = stream(&test).await;
            assert!(ended.is_ok() && found == bytes, "{at} {hang}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_never_taken_for_it() {
    let bytes = content(1000);
    for (range, encoding) in [
        ("bytes 0-499/1000", None),
        ("bytes 501-999/1000", None),
        ("bytes 500-999/2000", None),
        ("bytes 500-499/1000", None),
        ("garbage", None),
        ("bytes 500-999/1000", Some("gzip")),
    ] {
        let body = bytes.clone();
        let server = Server::start(move |seen, number| {
            if number == 1 {
                return good(seen, &body).cut(500);
            }
            let answer = Answer::new("206 Partial Content")
                .header("x-repo-commit", COMMIT)
                .header("etag", format!("\"{}\"", hash(&body)))
                .header("content-range", range)
                .header("content-length", 500)
                .body(&body[500..]);
            match encoding {
                Some(encoding) => answer.header("content-encoding", encoding),
                None => answer,
            }
        })
        .await;
        let (found, ended) = stream(&Test::new(&server.url)).await;
        assert_eq!(found, bytes[..500], "{range}");
        assert!(ended.is_err(), "{range}");
    }
}

#[tokio::test]
async fn a_file_read_in_place_that_has_become_shorter_is_an_error_for_every_reader() {
    let bytes = content(1000);
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &bytes),
        _ => Answer::new("416 Range Not Satisfiable")
            .header("content-range", "bytes */0")
            .header("content-length", 0),
    })
    .await;
    let test = Test::new(&server.url);
    let file = test.api.open_file("ada/demo", "dir/file.bin").await.unwrap();
    assert_eq!(file.size(), 1000);
    assert_integrity(file.read_at(10, 20).await, "read_at");
    assert_integrity(file.read_ranges(&[0..10, 900..1000]).await, "read_ranges");
    let mut all = Vec::new();
    let mut reader = file.reader();
    let read = tokio::time::timeout(Duration::from_secs(10), reader.read_to_end(&mut all));
    let err = read.await.expect("a reader never hangs").unwrap_err();
    assert!(err.to_string().contains("dir/file.bin"), "{err}");
}
