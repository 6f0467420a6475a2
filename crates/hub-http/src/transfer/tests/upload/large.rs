//! Large files: batches, one request or parts, and addresses that expire.

use super::*;

#[tokio::test]
async fn d15_a_large_file_is_put_where_the_server_says_and_never_inlined() {
    let fake = Fake::start().await;
    let content = vec![7; 1_500_000];
    fake.commit(&[("w.bin", &content), ("a.txt", b"a")]).await.unwrap();
    assert!(fake.stored(&content));
    let oid = Sha256::of(&content).to_string();
    assert_eq!(
        fake.commits()[0].lines[1],
        json!({"key": "lfsFile", "value": {"path": "w.bin", "algo": "sha256", "oid": oid, "size": 1_500_000}})
    );
    let lines: Vec<String> = fake.asked("").into_iter().map(|asked| asked.line).collect();
    let put = format!("PUT /put/{oid}?sig=secret");
    assert_eq!(lines, [PREUPLOAD, BATCH, &put, "POST /verify", COMMIT]);
    let batch = &fake.asked(BATCH)[0];
    assert_eq!(batch.headers["accept"], "application/vnd.git-lfs+json");
    assert_eq!(batch.headers["content-type"], "application/vnd.git-lfs+json");
    assert_eq!(
        batch.json(),
        json!({"operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
            "ref": {"name": "main"}, "objects": [{"oid": oid, "size": 1_500_000}]})
    );
    let put = &fake.asked("PUT")[0];
    assert!(!put.authorized && !put.headers.contains_key("user-agent"));
    assert_eq!(put.headers["content-length"], "1500000");
    assert!(!put.headers.contains_key("transfer-encoding"));
    assert_eq!(put.headers["x-own"], "mine");
    let verify = &fake.asked("POST /verify")[0];
    assert!(verify.authorized);
    assert_eq!(verify.headers["x-verify"], "yes");
    assert_eq!(verify.json(), json!({"oid": oid, "size": 1_500_000}));

    // What is stored is not sent again.
    fake.commit(&[("other/w.bin", &content)]).await.unwrap();
    assert_eq!(fake.asked("PUT").len(), 1);
    assert_eq!(fake.commits()[1].changes(), [("lfsFile", "other/w.bin")]);
}

#[tokio::test]
async fn large_files_are_batched_256_at_a_time_and_each_content_goes_once() {
    let fake = Fake::start().await;
    let files: Vec<(String, Vec<u8>)> = (0..300_u32)
        .map(|at| (format!("{at}.bin"), (at % 257).to_string().into_bytes()))
        .collect();
    let operations: Vec<_> = files
        .iter()
        .map(|(path, content)| CommitOperation::add(path, content.clone()))
        .collect();
    fake.api().create_commit("ada/demo", operations, "m").await.unwrap();
    let batches: Vec<usize> = fake
        .asked(BATCH)
        .iter()
        .map(|asked| asked.json()["objects"].as_array().unwrap().len())
        .collect();
    assert_eq!(batches.iter().sum::<usize>(), 257);
    assert!(batches.iter().all(|objects| *objects <= 256), "{batches:?}");
    assert_eq!(fake.asked("PUT").len(), 257);
    assert_eq!(fake.commits()[0].lines.len(), 301);
}

#[tokio::test]
async fn parts_are_sent_and_put_together() {
    let fake = Fake::start().await;
    fake.set(|state| state.part = Some(600_000));
    let content: Vec<u8> = (0..2_000_000_u32).map(|at| (at % 251) as u8).collect();
    fake.fail("PUT /put", 503, 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.bin");
    fs_err::write(&path, &content).unwrap();
    fake.api().upload_file("ada/demo", path, "w.bin").await.unwrap();
    assert!(fake.stored(&content));
    let puts = fake.asked("PUT");
    assert_eq!(puts.len(), 5, "four parts, one of them twice");
    assert!(
        puts.iter()
            .all(|put| !put.authorized && !put.headers.contains_key("x-own"))
    );
    let complete = &fake.asked("POST /complete")[0];
    assert!(!complete.authorized);
    assert_eq!(complete.headers["x-own"], "mine");
    assert_eq!(complete.headers["content-type"], "application/vnd.git-lfs+json");
    let parts: Vec<Value> = (1..=4)
        .map(|number| json!({"partNumber": number, "etag": format!("\"tag-{number}\"")}))
        .collect();
    assert_eq!(
        complete.json(),
        json!({"oid": Sha256::of(&content).to_string(), "parts": parts})
    );
    assert_eq!(fake.commits().len(), 1);
}

#[tokio::test]
async fn parts_that_do_not_add_up_are_refused() {
    let fake = Fake::start().await;
    fake.set(|state| {
        state.part = Some(10);
        state.without_part = Some(2);
    });
    let err = fake.commit(&[("w.bin", &[1; 25])]).await.unwrap_err();
    assert!(err.to_string().contains("2 parts where 3 are needed"), "{err}");
    assert!(!err.to_string().contains("secret"), "{err}");
    assert!(fake.asked("PUT").is_empty() && fake.asked(COMMIT).is_empty());
}

#[tokio::test]
async fn refused_large_files_are_named() {
    let fake = Fake::start().await;
    fake.set(|state| state.refusal = Some("too large for this repo"));
    let err = fake.commit(&[("w.bin", b"w"), ("v.bin", b"v")]).await.unwrap_err();
    let Error::Batch { failed } = &err else { panic!("{err}") };
    assert_eq!(failed.len(), 2);
    assert!(err.to_string().contains(&Sha256::of(b"v").to_string()), "{err}");
    assert!(fake.asked(COMMIT).is_empty());
}

#[tokio::test]
async fn a_refusal_of_bytes_that_have_arrived_is_no_success() {
    for status in [400, 401, 403, 404, 410] {
        let fake = Fake::start().await;
        fake.fail("POST /verify", status, 9);
        let err = fake.commit(&[("w.bin", b"w")]).await.unwrap_err();
        assert_eq!(err.status(), Some(status), "{err}");
        assert_eq!(fake.asked("PUT").len(), 1, "{status}");
        assert_eq!(fake.asked("POST /verify").len(), 1, "{status}");
        assert!(fake.asked(COMMIT).is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_large_file_is_tried_again_from_its_beginning() {
    let fake = Fake::start().await;
    for begin in [PREUPLOAD, BATCH, "PUT", "POST /verify"] {
        fake.fail(begin, 503, 2);
    }
    let content = vec![3; 700_000];
    let log = Log::default();
    fake.api()
        .upload_file("ada/demo", content.clone(), "w.bin")
        .progress(ProgressHandle::new(log.clone()))
        .await
        .unwrap();
    assert!(fake.stored(&content));
    assert_eq!(fake.asked("PUT").len(), 3);
    assert_eq!(fake.asked(COMMIT).len(), 1);
    log.check(&[("w.bin", 700_000, Outcome::Done)]);
    // The file's own request is told as the file's, the others as nobody's.
    let retries = log.0.retries.lock().unwrap().clone();
    let of_file = |retry| (Some(0), retry);
    assert_eq!(
        retries,
        [
            (None, 1),
            (None, 2),
            (None, 1),
            (None, 2),
            of_file(1),
            of_file(2),
            (None, 1),
            (None, 2)
        ]
    );
}

#[tokio::test]
async fn an_address_that_expired_is_asked_for_again() {
    let fake = Fake::start().await;
    fake.fail("PUT", 403, 1);
    fake.commit(&[("w.bin", b"weights")]).await.unwrap();
    assert_eq!((fake.asked(BATCH).len(), fake.asked("PUT").len()), (2, 2));
    assert!(fake.stored(b"weights"));
    // S3 answers 400 where the token that it was signed with is past its time.
    let other = Fake::start().await;
    other.fail("PUT", 400, 1);
    other.commit(&[("w.bin", b"weights")]).await.unwrap();
    assert_eq!((other.asked(BATCH).len(), other.asked("PUT").len()), (2, 2));
    // Once: who may not write is told so.
    fake.fail("PUT", 403, 9);
    let err = fake.commit(&[("v.bin", b"others")]).await.unwrap_err();
    assert!(matches!(err, Error::Forbidden(_)), "{err}");
    assert_eq!(fake.asked("PUT").len(), 4);
}

#[tokio::test]
async fn a_part_whose_address_expires_midway_is_sent_to_a_new_one() {
    let fake = Fake::start().await;
    fake.set(|state| state.part = Some(100_000));
    let content: Vec<u8> = (0..650_000_u32).map(|n| (n % 251) as u8).collect();
    // Three parts have gone out by then.
    let oid = Sha256::of(&content).to_string();
    let fourth: &'static str = format!("PUT /put/{oid}/4").leak();
    fake.fail(fourth, 403, 1);
    let log = Log::default();
    fake.api()
        .upload_file("ada/demo", content.clone(), "w.bin")
        .progress(ProgressHandle::new(log.clone()))
        .await
        .unwrap();
    assert!(fake.stored(&content));
    assert_eq!((fake.asked(BATCH).len(), fake.asked(COMMIT).len()), (2, 1));
    log.check(&[("w.bin", 650_000, Outcome::Done)]);
}

/// A store that takes a request's head and then no more bytes, and says nothing; with how many it was asked.
async fn stalling_store() -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _ = client.read(&mut [0; 512]).await;
            kept.push(client);
        }
    });
    (url, count)
}

#[tokio::test]
async fn a_store_that_stops_reading_is_given_up_and_tried_again() {
    let fake = Fake::start().await;
    let (store, asked) = stalling_store().await;
    fake.set(|state| state.put_at = Some(store));
    let api = fake
        .builder()
        .upload_timeout(Duration::from_millis(300))
        .retries(2, Duration::from_millis(1));
    let begun = std::time::Instant::now();
    let log = Log::default();
    // More than fits between the two.
    let err = api
        .build()
        .unwrap()
        .upload_file("ada/demo", vec![1; 64 << 20], "w.bin")
        .progress(ProgressHandle::new(log.clone()))
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Timeout { .. }), "{err}");
    assert!(!err.to_string().contains("secret"), "{err}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 3);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(fake.commits().is_empty());
    assert_eq!(log.outcomes().await, [Outcome::Failed]);
    // Nothing is left of it: the next call goes through.
    fake.set(|state| state.put_at = None);
    fake.commit(&[("w.bin", &vec![1; 64 << 20])]).await.unwrap();
    assert_eq!(fake.commits().len(), 1);
}

#[tokio::test]
async fn a_store_that_stops_in_its_reply_is_given_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = Vec::new();
                while !read.ends_with(b"the weights") {
                    read.push(client.read_u8().await?);
                }
                client
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
                    .await?;
                std::future::pending::<std::io::Result<()>>().await
            });
        }
    });
    let fake = Fake::start().await;
    fake.set(|state| state.put_at = Some(store));
    let api = fake
        .builder()
        .upload_timeout(Duration::from_millis(200))
        .retries(1, Duration::from_millis(1))
        .build()
        .unwrap();
    let upload = api.upload_file("ada/demo", b"the weights".to_vec(), "w.bin");
    let ended = tokio::time::timeout(Duration::from_secs(10), upload).await;
    let err = ended.expect("an upload never hangs").unwrap_err();
    assert!(matches!(err, Error::Timeout { .. }), "{err}");
    assert!(!err.to_string().contains("secret"), "{err}");
    assert!(fake.commits().is_empty());
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_never_committed() {
    let fake = Fake::start().await;
    let dir = folder(&[("w.bin", "weights")]);
    let path = dir.path().join("w.bin");
    // Between two attempts.
    fake.fail("PUT", 503, 1);
    fake.set({
        let path = path.clone();
        move |state| state.on_put = Some(Box::new(move || touch(&path)))
    });
    let err = fake
        .api()
        .upload_file("ada/demo", path.as_path(), "w.bin")
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err}");
    assert!(err.to_string().contains("w.bin"), "{err}");
    assert_eq!(fake.asked("PUT").len(), 1);
    assert!(fake.asked(COMMIT).is_empty());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_is_told_and_not_tried_again() {
    let fake = Fake::start().await;
    let dir = folder(&[]);
    let path = dir.path().join("a.txt");
    // Large enough that it is not all read before it shrinks.
    let file = fs_err::File::create(&path).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    let shrinking = path.clone();
    let log = Log::new(move |bytes| {
        if bytes > 0 {
            fs_err::File::create(&shrinking).unwrap();
        }
    });
    let progress = ProgressHandle::new(log.clone());
    let err = fake
        .api()
        .upload_file("ada/demo", path, "a.txt")
        .progress(progress)
        .await
        .unwrap_err();
    assert!(matches!(err, Error::Integrity { .. }), "{err:?}");
    assert!(fake.commits().is_empty());
    assert_eq!(log.outcomes().await, [Outcome::Failed]);
}

#[tokio::test]
async fn what_is_dropped_leaves_nothing_committed() {
    let fake = Fake::start().await;
    fake.set(|state| state.slow = Some(Duration::from_secs(60)));
    let job = fake.api().upload_file("ada/demo", b"weights".to_vec(), "w.bin").spawn();
    while fake.asked("PUT").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    job.abort();
    assert!(matches!(job.await, Err(Error::Aborted)));
    assert!(fake.asked(COMMIT).is_empty());
    // Another run goes on: what had arrived is there.
    fake.commit(&[("w.bin", b"weights")]).await.unwrap();
    assert_eq!((fake.asked("PUT").len(), fake.commits().len()), (1, 1));
}

#[tokio::test]
async fn large_files_go_up_before_their_commit() {
    let fake = Fake::start().await;
    let files = || {
        vec![
            CommitOperation::add("w.bin", b"weights"),
            CommitOperation::add("a.txt", b"a"),
        ]
    };
    let sent = fake.api().preupload_lfs_files("ada/demo", files()).await.unwrap();
    assert_eq!(sent.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["w.bin"]);
    assert!(fake.stored(b"weights") && fake.commits().is_empty());
    fake.api().create_commit("ada/demo", files(), "m").await.unwrap();
    assert_eq!((fake.asked("PUT").len(), fake.commits().len()), (1, 1));
}
