//! Connections that are cut, reset or silent, and servers that ask for patience.

use super::*;

#[tokio::test]
async fn d02_a_short_body_is_never_taken_for_the_file() {
    for size in [1000, 3 << 20] {
        let bytes = content(size);
        let body = bytes.clone();
        // Closed early, without a length, by a server that knows no ranges: each try ends at the same place.
        let server = Server::start(move |_, _| Answer::new("200 OK").body(&body).cut(size / 10)).await;
        let test = Test::new(&server.url).knowing(&bytes);
        let err = test.fetch().await.unwrap_err();
        assert!(matches!(err, Error::Integrity { .. }), "{err}");
        assert_ne!(
            fs_err::metadata(test.partial()).map_or(0, |m| m.len()),
            0,
            "kept for later"
        );
        assert!(journal::path(&test.partial()).exists());
        assert_eq!(server.seen().len(), 1 + 3);
    }
}

#[tokio::test]
async fn c_037_w_003_d03_a_dropped_connection_goes_on_where_it_stood() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number == 1 { answer.cut(2 << 20) } else { answer }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].range(bytes.len()), Some((2 << 20, 3 << 20)));
}

/// With threads to spare, a thread writes what it has received; without a hash to compute, it does so without a copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_where_it_arrives_is_right_after_cuts_anywhere() {
    let bytes = content((20 << 20) + 4321);
    for verify in [false, true] {
        for cuts in [
            [1, 131_071, 131_073],
            [131_072, 400_000, 3 << 20],
            [5_000_001, 262_144, 77],
        ] {
            let body = bytes.clone();
            let server = Server::start(move |seen, number| {
                let answer = good(seen, &body);
                match cuts.get(number - 1) {
                    Some(cut) => answer.cut(*cut),
                    None => answer,
                }
            })
            .await;
            let mut test = Test::new(&server.url).knowing(&bytes);
            test.options.verify = Some(verify);
            let count = Arc::new(Count::default());
            test.options.progress = crate::ProgressHandle::new(count.clone());
            test.fetch().await.unwrap();
            test.assert_complete(&bytes);
            assert!(server.seen().len() > cuts.len(), "{verify} {cuts:?}");
            assert_eq!(count.0.lock().unwrap().0, bytes.len() as i64, "{verify} {cuts:?}");
        }
    }
}

#[tokio::test]
async fn c_038_w_003_a_connection_that_is_reset_goes_on_where_it_stood() {
    let bytes = content(3 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number == 1 {
            answer.cut(2 << 20).reset()
        } else {
            answer
        }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    let seen = server.seen();
    let (start, _) = seen[1].range(bytes.len()).unwrap();
    assert!(start > 1 << 20, "{start}");
}

#[tokio::test]
async fn d09_a_silent_server_is_given_up() {
    let bytes = content(3000);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body).cut(0).hang()).await;
    let test = Test::with_timeout(&server.url, Duration::from_millis(400)).knowing(&bytes);
    let err = test.fetch().await.unwrap_err();
    assert!(matches!(err, Error::Timeout { .. }), "{err:?}");
    test.assert_nothing();
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn d09_a_connection_that_stalls_is_opened_again() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number <= 2 {
            answer.cut(3 << 20).hang()
        } else {
            answer
        }
    })
    .await;
    let test = Test::with_timeout(&server.url, Duration::from_millis(400)).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
}

#[tokio::test]
async fn d12_the_wait_that_the_server_names_is_kept() {
    let bytes = content(500);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| match number {
        1 => Answer::new("429 Slow")
            .header("retry-after", 0)
            .header("content-length", 0),
        _ => good(seen, &body),
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    let began = std::time::Instant::now();
    test.fetch().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    test.assert_complete(&bytes);
}

#[tokio::test]
async fn c_045_w_003_bursts_of_failures_are_waited_out() {
    for (size, statuses) in [
        (700, ["408 x", "429 x", "500 x"]),
        (20 << 20, ["502 x", "503 x", "504 x"]),
    ] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| match statuses.get(number - 1) {
            Some(status) => Answer::new(status).header("content-length", 0),
            None => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn a_cut_at_every_byte_is_mended() {
    let bytes = content(40);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        if number % 2 == 1 {
            answer.cut(number / 2)
        } else {
            answer
        }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    for at in 0..40 {
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
        let start = server.seen()[2 * at + 1].range(40).map(|(start, _)| start);
        assert!(start.is_some_and(|start| start <= at), "cut at {at}");
    }
}

#[tokio::test]
async fn a_cut_at_every_byte_of_a_reply_is_mended() {
    let bytes = content(40);
    let whole = {
        let seen = Seen {
            target: String::new(),
            headers: Vec::new(),
        };
        let answer = good(&seen, &bytes);
        [answer.head.as_bytes(), b"\r\n", &answer.body].concat()
    };
    let body = bytes.clone();
    let length = whole.len();
    // Headers and all: what is no whole reply is none.
    let server = Server::start(move |seen, number| match number % 2 {
        1 => Answer {
            raw: Some(whole[..(number / 2) % length].to_vec()),
            ..Answer::default()
        },
        _ => good(seen, &body),
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    for _ in 0..length {
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
    }
    assert_eq!(server.seen().len(), 2 * length);
}

#[tokio::test]
async fn cuts_at_random_are_mended() {
    let bytes = content(30 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| {
        let answer = good(seen, &body);
        let at = (number * 7_654_321) % (5 << 20);
        if number % 3 == 0 { answer } else { answer.cut(at) }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
}

#[tokio::test]
async fn a_server_without_ranges_that_cuts_is_tried_from_the_beginning() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |_, number| {
        let answer = Answer::new("200 OK").header("content-length", body.len()).body(&body);
        if number <= 2 { answer.cut(8 << 20) } else { answer }
    })
    .await;
    let test = Test::new(&server.url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(server.seen().len(), 3);
}

/// A server of about 40 MB a second for each connection, of which the third breaks early if `breaks`: its address, and the
/// most connections that there were at one time.
async fn counting(bytes: Arc<Vec<u8>>, breaks: bool) -> (String, Arc<AtomicUsize>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let most = Arc::new(AtomicUsize::new(0));
    let (open, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = most.clone();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (body, now, peak, failed) = (bytes.clone(), open.clone(), peak.clone(), failed.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                let text = String::from_utf8(head).unwrap();
                let range = text.lines().find_map(|line| line.strip_prefix("range: "));
                let seen = Seen {
                    target: String::new(),
                    headers: range.map(|r| ("range".to_owned(), r.to_owned())).into_iter().collect(),
                };
                let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(count, Ordering::SeqCst);
                let answer = good(&seen, &body);
                stream.write_all(format!("{}\r\n", answer.head).as_bytes()).await?;
                let breaks = breaks && count == 3 && failed.fetch_add(1, Ordering::SeqCst) == 0;
                for (n, piece) in answer.body.chunks(400 << 10).enumerate() {
                    if breaks && n == 2 || stream.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                std::io::Result::Ok(())
            });
        }
    });
    (url, most, server)
}

#[tokio::test]
async fn more_connections_come_and_one_that_fails_does_no_harm() {
    let bytes = Arc::new(content(64 << 20));
    let (url, most, server) = counting(bytes.clone(), true).await;
    let test = Test::new(&url).knowing(&bytes);
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    server.abort();
    let most = most.load(Ordering::SeqCst);
    assert!((3..=32).contains(&most), "{most}");
}

#[tokio::test]
async fn all_downloads_together_have_no_more_connections_than_are_allowed() {
    let bytes = Arc::new(content(8 << 20));
    let (url, most, server) = counting(bytes.clone(), false).await;
    let mut test = Test::new(&url).knowing(&bytes);
    test.api = HfApi::builder().endpoint(&url).max_connections(2).build().unwrap();
    let files = (0..5).map(|number| {
        let (test, path) = (&test, test.dir.path().join(number.to_string()));
        async move {
            let fetch = test.api.fetch_to_file(&test.source, &path, &test.options);
            fetch.await.unwrap();
            assert!(fs_err::read(&path).unwrap() == content(8 << 20));
        }
    });
    futures_util::future::join_all(files).await;
    server.abort();
    // A reply's end is seen by the client before the server counts it off.
    let most = most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most}");
}
