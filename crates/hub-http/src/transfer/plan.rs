//! Which bytes are there, which are being fetched and which come next. No I/O.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A set of byte ranges: sorted, none touching another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range; tells how many of its bytes are new.
    pub(super) fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let first = self.0.partition_point(|r| r.end < range.start);
        let last = self.0.partition_point(|r| r.start <= range.end);
        let touched = &self.0[first..last];
        let known: u64 = touched
            .iter()
            .map(|r| r.end.min(range.end).saturating_sub(r.start.max(range.start)))
            .sum();
        let merged = match (touched.first(), touched.last()) {
            (Some(head), Some(tail)) => head.start.min(range.start)..tail.end.max(range.end),
            _ => range.clone(),
        };
        self.0.splice(first..last, [merged]);
        range.end - range.start - known
    }

    /// How many bytes it has.
    pub(super) fn covered(&self) -> u64 {
        self.0.iter().map(|r| r.end - r.start).sum()
    }

    /// What is missing of `within`.
    pub(super) fn missing(&self, within: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = within.start;
        for range in self.0.iter().filter(|r| r.end > within.start && r.start < within.end) {
            if range.start > at {
                gaps.push(at..range.start);
            }
            at = at.max(range.end);
        }
        if at < within.end {
            gaps.push(at..within.end);
        }
        gaps
    }

    /// Where the run of bytes ends that `at` is in, if it is in one.
    pub(super) fn run_end(&self, at: u64) -> Option<u64> {
        let next = self.0.partition_point(|r| r.end <= at);
        self.0.get(next).filter(|r| r.start <= at).map(|r| r.end)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

/// A range that one connection fetches. Its end may come closer while it does: another one took the rest over.
#[derive(Debug)]
pub(super) struct Segment {
    start: u64,
    position: AtomicU64,
    end: AtomicU64,
    since: Instant,
    /// When bytes first arrived, in milliseconds after `since`; the largest number until they do.
    first: AtomicU64,
    /// When they last arrived.
    last: AtomicU64,
    /// When the time began in which its rate is measured, and where it was then.
    mark: AtomicU64,
    mark_position: AtomicU64,
    /// The rate of the time before that, in bytes a second; the largest number until there was one.
    rate_before: AtomicU64,
    /// Another connection fetches the same, since this one is slow.
    raced: AtomicBool,
}

impl Segment {
    fn new(range: Range<u64>) -> Arc<Self> {
        Arc::new(Self {
            start: range.start,
            position: range.start.into(),
            end: range.end.into(),
            since: Instant::now(),
            first: u64::MAX.into(),
            last: 0.into(),
            mark: 0.into(),
            mark_position: range.start.into(),
            rate_before: u64::MAX.into(),
            raced: false.into(),
        })
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Up to where bytes have arrived.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    pub(super) fn arrived(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
        let now = self.since.elapsed().as_millis() as u64;
        self.first.fetch_min(now, Ordering::Relaxed);
        self.last.store(now, Ordering::Relaxed);
        let measured = now.saturating_sub(self.mark.load(Ordering::Relaxed));
        if measured >= MARK_MILLISECONDS {
            let came = position.saturating_sub(self.mark_position.swap(position, Ordering::Relaxed));
            self.mark.store(now, Ordering::Relaxed);
            self.rate_before.store(came * 1000 / measured, Ordering::Relaxed);
        }
    }

    /// Bytes a second of late: what was fast at first may creep now.
    fn late_rate(&self) -> f64 {
        let measured = (self.since.elapsed().as_millis() as u64).saturating_sub(self.mark.load(Ordering::Relaxed));
        let before = self.rate_before.load(Ordering::Relaxed);
        if measured < MARK_MILLISECONDS / 2 && before != u64::MAX {
            return before as f64;
        }
        let came = self
            .position()
            .saturating_sub(self.mark_position.load(Ordering::Relaxed));
        came as f64 * 1000.0 / (measured.max(1)) as f64
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    fn left(&self) -> u64 {
        self.end().saturating_sub(self.position())
    }

    /// Whether it would take long for what is left: it has stopped, or creeps.
    fn is_slow(&self) -> bool {
        let now = self.since.elapsed();
        let rate = self.late_rate();
        let silent = (now.as_millis() as u64).saturating_sub(self.last.load(Ordering::Relaxed));
        silent > SILENT_MILLISECONDS || now.as_secs_f64() > SLOW_SECONDS && self.left() as f64 > rate * SLOW_SECONDS
    }

    /// How long its first bytes took, and how many have come in each second since; `None` while that cannot be told.
    fn pace(&self) -> Option<Pace> {
        let first = Duration::from_millis(self.first.load(Ordering::Relaxed));
        let elapsed = self.since.elapsed().checked_sub(first)?;
        let rate = (self.position() - self.start) as f64 / elapsed.as_secs_f64();
        (elapsed >= LEAST_PACE && rate > 0.0).then_some(Pace {
            latency: first.as_secs_f64(),
            rate,
        })
    }

    /// In seconds; nothing while it cannot be told.
    fn time_left(&self) -> f64 {
        self.pace().map_or(0.0, |pace| self.left() as f64 / pace.rate)
    }

    /// How many of the bytes that are left another connection should take over, so that both end at one time. `None`
    /// where they would not come sooner by that.
    fn share(&self) -> Option<u64> {
        let left = self.left();
        match self.pace() {
            _ if left < LEAST_SHARED => None,
            Some(pace) if left as f64 / pace.rate > 3.0 * pace.latency + LEAST_GAIN => {
                let meanwhile = (pace.rate * pace.latency) as u64;
                Some((left - meanwhile.min(left / 2)) / 2)
            }
            Some(_) => self.is_slow().then_some(left / 2),
            None => (left >= LEAST_SPLIT || self.is_slow()).then_some(left / 2),
        }
    }

    /// Whether another connection should fetch the same at the same time.
    fn can_be_raced(&self) -> bool {
        self.left() > 0 && !self.raced.load(Ordering::Relaxed) && self.is_slow()
    }
}

/// What a connection does.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// In seconds.
    latency: f64,
    /// In bytes a second.
    rate: f64,
}

/// Less time than this tells nothing of a connection.
const LEAST_PACE: Duration = Duration::from_millis(20);
/// Less than this is never shared between connections.
const LEAST_SHARED: u64 = 256 << 10;
/// The same while it is not known how fast the one is that has it.
const LEAST_SPLIT: u64 = 4 << 20;
/// How many seconds it must still take for another connection to be of use, beside those in which that one waits.
const LEAST_GAIN: f64 = 0.05;
const SLOW_SECONDS: f64 = 3.0;
/// For how long a rate is measured.
const MARK_MILLISECONDS: u64 = 2000;
const SILENT_MILLISECONDS: u64 = 2000;

/// The plan of one file.
#[derive(Debug)]
pub(super) struct Plan {
    done: Ranges,
    waiting: VecDeque<Range<u64>>,
    active: Vec<Arc<Segment>>,
    total: Option<u64>,
}

impl Plan {
    /// A plan for `total` bytes (`None`: until the end) of which `done` are there.
    pub(super) fn new(total: Option<u64>, done: Ranges) -> Self {
        let waiting = done.missing(0..total.unwrap_or(u64::MAX)).into();
        Self {
            done,
            waiting,
            active: Vec::new(),
            total,
        }
    }

    /// The next range of at most `most` bytes; where nothing waits, a part of what the slowest has left.
    pub(super) fn take(&mut self, most: u64, split: bool) -> Option<Arc<Segment>> {
        let range = match self.waiting.pop_front() {
            Some(range) if range.end - range.start > most => {
                let middle = range.start + most;
                self.waiting.push_front(middle..range.end);
                range.start..middle
            }
            Some(range) => range,
            None if split => self.split()?,
            None => return None,
        };
        let segment = Segment::new(range);
        self.active.push(segment.clone());
        Some(segment)
    }

    /// Takes a part of what the segment that would take longest has left, if that is worth it, or all that a slow one has
    /// left.
    fn split(&mut self) -> Option<Range<u64>> {
        let shares = self
            .active
            .iter()
            .filter_map(|segment| Some((segment, segment.share()?)));
        let victim =
            shares.max_by(|(a, share), (b, other)| a.time_left().total_cmp(&b.time_left()).then(share.cmp(other)));
        if let Some((victim, share)) = victim {
            let end = victim.end();
            let middle = end - share;
            victim.end.store(middle, Ordering::Relaxed);
            return Some(middle..end);
        }
        let slow = self.active.iter().find(|segment| segment.can_be_raced())?;
        slow.raced.store(true, Ordering::Relaxed);
        self.done.missing(slow.start..slow.end()).into_iter().next()
    }

    /// Whether [`Plan::take`] would give something.
    pub(super) fn has_work(&self) -> bool {
        !self.waiting.is_empty()
            || (self.active.iter()).any(|segment| segment.share().is_some() || segment.can_be_raced())
    }

    /// Nobody works on the segment any more; what is missing of it waits again.
    pub(super) fn leave(&mut self, segment: &Arc<Segment>) {
        self.active.retain(|other| !Arc::ptr_eq(other, segment));
        // What another connection fetches too is left to that one.
        let mut known = self.done.clone();
        for other in &self.active {
            known.insert(other.start..other.end());
        }
        for gap in known.missing(segment.start..segment.end()).into_iter().rev() {
            self.waiting.push_front(gap);
        }
    }

    /// The bytes are in the file. Tells how many of them are new.
    pub(super) fn written(&mut self, range: Range<u64>) -> u64 {
        self.done.insert(range)
    }

    /// The file ends here, which was not known before.
    pub(super) fn ends_at(&mut self, total: u64) {
        self.total = Some(total);
        self.waiting.clear();
        for segment in &self.active {
            segment.end.store(total, Ordering::Relaxed);
        }
    }

    /// What a connection brings in a second, if one that is at work can tell.
    pub(super) fn rate(&self) -> Option<f64> {
        let rates = self.active.iter().filter_map(|segment| segment.pace());
        rates.map(|pace| pace.rate).max_by(f64::total_cmp)
    }

    pub(super) fn done(&self) -> &Ranges {
        &self.done
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    pub(super) fn is_complete(&self) -> bool {
        self.total
            .is_some_and(|total| total == 0 || self.done.run_end(0) == Some(total))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_segment_is_shared_and_a_small_one_is_not() {
        let mut plan = Plan::new(Some(64 << 20), Ranges::default());
        let first = plan.take(u64::MAX, true).unwrap();
        first.arrived(32 << 20);
        let second = plan.take(u64::MAX, true).unwrap();
        assert_eq!(
            (first.end(), second.start(), second.end()),
            (48 << 20, 48 << 20, 64 << 20)
        );
        first.arrived((48 << 20) - 100);
        second.arrived((64 << 20) - 100);
        assert!(plan.take(u64::MAX, true).is_none());
        assert!(!plan.has_work());
    }

    #[test]
    fn what_a_connection_leaves_waits_again() {
        let mut plan = Plan::new(Some(100), Ranges::default());
        let segment = plan.take(60, false).unwrap();
        plan.written(0..10);
        plan.written(20..30);
        plan.leave(&segment);
        let mut next = || plan.take(u64::MAX, false).map(|s| s.start()..s.end());
        assert_eq!(
            [next(), next(), next(), next()],
            [Some(10..20), Some(30..60), Some(60..100), None]
        );
    }

    proptest! {
        #[test]
        fn ranges_are_a_set(parts in prop::collection::vec((0u64..60, 0u64..20), 0..20)) {
            let mut ranges = Ranges::default();
            let mut bytes = std::collections::BTreeSet::new();
            for (start, length) in parts {
                let new = (start..start + length).filter(|b| bytes.insert(*b)).count() as u64;
                prop_assert_eq!(ranges.insert(start..start + length), new);
            }
            prop_assert_eq!(ranges.covered(), bytes.len() as u64);
            let missing: Vec<u64> = ranges.missing(0..100).into_iter().flatten().collect();
            prop_assert_eq!(missing, (0..100).filter(|b| !bytes.contains(b)).collect::<Vec<_>>());
            for at in 0..100 {
                prop_assert_eq!(ranges.run_end(at).is_some(), bytes.contains(&at));
            }
            prop_assert!(ranges.iter().zip(ranges.iter().skip(1)).all(|(a, b)| a.end < b.start));
        }

        #[test]
        fn every_byte_is_planned_once(total in 1u64..(64 << 20), most in 1u64 << 20..(16 << 20), steps in prop::collection::vec(0u8..4, 1..60)) {
            let mut plan = Plan::new(Some(total), Ranges::default());
            let mut active: Vec<Arc<Segment>> = Vec::new();
            let finish = |plan: &mut Plan, segment: Arc<Segment>, part: u64| {
                let end = segment.start() + (segment.end() - segment.start()) / part;
                segment.arrived(end);
                let new = plan.written(segment.start()..end);
                assert_eq!(new, end - segment.start());
                plan.leave(&segment);
            };
            for step in steps {
                match step {
                    0 | 1 => active.extend(plan.take(most, true)),
                    part if !active.is_empty() => {
                        let segment = active.remove(0);
                        finish(&mut plan, segment, u64::from(part) - 1);
                    }
                    _ => {}
                }
            }
            for segment in active {
                finish(&mut plan, segment, 1);
            }
            while let Some(segment) = plan.take(most, true) {
                finish(&mut plan, segment, 1);
            }
            prop_assert!(plan.is_complete());
        }
    }

    #[test]
    fn what_creeps_behind_a_fast_start_is_slow() {
        let seconds = |count| Instant::now().checked_sub(Duration::from_secs(count)).unwrap();
        let range = 0..16 << 20;
        let most: u64 = (16 << 20) - 1024;
        let segment = |since, mark: u64, rate_before: u64| Segment {
            since,
            position: most.into(),
            last: 99_900.into(),
            mark: mark.into(),
            mark_position: (most - 3).into(),
            rate_before: rate_before.into(),
            ..Arc::into_inner(Segment::new(range.clone())).unwrap()
        };
        // Three bytes in the last three seconds, after megabytes.
        let creeping = segment(seconds(100), 97_000, u64::MAX);
        assert!(creeping.is_slow() && creeping.can_be_raced());
        // The same number of bytes, at once.
        assert!(!segment(seconds(100), 99_990, 5_000_000).is_slow());
        assert!(segment(seconds(100), 99_990, 1).is_slow());
        let fresh = Segment::new(range.clone());
        fresh.arrived(1 << 20);
        assert!(!fresh.is_slow());
    }
}
