use super::*;

#[test]
fn the_last_line_counts_what_moved_and_what_was_there() {
    let mut state = State::new(Display::None);
    assert_eq!(state.summary(Duration::from_secs(1)), None);
    state.phase(Phase::Transferring, Some(3), Some(6_000_000));
    let a = state.started("a", Some(4_000_000));
    state.restarted(a, 1_000_000);
    state.advanced(a, 3_000_000);
    state.finished(a, Outcome::Done);
    let b = state.started("b", Some(1_000_000));
    state.finished(b, Outcome::Skipped);
    let c = state.started("c", Some(1_000_000));
    state.advanced(c, 500_000);
    state.restarted(c, 0);
    state.advanced(c, 600_000);
    state.taken_back(c, 600_000);
    state.advanced(c, 1_000_000);
    state.finished(c, Outcome::Done);
    assert_eq!(state.position, 6_000_000);
    assert_eq!(
        state.summary(Duration::from_secs(112)).unwrap(),
        "2 files, 5.1 MB in 1 m 52 s (45.5 KB/s); 1 resumed, 1 already there"
    );
    state.deduplicated = 2_000_000;
    let line = state.summary(Duration::from_secs(112)).unwrap();
    assert!(line.ends_with("1 already there, 2.0 MB deduplicated"), "{line}");
}

#[test]
fn what_is_tried_again_says_so_until_it_goes_on() {
    let busy = || Error::Io(std::io::Error::other("busy"));
    let mut state = State::new(Display::None);
    state.phase(Phase::Listing, None, None);
    state.retrying(None, 1, Duration::ZERO, &busy());
    assert_eq!(state.heading(), "retrying (1), Listing files");
    state.phase(Phase::Transferring, Some(2), Some(20));
    assert_eq!(state.heading(), "0/2 files");
    let (a, b) = (
        state.started("folder/a.bin", Some(10)),
        state.started("b.bin", Some(10)),
    );
    state.retrying(Some(a), 1, Duration::ZERO, &busy());
    state.retrying(Some(b), 1, Duration::ZERO, &busy());
    state.retrying(Some(b), 2, Duration::ZERO, &busy());
    assert_eq!(state.heading(), "retrying (2), 0/2 files");
    assert_eq!(state.files[&a.0].message(), "folder/a.bin retrying (1)");
    state.advanced(b, 1);
    assert_eq!(state.heading(), "retrying (1), 0/2 files");
    state.advanced(a, 10);
    state.finished(a, Outcome::Done);
    assert_eq!(state.heading(), "1/2 files");
    let line = state.summary(Duration::from_secs(1)).unwrap();
    assert!(line.ends_with("; 4 retries"), "{line}");
}

#[test]
fn nothing_moved_is_said_too() {
    let mut state = State::new(Display::None);
    let a = state.started("a", Some(1));
    state.finished(a, Outcome::Skipped);
    assert_eq!(state.summary(Duration::ZERO).unwrap(), "1 file already there");
}

#[test]
fn long_paths_keep_their_names() {
    assert_eq!(shortened("a/b", 5), "a/b");
    assert_eq!(shortened("folder/model.bin", 10), "…model.bin");
    assert_eq!(span(Duration::from_millis(400)), "0.4 s");
    assert_eq!(span(Duration::from_secs(7380)), "2 h 3 m");
}
