//! Downloads that were interrupted.

use super::*;

#[tokio::test]
async fn c_028_a_dropped_download_leaves_no_content() {
    let hub = hub().await;
    let job = hub.cache().download_file("o/n", "config.json").spawn();
    job.abort();
    let _ = job.await;
    let blob = hub.repo().join("blobs").join(etag_of(TEXT.as_bytes(), false));
    if blob.exists() {
        assert_eq!(read(&blob), TEXT);
    }
    assert_eq!(
        read(&hub.cache().download_file("o/n", "config.json").await.unwrap()),
        TEXT
    );
}

/// A server of one file that sends half of it and then no more, as long as `stalls` says so. Gives its address and the
/// ranges that were asked for.
fn stalling_server(
    content: Vec<u8>,
    stalls: std::sync::Arc<std::sync::atomic::AtomicBool>,
) -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Write};
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let (log, content) = (ranges.clone(), Arc::new(content));
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let (log, content, stalls) = (log.clone(), content.clone(), stalls.clone());
            std::thread::spawn(move || {
                let lines: Vec<String> = BufReader::new(&socket)
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let head = lines.first().is_some_and(|line| line.starts_with("HEAD"));
                let range = lines
                    .iter()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: ").map(str::to_owned));
                let from: usize = range
                    .as_deref()
                    .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok())
                    .unwrap_or(0);
                let size = content.len();
                let status = if range.is_some() {
                    "206 Partial Content"
                } else {
                    "200 OK"
                };
                let etag = etag_of(&content, true);
                let _ = write!(
                    socket,
                    "HTTP/1.1 {status}\r\nETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nAccept-Ranges: bytes\r\n\
                     Content-Length: {}\r\nContent-Range: bytes {from}-{}/{size}\r\nConnection: close\r\n\r\n",
                    size - from,
                    size - 1
                );
                if head {
                    return;
                }
                log.lock().unwrap().push(range.unwrap_or_default());
                if !stalls.load(Ordering::SeqCst) {
                    let _ = socket.write_all(&content[from..]);
                    return;
                }
                let _ = socket.write_all(&content[from..(size / 2).max(from)]);
                while stalls.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    });
    (address, ranges)
}

#[tokio::test]
async fn c_042_w_002_an_interrupted_download_is_gone_on_with_and_a_damaged_one_begun_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let content: Vec<u8> = (0..6_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for damaged in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let stalls = Arc::new(AtomicBool::new(true));
        let (address, ranges) = stalling_server(content.clone(), stalls.clone());
        // One connection: how many requests there are is what is looked at, and the others would be asked to help.
        let api = hub_http::HfApi::builder()
            .endpoint(&address)
            .max_connections(1)
            .build()
            .unwrap();
        let cache = HubCache::new(api, dir.path());
        let blobs = dir.path().join("models--o--n/blobs");
        let partials = || -> Vec<PathBuf> {
            let entries = fs::read_dir(&blobs).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "incomplete"))
                .collect()
        };
        let job = cache.download_file("o/n", "large.bin").spawn();
        // Until a part of it is on the disk.
        while !partials()
            .iter()
            .any(|path| fs::metadata(path).is_ok_and(|meta| meta.blocks() > 0))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        job.abort();
        assert!(job.await.is_err());
        let left = partials();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(!blobs.join(etag_of(&content, true)).exists());
        // The engine's tasks end a moment after the job, and write what they have.
        let journal = PathBuf::from(format!("{}.journal", left[0].display()));
        while !journal.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if damaged {
            use std::os::unix::fs::FileExt;
            let file = std::fs::File::options().write(true).open(&left[0]).unwrap();
            file.write_all_at(b"not what was sent", 1000).unwrap();
        }
        stalls.store(false, Ordering::SeqCst);
        let path = cache.download_file("o/n", "large.bin").await.unwrap();
        assert_eq!(fs::read(path).unwrap(), content);
        let ranges = ranges.lock().unwrap().clone();
        assert_eq!(ranges[0], "");
        let from: u64 = ranges[1]
            .strip_prefix("bytes=")
            .unwrap()
            .split('-')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(from >= 1 << 20, "{ranges:?}");
        assert_eq!(ranges.len(), if damaged { 3 } else { 2 }, "{ranges:?}");
        let left: Vec<_> = fs::read_dir(&blobs)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, [std::ffi::OsString::from(etag_of(&content, true))]);
    }
}
