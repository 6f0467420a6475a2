//! How many connections a download should have: it finds out by trying.

use std::time::{Duration, Instant};

/// How long a rate is measured at most, and at least if so many bytes come.
const WINDOW: Duration = Duration::from_millis(100);
const SHORT_WINDOW: Duration = Duration::from_millis(50);
const SHORT_WINDOW_BYTES: u64 = 512 << 10;
/// A single connection that gives this many bytes a second is left alone: it is limited by the machine.
const FAST: f64 = 400e6;
/// The same where the server takes no longer than [`NEAR`] to answer. What lies so near and gives less is limited by the
/// server for each connection, and that is less; a machine that is busy with other things may give little more.
const FAST_NEAR: f64 = 150e6;
const NEAR: Duration = Duration::from_millis(5);
/// A connection that waits for the file during this part of the time is limited by the machine, however fast it is: others
/// would only wait with it.
const HELD: f64 = 0.25;
/// A connection that was fast and is not in so many looks one after the other was so by a server's first burst.
const NO_LONGER_FAST: u32 = 3;
/// A server that takes this long to answer is far away: one connection hardly ever fills the link, and to find out how
/// many do would take longer than they save. So many come at once.
const FAR: Duration = Duration::from_millis(50);
const AT_ONCE: usize = 16;
/// The longest time that new connections are given to bring something, before it is measured what they bring.
const MOST_PATIENCE: Duration = Duration::from_secs(1);
/// More connections were worth it if the rate grew by this factor.
const GAIN: f64 = 1.1;
/// Each was worth as much as those before it, if the rate grew by this part of their growth.
const LINEAR: f64 = 0.6;
/// How long it rests once more connections did not help, before one more is tried.
const REST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Growth {
    cap: usize,
    target: usize,
    /// From a request to the first byte of its reply.
    latency: Duration,
    /// The rate before the last growth, and by what it grew; none before the first look.
    before: Option<(f64, usize)>,
    settled: bool,
    /// Whether a single connection has been fast, and in how many looks it has not been since.
    was_fast: bool,
    slower: u32,
    /// When those that were added last should bring bytes.
    begin: Option<Instant>,
    mark: Option<(Instant, Seen)>,
    hold: Option<Instant>,
}

/// What all connections of a download together have done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// The bytes that have come.
    pub(super) received: u64,
    /// For how long they have waited until what had come was in the file.
    pub(super) held: Duration,
}

impl Growth {
    /// From one connection to at most `cap`; the first reply took `latency` to begin.
    pub(super) fn new(cap: usize, latency: Duration) -> Self {
        Self {
            cap: cap.max(1),
            target: if latency >= FAR { cap.clamp(1, AT_ONCE) } else { 1 },
            latency: latency.min(MOST_PATIENCE),
            before: None,
            settled: cap <= 1,
            was_fast: false,
            slower: 0,
            begin: None,
            mark: None,
            hold: None,
        }
    }

    /// Takes a look: so much was done until `now`. Gives how many connections there should be.
    pub(super) fn tick(&mut self, seen: Seen, now: Instant) -> usize {
        if self.hold.is_some_and(|until| now < until) {
            self.mark = None;
            return self.target;
        }
        if self.begin.is_some_and(|begin| now < begin) {
            return self.target;
        }
        let Some((since, earlier)) = self.mark else {
            self.mark = Some((now, seen));
            return self.target;
        };
        let elapsed = now.duration_since(since);
        let received = seen.received - earlier.received;
        let window = match self.settled {
            true => REST,
            false if received >= SHORT_WINDOW_BYTES => SHORT_WINDOW,
            false => WINDOW,
        };
        if elapsed < window || self.target >= self.cap {
            return self.target;
        }
        let rate = received as f64 / elapsed.as_secs_f64();
        self.mark = Some((now, seen));
        if rate == 0.0 {
            // Still on its way; a connection that is dead has its own timeout.
            return self.target;
        }
        let held = seen.held.saturating_sub(earlier.held).as_secs_f64();
        if held >= HELD * elapsed.as_secs_f64() * self.target as f64 {
            return self.target;
        }
        if !self.settled && self.before.is_none() {
            let fast = if self.latency < NEAR { FAST_NEAR } else { FAST };
            if rate >= fast {
                (self.was_fast, self.slower) = (true, 0);
                return self.target;
            }
            self.slower += 1;
            if self.was_fast && self.slower < NO_LONGER_FAST {
                return self.target;
            }
        }
        let grown = match (self.settled, self.before) {
            (true, _) => self.target + 1,
            (false, None) => self.target * 4,
            (false, Some((before, by))) if rate >= before * by as f64 * LINEAR => self.target * 4,
            (false, Some((before, _))) if rate >= before * GAIN => self.target * 2,
            (false, Some(_)) => self.target,
        };
        self.settled = grown == self.target;
        if !self.settled {
            self.mark = None;
            self.begin = Some(now + self.latency);
        }
        self.before = Some((rate, grown / self.target));
        self.target = grown.min(self.cap);
        self.target
    }

    /// A connection failed, `left` are still there: no more than these, and none more for a while.
    pub(super) fn retreat(&mut self, left: usize, wait: Duration, now: Instant) {
        self.target = left.clamp(1, self.cap);
        self.before = self.before.or(Some((0.0, 1)));
        self.settled = true;
        self.hold = now.checked_add(wait);
        self.mark = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    fn came(received: u64) -> Seen {
        Seen {
            received,
            ..Seen::default()
        }
    }

    /// Runs four seconds of a link on which `rate` gives the bytes a second for a number of connections.
    fn run(cap: usize, rate: impl Fn(usize) -> f64) -> usize {
        run_timed(cap, rate).0
    }

    /// The same, with the time after which there were most connections.
    fn run_timed(cap: usize, rate: impl Fn(usize) -> f64) -> (usize, Duration) {
        const STEP: Duration = Duration::from_millis(25);
        let (mut growth, start, mut received) = (Growth::new(cap, SHORT), Instant::now(), 0.0);
        // The numbers of connections, by when they begin to bring something.
        let mut begun = vec![(Duration::ZERO, 1)];
        for step in 0..160 {
            let now = STEP * step;
            let target = growth.tick(came(received as u64), start + now);
            if begun.last().is_none_or(|(_, last)| *last != target) {
                begun.push((now + SHORT, target));
            }
            let running = begun.iter().rev().find(|(since, _)| *since <= now);
            received += rate(running.map_or(1, |(_, connections)| *connections)) * STEP.as_secs_f64();
        }
        let (since, most) = begun.into_iter().max_by_key(|(_, connections)| *connections).unwrap();
        (most, since)
    }

    #[test]
    fn a_fast_single_connection_is_left_alone() {
        assert_eq!(run(16, |_| 2e9), 1);
    }

    #[test]
    fn what_is_fast_depends_on_how_near_it_is() {
        let begin = |latency, rate: u64| {
            let (mut growth, start) = (Growth::new(16, latency), Instant::now());
            growth.tick(came(0), start);
            growth.tick(came(rate / 10), start + Duration::from_millis(100))
        };
        let longer = Duration::from_millis(20);
        assert_eq!((begin(SHORT, 200_000_000), begin(longer, 200_000_000)), (1, 4));
        assert_eq!((begin(SHORT, 100_000_000), begin(longer, 500_000_000)), (4, 1));
    }

    #[test]
    fn who_waits_for_the_file_gets_no_company() {
        let most = |held: u32| {
            let (mut growth, start) = (Growth::new(16, SHORT), Instant::now());
            let looks = (0..40).map(|step| {
                let seen = Seen {
                    received: u64::from(step) * 1_000_000,
                    held: Duration::from_millis(25) * step * held / 100,
                };
                growth.tick(seen, start + Duration::from_millis(25) * step)
            });
            looks.max()
        };
        assert_eq!((most(0), most(20), most(30)), (Some(4), Some(4), Some(1)));
    }

    #[test]
    fn a_first_burst_does_not_count_for_long() {
        let (mut growth, start, mut received) = (Growth::new(16, SHORT), Instant::now(), 0);
        let mut targets = Vec::new();
        for step in 0..40 {
            let rate: u64 = if step < 8 { 2_000_000_000 } else { 16_000_000 };
            targets.push(growth.tick(came(received), start + Duration::from_millis(25) * step));
            received += rate / 40 * *targets.last().unwrap() as u64;
        }
        assert_eq!((targets[8], targets[39]), (1, 16));
    }

    #[test]
    fn a_pause_of_a_fast_connection_brings_no_others() {
        let (mut growth, start, mut received) = (Growth::new(16, SHORT), Instant::now(), 0);
        for step in 0..200 {
            assert_eq!(growth.tick(came(received), start + Duration::from_millis(25) * step), 1);
            received += if (10..14).contains(&(step % 20)) {
                1_000_000
            } else {
                50_000_000
            };
        }
    }

    #[test]
    fn a_limit_for_each_connection_brings_all_of_them() {
        assert_eq!(run(16, |n| n as f64 * 16e6), 16);
        assert_eq!(run(3, |n| n as f64 * 16e6), 3);
        assert_eq!(run(32, |n| n as f64 * 16e6), 32);
        assert_eq!(run(32, |n| n.min(16) as f64 * 16e6), 32);
    }

    #[test]
    fn all_connections_are_there_soon() {
        let limited = |n: usize| n as f64 * 16e6;
        let (most, since) = run_timed(16, limited);
        assert!(
            most == 16 && since < Duration::from_millis(300),
            "{most} after {since:?}"
        );
    }

    #[test]
    fn a_far_server_gets_many_connections_at_once() {
        for (cap, most) in [(1, 1), (2, 2), (16, 16), (32, 16)] {
            let mut growth = Growth::new(cap, Duration::from_millis(160));
            assert_eq!(growth.tick(came(0), Instant::now()), most);
        }
    }

    #[test]
    fn a_link_that_is_full_gets_no_more() {
        assert_eq!(run(16, |_| 1e6), 4);
        assert_eq!(run(1, |n| n as f64), 1);
    }

    #[test]
    fn a_failure_stops_the_growth_for_as_long_as_asked() {
        let mut growth = Growth::new(8, SHORT);
        let start = Instant::now();
        growth.tick(came(0), start);
        assert_eq!(growth.tick(came(1000), start + Duration::from_secs(1)), 4);
        growth.retreat(2, Duration::from_secs(30), start + Duration::from_secs(1));
        for second in 2..30 {
            assert_eq!(growth.tick(came(second * 1000), start + Duration::from_secs(second)), 2);
        }
        growth.tick(came(40_000), start + Duration::from_secs(40));
        assert_eq!(growth.tick(came(50_000), start + Duration::from_secs(46)), 3);
    }
}
