//! What an earlier call has left, and what is done with it.

use super::*;

#[tokio::test]
async fn c_043_a_partial_that_is_longer_than_the_file_does_not_stay_so() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    test.options.resume = true;
    for done in [8 << 20, bytes.len() as u64, 25 << 20] {
        fs_err::write(test.partial(), content(25 << 20)).unwrap();
        let mut ranges = Ranges::default();
        ranges.insert(0..done);
        Journal::new(
            Some(Sha256::of(&bytes).to_string()),
            None,
            bytes.len() as u64,
            &ranges,
            &Ranges::default(),
        )
        .save(&test.partial())
        .unwrap();
        test.fetch().await.unwrap();
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn d03_another_call_goes_on_where_one_failed() {
    for verify in [true, false] {
        let bytes = content(40 << 20);
        let body = bytes.clone();
        let broken = AtomicUsize::new(0);
        let server = Server::start(move |seen, _| {
            // Whatever lies behind 10 MiB cannot be had at first.
            let (start, _) = seen.range(body.len()).unwrap();
            match broken.fetch_add(1, Ordering::SeqCst) {
                _ if start == 0 => good(seen, &body).cut(10 << 20),
                0..4 => Answer::new("503 Busy").header("content-length", 0),
                _ => good(seen, &body),
            }
        })
        .await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        test.options.verify = Some(verify);
        // Several would have used up the failures by themselves.
        test.options.max_connections = Some(1);
        let err = test.fetch().await.unwrap_err();
        assert_eq!(err.status(), Some(503), "{err}");
        assert!(journal::path(&test.partial()).exists());
        test.options.resume = true;
        let fetched = test.fetch().await.unwrap();
        test.assert_complete(&bytes);
        assert_eq!((fetched.resumed_from, fetched.bytes), (10 << 20, 40 << 20));
        assert_eq!(fetched.sha256.is_some(), verify);
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_what_can_be_resumed() {
    let bytes = content(40 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, number| match number {
        1 => good(seen, &body).cut(5 << 20).hang(),
        _ => good(seen, &body),
    })
    .await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    let count = Arc::new(Count::default());
    test.options.progress = crate::ProgressHandle::new(count.clone());
    {
        let partial = test.partial();
        let fetch = test.api.fetch_to_file(&test.source, &partial, &test.options);
        let enough = async {
            while count.0.lock().unwrap().0 < 4 << 20 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            _ = fetch => panic!("it cannot end"),
            () = enough => {}
        }
    }
    // The last write may still be under way; its end writes the journal.
    journaled(&test, 4 << 20).await;
    test.options.resume = true;
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert!(fetched.resumed_from >= 4 << 20, "{}", fetched.resumed_from);
}

/// Waits until the journal beside the partial file says that so much is there.
async fn journaled(test: &Test, least: u64) -> u64 {
    for _ in 0..500 {
        let covered = Journal::load(&test.partial()).map_or(0, |journal| journal.done(true).covered());
        if covered >= least {
            return covered;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the journal never says that {least} bytes are there");
}

#[tokio::test]
async fn what_has_arrived_is_noted_while_the_download_runs() {
    let bytes = content(8 << 20);
    for slow in [false, true] {
        let body = bytes.clone();
        // Either all at once and then nothing, or so slowly that a batch is never full.
        let server = Server::start(move |seen, number| match (number, slow) {
            (1, false) => good(seen, &body).cut(5 << 20).hang(),
            (1, true) => good(seen, &body).cut(700_000).slow().hang(),
            _ => good(seen, &body),
        })
        .await;
        let test = Test::new(&server.url).knowing(&bytes);
        let mut other = Test::new(&server.url).knowing(&bytes);
        // Less than a batch, in the second case.
        let least = if slow { 300_000 } else { 5 << 20 };
        tokio::select! {
            _ = test.fetch() => panic!("it cannot end"),
            _ = journaled(&test, least) => {
                // As if the process had been killed here: nobody tidies up.
                fs_err::copy(test.partial(), other.partial()).unwrap();
                fs_err::copy(journal::path(&test.partial()), journal::path(&other.partial())).unwrap();
            }
        }
        other.options.resume = true;
        let fetched = other.fetch().await.unwrap();
        other.assert_complete(&bytes);
        assert!(fetched.resumed_from >= least, "{}", fetched.resumed_from);
    }
}

#[tokio::test]
async fn a_whole_file_that_waits_for_its_name_is_not_fetched_again() {
    for size in [3000, 3 << 20, 20 << 20] {
        let bytes = content(size);
        let body = bytes.clone();
        let server = Server::start(move |seen, _| good(seen, &body)).await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        test.options.resume = true;
        test.options.keep_journal = true;
        let first = test.fetch().await.unwrap();
        assert_eq!(journal::path(&test.partial()).exists(), size > 1 << 20);
        let requests = server.seen().len();
        let second = test.fetch().await.unwrap();
        assert_eq!(server.seen().len(), requests, "nothing is asked for again");
        assert_eq!((second.resumed_from, second.sha256), (size as u64, first.sha256));
        assert!(fs_err::read(test.partial()).unwrap() == bytes);

        // Its hash is looked at, not its journal's word.
        let mut damaged = bytes.clone();
        damaged[size / 2] ^= 1;
        fs_err::write(test.partial(), &damaged).unwrap();
        test.options.keep_journal = false;
        assert_eq!(test.fetch().await.unwrap().resumed_from, 0);
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn a_damaged_partial_is_found_out_and_fetched_anew() {
    let bytes = content(20 << 20);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let mut test = Test::new(&server.url).knowing(&bytes);
    test.options.resume = true;
    let mut damaged = bytes.clone();
    damaged[1000] ^= 1;
    fs_err::write(test.partial(), &damaged).unwrap();
    let mut done = Ranges::default();
    done.insert(0..bytes.len() as u64 - 5);
    let etag = Some(Sha256::of(&bytes).to_string());
    Journal::new(etag, None, bytes.len() as u64, &done, &Ranges::default())
        .save(&test.partial())
        .unwrap();
    let fetched = test.fetch().await.unwrap();
    test.assert_complete(&bytes);
    assert_eq!(fetched.resumed_from, 0);
}

#[tokio::test]
async fn a_journal_of_another_content_is_not_followed() {
    let bytes = content(20 << 20);
    for (etag, size) in [
        (Some("0".repeat(64)), bytes.len()),
        (None, bytes.len()),
        (Some(Sha256::of(&bytes).to_string()), 99),
    ] {
        let body = bytes.clone();
        let server = Server::start(move |seen, _| good(seen, &body)).await;
        let mut test = Test::new(&server.url).knowing(&bytes);
        test.options.resume = true;
        // Unverified: only the journal keeps these bytes out.
        test.options.verify = Some(false);
        fs_err::write(test.partial(), vec![1; size.max(99)]).unwrap();
        let mut done = Ranges::default();
        done.insert(0..90);
        Journal::new(etag, None, size as u64, &done, &Ranges::default())
            .save(&test.partial())
            .unwrap();
        assert_eq!(test.fetch().await.unwrap().resumed_from, 0);
        test.assert_complete(&bytes);
    }
}

#[tokio::test]
async fn without_resume_what_was_there_is_lost() {
    let bytes = content(2000);
    let body = bytes.clone();
    let server = Server::start(move |seen, _| good(seen, &body)).await;
    let test = Test::new(&server.url).knowing(&bytes);
    fs_err::write(test.partial(), vec![1; 9999]).unwrap();
    test.fetch().await.unwrap();
    test.assert_complete(&bytes);
}
