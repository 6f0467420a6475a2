//! What is reported of a download.

use super::*;

/// Notes each retry.
#[derive(Default)]
struct Retries(Mutex<Vec<Retry>>);

/// Of which file, which one, and the status of its cause.
type Retry = (Option<u64>, u32, Option<u16>);

impl crate::Progress for Arc<Retries> {
    fn started(&self, _: &str, _: Option<u64>) -> crate::ProgressId {
        crate::ProgressId(7)
    }
    fn retrying(&self, id: Option<crate::ProgressId>, retry: u32, _: Duration, cause: &Error) {
        self.0.lock().unwrap().push((id.map(|id| id.0), retry, cause.status()));
    }
}

#[tokio::test]
async fn retries_are_told_as_they_happen() {
    for size in [700, 20 << 20] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| match number {
            1 | 2 => Answer::new("503 Busy").header("content-length", 0),
            3 => good(seen, &body).cut(100),
            _ => good(seen, &body),
        })
        .await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        let retries = Arc::new(Retries::default());
        test.options.progress = crate::ProgressHandle::new(retries.clone());
        test.fetch().await.unwrap();
        let expected = [(Some(7), 1, Some(503)), (Some(7), 2, Some(503)), (Some(7), 1, None)];
        assert_eq!(retries.0.lock().unwrap()[..], expected, "{size}");
    }
}

#[tokio::test]
async fn progress_adds_up_and_always_ends() {
    for (size, right) in [(2000, true), (20 << 20, true), (20 << 20, false)] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, number| {
            let mut answer = good(seen, &body);
            if number == 1 || !right {
                answer.body[0] ^= 1;
            }
            answer
        })
        .await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        let count = Arc::new(Count::default());
        test.options.progress = crate::ProgressHandle::new(count.clone());
        assert_eq!(test.fetch().await.is_ok(), right);
        let (bytes, events) = &*count.0.lock().unwrap();
        let last = if right { "Done" } else { "Failed" };
        assert_eq!(events[..], [format!("dir/file.bin Some({size})"), last.to_owned()]);
        assert_eq!(*bytes, if right { size as i64 } else { 0 });
    }
}

#[tokio::test]
async fn a_dropped_call_reports_its_end_and_nothing_more() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body).slow()).await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    let count = Arc::new(Count::default());
    test.options.progress = crate::ProgressHandle::new(count.clone());
    let moved = || count.0.lock().unwrap().0;
    {
        let partial = test.partial();
        let mut fetch = Box::pin(test.api.fetch_to_file(&test.source, &partial, &test.options));
        while moved() == 0 {
            let turn = tokio::time::timeout(Duration::from_millis(5), &mut fetch).await;
            assert!(turn.is_err(), "it cannot end yet");
        }
    }
    // A write that was under way may still end; then there is silence, while the server goes on sending.
    let mut before = -1;
    while before != moved() || count.0.lock().unwrap().1.len() < 2 {
        before = moved();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(moved(), before);
    let events = count.0.lock().unwrap().1.clone();
    assert_eq!(events[1..], ["Failed"]);
}
