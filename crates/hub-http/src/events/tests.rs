//! A server that breaks its streams at every point.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::page::Items;

/// What was asked, in order.
type Asked = Arc<Mutex<Vec<String>>>;

/// A client of a server that answers each request by `reply(target, how often it was asked before)`, to the byte, and
/// then closes the connection.
async fn serve(reply: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> (HfApi, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match socket.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let Some(target) = head.split(' ').nth(1) else { continue };
            let path = target.split('?').next().unwrap();
            let before = {
                let mut seen = seen.lock().unwrap();
                seen.push(target.to_owned());
                seen.iter()
                    .filter(|other| other.split('?').next() == Some(path))
                    .count()
                    - 1
            };
            let bytes = reply(path, before);
            // The client may have gone: that is its right.
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
        }
    });
    let api = HfApi::builder()
        .endpoint(endpoint)
        .retries(2, Duration::from_millis(1))
        .build()
        .unwrap();
    (api, asked)
}

/// A stream's head, and its lines in chunks that end where lines do not.
fn stream(lines: &str) -> Vec<u8> {
    let mut wire =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            .to_vec();
    for chunk in lines.as_bytes().chunks(33) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

fn closed(mut wire: Vec<u8>) -> Vec<u8> {
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

fn line(text: &str, second: u32) -> String {
    format!("event: log\ndata: {{\"data\": \"{text}\\n\", \"timestamp\": \"2026-03-04T05:06:{second:02}.000Z\"}}\n\n")
}

fn stage(stage: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"id": "j1", "owner": {{"id": "o1", "name": "ada", "type": "user"}}, "status": {{"stage": "{stage}"}}}}"#
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn all(items: Result<Items<String>>) -> Result<Vec<String>> {
    let lines: Vec<String> = items?.try_collect().await?;
    Ok(lines.iter().map(|line| line.trim_end().to_owned()).collect())
}

const LOGS: &str = "/api/jobs/ada/j1/logs";
const JOB: &str = "/api/jobs/ada/j1";

#[tokio::test]
async fn a_log_that_is_cut_at_any_byte_is_whole_and_has_nothing_twice() {
    // The second and the third line are the same, as lines of a log may be.
    let log = format!(
        ": keep-alive\n\n{}{}{}data:\n\n{}",
        line("café", 1),
        line("b", 2),
        line("b", 2),
        line("d", 3)
    );
    let whole = closed(stream(&log));
    let end = whole.len();
    // Every first of two connections is cut, one byte later each time.
    let (api, asked) = serve(move |_, before| match before % 2 {
        0 => whole[..before / 2].to_vec(),
        _ => whole.clone(),
    })
    .await;
    for cut in 0..end {
        let lines = all(api.fetch_space_logs("ada/app").follow(true).await).await;
        assert_eq!(lines.unwrap(), ["café", "b", "b", "d"], "cut at byte {cut}");
        assert_eq!(asked.lock().unwrap().len(), (cut + 1) * 2, "cut at byte {cut}");
    }
}

#[tokio::test]
async fn a_tail_is_asked_for_once_and_then_found_again() {
    let log = [line("a", 1), line("b", 2), line("c", 3), line("c", 3), line("d", 4)];
    let (api, asked) = serve(move |path, before| match (path, before) {
        (LOGS, 0) => stream(&log[1..3].concat()),
        // Cut behind a line that is the same as the last one of the tail.
        (LOGS, 1) => stream(&log[..4].concat()),
        (LOGS, _) => closed(stream(&log.concat())),
        (_, before) => stage(if before < 3 { "RUNNING" } else { "COMPLETED" }),
    })
    .await;
    let logs = api.fetch_job_logs("j1").namespace("ada").follow(true).tail(2_u64);
    assert_eq!(all(logs.await).await.unwrap(), ["b", "c", "c", "d"]);
    let asked = asked.lock().unwrap();
    let logs: Vec<&String> = asked.iter().filter(|target| target.starts_with(LOGS)).collect();
    assert_eq!(logs, [&format!("{LOGS}?tail=2"), LOGS, LOGS]);
}

#[tokio::test]
async fn a_job_that_ended_as_its_stream_broke_is_not_asked_for_more() {
    let (api, asked) = serve(|path, _| match path {
        LOGS => stream(&line("a", 1)),
        _ => stage("ERROR"),
    })
    .await;
    let logs = api.fetch_job_logs("j1").namespace("ada").follow(true);
    assert_eq!(all(logs.await).await.unwrap(), ["a"]);
    assert_eq!(*asked.lock().unwrap(), [LOGS, JOB]);
}

#[tokio::test]
async fn a_stream_that_closes_before_the_job_has_ended_goes_on() {
    let log = [line("a", 1), line("b", 2)];
    let (api, asked) = serve(move |path, before| match (path, before) {
        (LOGS, 0) => closed(stream(&log[0])),
        (LOGS, _) => closed(stream(&log.concat())),
        // The question itself fails once.
        (_, 1) => Vec::new(),
        (_, before) => stage(if before < 3 { "RUNNING" } else { "COMPLETED" }),
    })
    .await;
    let logs = api.fetch_job_logs("j1").namespace("ada").follow(true);
    assert_eq!(all(logs.await).await.unwrap(), ["a", "b"]);
    assert_eq!(*asked.lock().unwrap(), [LOGS, JOB, JOB, JOB, LOGS, JOB]);
}

#[tokio::test]
async fn retries_count_failures_in_a_row_only_and_then_end() {
    let log: Vec<String> = (0..9).map(|n| line(&n.to_string(), n)).collect();
    // Every second connection breaks at once, and the others bring one line more each, up to the sixth.
    let (api, asked) = serve(move |_, before| match before {
        before if before % 2 == 1 || before > 10 => Vec::new(),
        before => stream(&log[..=before / 2].concat()),
    })
    .await;
    let mut logs = api.fetch_space_logs("ada/app").follow(true).await.unwrap();
    let mut lines = Vec::new();
    let err = loop {
        match logs.try_next().await {
            Ok(line) => lines.push(line.unwrap().trim_end().to_owned()),
            Err(err) => break err,
        }
    };
    assert_eq!(lines, ["0", "1", "2", "3", "4", "5"]);
    assert!(err.is_unreachable(), "{err}");
    // Eleven that were told of, and the five tries behind them.
    assert_eq!(asked.lock().unwrap().len(), 16);
}

#[tokio::test]
async fn what_is_not_followed_takes_one_connection() {
    let log = format!("{}{}", line("a", 1), line("b", 2));
    for wire in [
        stream(&log),
        closed(stream(&log)),
        closed(stream(log.trim_end())),
        stream(&format!("{log}data: {{\"da")),
    ] {
        let (api, asked) = serve(move |_, _| wire.clone()).await;
        assert_eq!(all(api.fetch_space_logs("ada/app").await).await.unwrap(), ["a", "b"]);
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn samples_wait_for_a_job_to_begin_and_end_with_it() {
    const METRICS: &str = "/api/jobs/ada/j1/metrics";
    let over = b"HTTP/1.1 406 Not Acceptable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let sample = "event: metric\ndata: {\"cpu_usage_pct\": 5}\n\n";
    let (api, _) = serve(move |path, before| match (path, before) {
        (METRICS, 1) => closed(stream(&sample.repeat(2))),
        (METRICS, _) => over.to_vec(),
        (_, before) => stage(if before < 4 { "RUNNING" } else { "COMPLETED" }),
    })
    .await;
    let samples = api.fetch_job_metrics("j1").namespace("ada").follow(true).await.unwrap();
    assert_eq!(samples.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    let samples = api.fetch_job_metrics("j1").namespace("ada").await.unwrap();
    assert_eq!(samples.try_collect::<Vec<_>>().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_refusal_is_not_asked_again() {
    let refusal =
        b"HTTP/1.1 404 Not Found\r\nx-error-code: RepoNotFound\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (api, asked) = serve(move |_, _| refusal.to_vec()).await;
    let err = all(api.fetch_space_logs("ada/app").follow(true).await)
        .await
        .unwrap_err();
    assert!(matches!(err, Error::RepoNotFound(_)), "{err}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}
