//! How many connections a download should have: it finds out by trying.

use std::time::{Duration, Instant};

/// The first look, and the time between the others.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(300);
/// A single connection that gives this many bytes a second is left alone: it is limited by the machine.
const FAST: f64 = 400e6;
/// More connections were worth it if the rate grew by this factor.
const GAIN: f64 = 1.1;
/// How long it rests once more connections did not help, before one more is tried.
const REST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Growth {
    cap: usize,
    target: usize,
    /// The rate before the last growth; none before the first look.
    before: Option<f64>,
    settled: bool,
    mark: Option<(Instant, u64)>,
    hold: Option<Instant>,
}

impl Growth {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            cap: cap.max(1),
            target: 1,
            before: None,
            settled: cap <= 1,
            mark: None,
            hold: None,
        }
    }

    /// Takes a look: `received` bytes have come until `now`. Gives how many connections there should be.
    pub(super) fn tick(&mut self, received: u64, now: Instant) -> usize {
        if self.hold.is_some_and(|until| now < until) {
            self.mark = None;
            return self.target;
        }
        let Some((since, before)) = self.mark else {
            self.mark = Some((now, received));
            return self.target;
        };
        let elapsed = now.duration_since(since);
        let wait = match (self.settled, self.before) {
            (true, _) => REST,
            (false, None) => FIRST_LOOK,
            (false, Some(_)) => LOOK,
        };
        if elapsed < wait || self.target >= self.cap {
            return self.target;
        }
        let rate = (received - before) as f64 / elapsed.as_secs_f64();
        self.mark = Some((now, received));
        if rate == 0.0 {
            // Still on its way; a connection that is dead has its own timeout.
            return self.target;
        }
        let grown = match (self.settled, self.before) {
            (true, _) => self.target + 1,
            (false, None) if rate >= FAST => self.target,
            (false, None) => self.target * 4,
            (false, Some(earlier)) if rate >= earlier * GAIN => self.target * 2,
            (false, Some(_)) => self.target,
        };
        self.settled = grown == self.target;
        self.target = grown.min(self.cap);
        self.before = Some(rate);
        self.target
    }

    /// A connection failed, `left` are still there: no more than these, and none more for a while.
    pub(super) fn retreat(&mut self, left: usize, wait: Duration, now: Instant) {
        self.target = left.clamp(1, self.cap);
        self.settled = true;
        self.hold = Some(now + wait);
        self.mark = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs ten seconds of a link on which `rate` gives the bytes a second for a number of connections.
    fn run(cap: usize, rate: impl Fn(usize) -> f64) -> usize {
        let (mut growth, start, mut received, mut target) = (Growth::new(cap), Instant::now(), 0.0, 1);
        for step in 0..40 {
            target = growth.tick(received as u64, start + Duration::from_millis(100) * step);
            received += rate(target) / 10.0;
        }
        target
    }

    #[test]
    fn a_fast_single_connection_is_left_alone() {
        assert_eq!(run(16, |_| 2e9), 1);
    }

    #[test]
    fn a_limit_for_each_connection_brings_all_of_them() {
        assert_eq!(run(16, |n| n as f64 * 16e6), 16);
        assert_eq!(run(3, |n| n as f64 * 16e6), 3);
    }

    #[test]
    fn a_link_that_is_full_gets_no_more() {
        assert_eq!(run(16, |_| 1e6), 4);
        assert_eq!(run(1, |n| n as f64), 1);
    }

    #[test]
    fn a_failure_stops_the_growth_for_as_long_as_asked() {
        let mut growth = Growth::new(8);
        let start = Instant::now();
        growth.tick(0, start);
        assert_eq!(growth.tick(1000, start + Duration::from_secs(1)), 4);
        growth.retreat(2, Duration::from_secs(30), start + Duration::from_secs(1));
        for second in 2..30 {
            assert_eq!(growth.tick(second * 1000, start + Duration::from_secs(second)), 2);
        }
        growth.tick(40_000, start + Duration::from_secs(40));
        assert_eq!(growth.tick(50_000, start + Duration::from_secs(46)), 3);
    }
}
