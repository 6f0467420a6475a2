//! Replies that are not the file: errors, other lengths, other bytes, other parts, packed ones.

use super::*;

/// Whether bytes of an error reply could have been kept: nothing of the file is there, and the error is the server's.
async fn refused(status: &'static str, headers: &'static [(&'static str, &'static str)]) -> Error {
    let server = Server::start(move |_, _| {
        let body = r#"{"error":"no"}"#;
        let answer = Answer::new(status).header("content-length", body.len()).body(body);
        headers
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(name, value))
    })
    .await;
    let test = Test::new(&server.url).knowing(&content(14));
    let err = test.fetch().await.unwrap_err();
    test.assert_nothing();
    err
}

#[tokio::test]
async fn d01_error_body_is_never_kept() {
    assert!(matches!(refused("403 Forbidden", &[]).await, Error::Forbidden(_)));
    let entry = &[("X-Error-Code", "EntryNotFound")];
    assert!(matches!(refused("404 Not Found", entry).await, Error::EntryNotFound(_)));
    assert!(matches!(refused("500 Oops", &[]).await, Error::Http(_)));
    assert!(matches!(
        refused("204 No Content", &[]).await,
        Error::MalformedReply { .. }
    ));
    assert!(matches!(
        refused("304 Not Modified", &[]).await,
        Error::MalformedReply { .. }
    ));
}

#[tokio::test]
async fn d02_a_length_that_contradicts_is_wrong() {
    let bytes = content(1000);
    let body = bytes.clone();
    let server =
        Server::start(move |_, _| Answer::new("200 OK").header("content-length", 100).body(&body[..100])).await;
    let test = Test::new(&server.url).knowing(&bytes);
    let err = test.fetch().await.unwrap_err();
    assert!(
        matches!(&err, Error::Integrity { expected, .. } if expected == "1000 bytes"),
        "{err}"
    );
    test.assert_nothing();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_wrong() {
    for size in [1000, 3 << 20] {
        let bytes = content(size + 1);
        let body = bytes.clone();
        let server = Server::start(move |_, _| Answer::new("200 OK").body(&body)).await;
        let test = Test::new(&server.url).knowing(&bytes[..size]);
        let err = test.fetch().await.unwrap_err();
        assert!(matches!(err, Error::Integrity { .. }), "{err:?}");
        test.assert_nothing();
    }
}

/// The most that was ever reported.
#[derive(Default)]
struct Most(Mutex<(u64, u64)>);

impl crate::Progress for Arc<Most> {
    fn started(&self, _: &str, _: Option<u64>) -> crate::ProgressId {
        crate::ProgressId(1)
    }
    fn advanced(&self, _: crate::ProgressId, bytes: u64) {
        let mut now = self.0.lock().unwrap();
        now.0 += bytes;
        now.1 = now.1.max(now.0);
    }
    fn restarted(&self, _: crate::ProgressId, bytes: u64) {
        self.0.lock().unwrap().0 = bytes;
    }
}

#[tokio::test]
async fn c_039_a_range_that_is_answered_with_everything_begins_anew_and_is_counted_once() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |_, number| {
        let answer = Answer::new("200 OK").header("content-length", body.len()).body(&body);
        if number == 1 { answer.cut(2 << 20) } else { answer }
    })
    .await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    let most = Arc::new(Most::default());
    test.options.progress = crate::ProgressHandle::new(most.clone());
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert!(server.seen()[1].header("range").is_some());
    assert_eq!(*most.0.lock().unwrap(), (3 << 20, 3 << 20));
}

#[tokio::test]
async fn c_040_a_range_that_cannot_be_had_begins_anew_once() {
    let bytes = content(3 << 20);
    for refusals in [1, usize::MAX] {
        let body = bytes.clone();
        let refused = AtomicUsize::new(0);
        let server = Server::start(move |seen, number| match seen.header("range") {
            Some(_) if refused.fetch_add(1, Ordering::SeqCst) < refusals => {
                Answer::new("416 Range Not Satisfiable").header("content-length", 0)
            }
            _ if number == 1 || refusals > 1 => good(seen, &body).cut(2 << 20),
            _ => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        let result = test.fetch().await;
        if refusals == 1 {
            result.unwrap();
            test.assert_complete(&bytes);
            assert_eq!(server.seen()[2].range(bytes.len()), None);
        } else {
            assert!(result.is_err());
            assert!(server.seen().len() < 12, "{}", server.seen().len());
        }
    }
}

#[tokio::test]
async fn a_length_that_cannot_be_reserves_nothing() {
    for length in ["1152921504606846976", "18446744073709551615", "99999999999999999999999"] {
        let server = Server::start(move |_, _| {
            Answer::new("200 OK")
                .header("x-repo-commit", COMMIT)
                .header("etag", "\"5f3-huge\"")
                .header("content-length", length)
                .body("ten bytes.")
        })
        .await;
        let test = Test::new(&server.url);
        let err = test.fetch().await.unwrap_err();
        assert!(
            err.is_transient() || matches!(err, Error::Io(_) | Error::Integrity { .. }),
            "{length}: {err:?}"
        );
        assert!(
            fs_err::metadata(test.partial()).map_or(0, |meta| meta.len()) <= 10,
            "{length}"
        );
        test.api.download_bytes("ada/demo", "x").await.unwrap_err();
    }
}

#[tokio::test]
async fn wrong_bytes_are_fetched_once_more_and_never_kept() {
    for size in [2000, 20 << 20] {
        for wrong in [1, usize::MAX] {
            let bytes = content(size);
            let body = bytes.clone();
            let firsts = AtomicUsize::new(0);
            let server = Server::start(move |seen, _| {
                let mut answer = good(seen, &body);
                let first = seen.range(size).is_none_or(|(start, _)| start == 0);
                if first && firsts.fetch_add(1, Ordering::SeqCst) < wrong {
                    answer.body[7] ^= 1;
                }
                answer
            })
            .await;
            let test = Test::new(&server.url).knowing(&bytes);
            let result = test.fetch().await;
            if wrong == 1 {
                assert_eq!(result.unwrap().sha256, Some(Sha256::of(&bytes)));
                test.assert_complete(&bytes);
            } else {
                assert!(matches!(result, Err(Error::Integrity { .. })));
                test.assert_nothing();
            }
        }
    }
}

#[tokio::test]
async fn a_git_blob_id_is_checked_too() {
    for (size, lie) in [(2000, false), (2000, true), (3 << 20, false), (3 << 20, true)] {
        let bytes = content(size);
        let mut body = bytes.clone();
        body[3] ^= u8::from(lie);
        let oid = GitOid::of(&bytes);
        // Without a length: git's hash needs it first.
        let server = Server::start(move |_, _| {
            Answer::new("200 OK")
                .header("etag", format!("\"{oid}\""))
                .header("x-repo-commit", COMMIT)
                .body(&body)
        })
        .await;
        let test = Test::new(&server.url);
        let result = test.fetch().await;
        if lie {
            assert!(matches!(result, Err(Error::Integrity { .. })));
            test.assert_nothing();
        } else {
            let fetched = result.unwrap();
            assert_eq!((fetched.bytes, fetched.sha256), (size as u64, None));
            test.assert_complete(&bytes);
        }
    }
}

#[tokio::test]
async fn ranges_that_are_ignored_or_wrong_are_done_without() {
    let bytes = content(20 << 20);
    let size = bytes.len();
    for fault in ["ignored", "shifted", "total", "none", "beyond", "gzip"] {
        let body = bytes.clone();
        let server = Server::start(move |seen, _| match (seen.range(size), fault) {
            (Some((start, end)), fault) if fault != "ignored" => {
                let part = Answer::new("206 Partial Content")
                    .header("content-length", end - start)
                    .body(&body[start..end]);
                match fault {
                    "shifted" => part.header("content-range", format!("bytes {}-{end}/{size}", start + 1)),
                    "total" => part.header("content-range", format!("bytes {start}-{}/{}", end - 1, size + 1)),
                    "beyond" => part.header("content-range", format!("bytes {start}-{}/{size}", size + 10)),
                    "gzip" => part
                        .header("content-range", format!("bytes {start}-{}/{size}", end - 1))
                        .header("content-encoding", "gzip"),
                    _ => part,
                }
            }
            _ => Answer::new("200 OK").header("content-length", size).body(&body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        test.fetch().await.unwrap_or_else(|err| panic!("{fault}: {err}"));
        test.assert_complete(&bytes);
        assert!(server.seen().len() <= 2, "{fault}");
    }
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_refused() {
    let bytes = content(1000);
    for whole in [true, false] {
        let body = bytes.clone();
        let server = Server::start(move |_, _| {
            let end = if whole { 1000 } else { 500 };
            Answer::new("206 Partial Content")
                .header("content-range", format!("bytes 0-{}/1000", end - 1))
                .header("content-length", end)
                .body(&body[..end])
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        if whole {
            test.fetch().await.unwrap();
            test.assert_complete(&bytes);
        } else {
            assert!(matches!(test.fetch().await, Err(Error::MalformedReply { .. })));
            test.assert_nothing();
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_is_compressed_unasked_is_unpacked_or_refused() {
    for size in [3000, 3 << 20] {
        let bytes = vec![b'a'; size];
        for (encoding, known, right) in [
            ("gzip", true, true),
            ("gzip", false, true),
            ("br", true, false),
            ("cut", true, false),
        ] {
            let mut packed = gzip(&bytes);
            if encoding == "cut" {
                packed.truncate(packed.len() - 9);
            }
            let name = if encoding == "cut" { "gzip" } else { encoding };
            let server = Server::start(move |_, _| {
                Answer::new("200 OK")
                    .header("content-encoding", name)
                    .header("etag", "\"5f3-gzip\"")
                    .body(&packed)
            })
            .await;
            let mut test = Test::new(&server.url);
            if known {
                test = test.knowing(&bytes);
            }
            let result = test.fetch().await;
            assert_eq!(result.is_ok(), right, "{encoding} {known} {result:?}");
            if right {
                test.assert_complete(&bytes);
            }
        }
    }
}

#[tokio::test]
async fn a_packed_bomb_is_stopped_at_the_announced_size() {
    let packed = gzip(&vec![0; 64 << 20]);
    let server =
        Server::start(move |_, _| Answer::new("200 OK").header("content-encoding", "gzip").body(&packed)).await;
    let test = Test::new(&server.url).knowing(&vec![0; 2 << 20]);
    assert!(matches!(test.fetch().await, Err(Error::Integrity { .. })));
    test.assert_nothing();
}

#[tokio::test]
async fn c_041_a_file_that_changes_midway_is_fetched_from_nothing() {
    let (old, new) = (content(3 << 20), vec![7; 3 << 20]);
    let (before, after) = (old.clone(), new.clone());
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &before).cut(2 << 20),
        _ => good(seen, &after),
    })
    .await;
    let mut test = Test::new(&server.url);
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&new);
    assert_eq!(fetched.etag.unwrap().as_sha256(), Some(Sha256::of(&new)));
    let ranges: Vec<bool> = server
        .seen()
        .iter()
        .map(|seen| seen.header("range").is_some())
        .collect();
    assert_eq!(ranges, [false, true, false]);

    // Who expects the old one gets an error, at once.
    test = Test::new(&server.url).knowing(&old);
    let err = test.fetch().await.unwrap_err();
    assert!(
        matches!(&err, Error::Integrity { expected, .. } if expected.starts_with("etag")),
        "{err}"
    );
    test.assert_nothing();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn without_a_hash_the_stores_etag_keeps_versions_apart() {
    let new = content(3 << 20);
    let body = new.clone();
    let server = Server::start(move |seen, number| {
        let etag = if number == 1 { "\"v1\"" } else { "\"v2\"" };
        let mut answer = good(seen, if number == 1 { &[9; 3 << 20] } else { &body });
        answer.head = answer
            .head
            .lines()
            .filter(|line| !line.starts_with("etag"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let answer = answer.header("etag", etag);
        if number == 1 { answer.cut(2 << 20) } else { answer }
    })
    .await;
    let test = Test::new(&server.url);
    test.fetch().await.unwrap();
    test.assert_complete(&new);
}

#[tokio::test]
async fn a_store_that_refuses_more_connections_serves_the_one_that_is_there() {
    let bytes = content(2 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &body).slow(),
        2 => Answer::new("403 Forbidden").header("content-length", 0),
        _ => good(seen, &body),
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert!(server.seen().len() > 1, "more were tried");
}
