//! How far a transfer is, drawn on stderr: bars on a terminal, a plain line now and then elsewhere, or JSON lines.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hub_http::{Error, Outcome, Phase, Progress, ProgressHandle, ProgressId};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::cli::ProgressHow;
use crate::output::{Mode, Output, storage};

/// The bars on the screen, so that a line on stderr can be written above them.
static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Runs something that writes to the terminal, with the bars out of the way.
pub(crate) fn suspended<T>(write: impl FnOnce() -> T) -> T {
    match BARS.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// A transfer that is watched from its begin to its end.
pub(crate) struct Transfer {
    meter: Arc<Meter>,
    how: ProgressHow,
}

impl Transfer {
    pub(crate) fn new(how: ProgressHow) -> Self {
        let rows = terminal_size::terminal_size_of(std::io::stderr()).map_or(24, |(_, rows)| usize::from(rows.0));
        let how = match how {
            // Bars are drawn by moving the cursor: without a terminal there is none.
            ProgressHow::Bar if !std::io::stderr().is_terminal() => ProgressHow::Plain,
            how => how,
        };
        let display = match how {
            ProgressHow::Bar => Display::Bars(Bars::new((rows / 3).clamp(1, 10))),
            ProgressHow::Plain => Display::Plain,
            ProgressHow::Json => Display::Json,
            ProgressHow::None | ProgressHow::Auto => Display::None,
        };
        let meter = Meter {
            state: Mutex::new(State::new(display)),
        };
        Self {
            meter: Arc::new(meter),
            how,
        }
    }

    /// What a library reports to.
    pub(crate) fn handle(&self) -> ProgressHandle {
        ProgressHandle::from(self.meter.clone() as Arc<dyn Progress>)
    }

    /// Clears the screen of bars and says in one line what was done.
    pub(crate) fn finish(self, out: &Output) {
        let mut state = self.meter.lock();
        state.clear();
        match self.how {
            ProgressHow::Json => state.event(
                "done",
                json!({
                    "files": state.done,
                    "bytes": state.moved,
                    "skipped": state.skipped,
                    "resumed": state.resumed,
                    "deduplicated_bytes": state.deduplicated,
                    "failed": state.failed,
                    "retries": state.retries,
                    "seconds": state.began.elapsed().as_secs_f64(),
                }),
            ),
            ProgressHow::None => {}
            _ if out.mode == Mode::Human => {
                if let Some(line) = state.summary(state.began.elapsed()) {
                    out.log(&line);
                }
            }
            _ => {}
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.meter.lock().clear();
    }
}

struct Meter {
    state: Mutex<State>,
}

impl Meter {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere is no reason to stop counting.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Meter {
    fn phase(&self, phase: Phase, files: Option<u64>, bytes: Option<u64>) {
        self.lock().phase(phase, files, bytes);
    }

    fn started(&self, path: &str, size: Option<u64>) -> ProgressId {
        self.lock().started(path, size)
    }

    fn advanced(&self, id: ProgressId, bytes: u64) {
        self.lock().advanced(id, bytes);
    }

    fn restarted(&self, id: ProgressId, bytes: u64) {
        self.lock().restarted(id, bytes);
    }

    fn taken_back(&self, id: ProgressId, bytes: u64) {
        self.lock().taken_back(id, bytes);
    }

    fn deduplicated(&self, _: ProgressId, bytes: u64) {
        self.lock().deduplicated += bytes;
    }

    fn retrying(&self, id: Option<ProgressId>, retry: u32, wait: Duration, cause: &Error) {
        self.lock().retrying(id, retry, wait, cause);
    }

    fn finished(&self, id: ProgressId, outcome: Outcome) {
        self.lock().finished(id, outcome);
    }
}

enum Display {
    Bars(Bars),
    Plain,
    Json,
    None,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    /// Whether the whole is drawn as a bar, which needs a size.
    has_size: bool,
    most: usize,
}

impl Bars {
    fn new(most: usize) -> Self {
        let all = BARS.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        let total = all.add(ProgressBar::new(0));
        total.set_style(style("{msg}"));
        total.set_message("Listing files");
        total.tick();
        Self {
            all: all.clone(),
            total,
            has_size: false,
            most,
        }
    }

    /// Draws the whole as a bar once there is something to count, and as words before.
    fn size(&mut self, bytes: u64) {
        if self.has_size != (bytes > 0) {
            self.has_size = bytes > 0;
            self.total.set_style(style(if self.has_size { TOTAL } else { "{msg}" }));
        }
        self.total.set_length(bytes);
    }

    fn file(&self, size: Option<u64>) -> ProgressBar {
        let bar = self.all.add(ProgressBar::new(size.unwrap_or(0)));
        bar.set_style(style(if size.is_some() {
            "  {msg:<40!} {bar:24} {percent:>3}% {decimal_bytes:>10}/{decimal_total_bytes}"
        } else {
            "  {msg:<40!} {decimal_bytes:>10}"
        }));
        bar
    }
}

/// How many characters of a file's name are shown.
const NAME: usize = 40;

const TOTAL: &str = "{msg:<24!} {bar:24} {percent:>3}% {decimal_bytes:>10}/{decimal_total_bytes:<10} {decimal_bytes_per_sec:>12} {eta:>4} left";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is a constant of this file and every key in it is known")
        .progress_chars("━╸ ")
}

/// The end of a path, where its name is.
fn shortened(path: &str, most: usize) -> String {
    let length = path.chars().count();
    let clean = path.chars().map(|c| if c.is_control() { '?' } else { c });
    if length <= most {
        return clean.collect();
    }
    let tail: String = clean.skip(length - (most - 1)).collect();
    format!("…{tail}")
}

struct File {
    path: String,
    size: Option<u64>,
    done: u64,
    /// Which retry it is in, 0 where it goes on.
    retry: u32,
    bar: Option<ProgressBar>,
}

impl File {
    /// What stands before its bar: its name, or the end of that and that it is tried again.
    fn message(&self) -> String {
        match self.retry {
            0 => shortened(&self.path, NAME),
            retry => {
                let note = format!(" retrying ({retry})");
                shortened(&self.path, NAME - note.len()) + &note
            }
        }
    }
}

struct State {
    display: Display,
    began: Instant,
    /// Files on their way, by id.
    files: BTreeMap<u64, File>,
    next_id: u64,
    phase: Option<Phase>,
    expected_files: Option<u64>,
    expected_bytes: Option<u64>,
    /// Bytes of all files that began, where their size is known.
    seen_bytes: u64,
    /// Bytes of the whole that are done, and those of them that came in this run.
    position: u64,
    moved: u64,
    done: u64,
    skipped: u64,
    resumed: u64,
    failed: u64,
    /// Bytes that were not sent, since the storage had them.
    deduplicated: u64,
    /// Of all requests, and which one is waited for that is of no single file.
    retries: u64,
    retry: u32,
    last_line: Instant,
    last_percent: u64,
}

impl State {
    fn new(display: Display) -> Self {
        let now = Instant::now();
        Self {
            display,
            began: now,
            files: BTreeMap::new(),
            next_id: 0,
            phase: None,
            expected_files: None,
            expected_bytes: None,
            seen_bytes: 0,
            position: 0,
            moved: 0,
            done: 0,
            skipped: 0,
            resumed: 0,
            failed: 0,
            deduplicated: 0,
            retries: 0,
            retry: 0,
            last_line: now,
            last_percent: 0,
        }
    }

    fn phase(&mut self, phase: Phase, files: Option<u64>, bytes: Option<u64>) {
        self.phase = Some(phase);
        self.retry = 0;
        if phase == Phase::Transferring {
            self.expected_files = files.or(self.expected_files);
            self.expected_bytes = bytes.or(self.expected_bytes);
        }
        if let Display::Json = self.display {
            self.event(
                "start",
                json!({ "phase": phase_name(phase), "files": files, "bytes": bytes }),
            );
        }
        self.show();
    }

    fn started(&mut self, path: &str, size: Option<u64>) -> ProgressId {
        self.retry = 0;
        let id = self.next_id;
        self.next_id += 1;
        self.seen_bytes += size.unwrap_or(0);
        let file = File {
            path: path.to_owned(),
            size,
            done: 0,
            retry: 0,
            bar: None,
        };
        self.files.insert(id, file);
        if let Display::Json = self.display {
            self.event("file", json!({ "path": path, "size": size, "state": "started" }));
        }
        self.fill_bars();
        self.show();
        ProgressId(id)
    }

    fn advanced(&mut self, id: ProgressId, bytes: u64) {
        if let Some(file) = self.files.get_mut(&id.0) {
            file.done += bytes;
            self.position += bytes;
            self.moved += bytes;
            let goes_on = std::mem::take(&mut file.retry) > 0;
            if let Some(bar) = &file.bar {
                bar.set_position(file.done);
                if goes_on {
                    bar.set_message(file.message());
                }
            }
        }
        self.show();
    }

    fn restarted(&mut self, id: ProgressId, bytes: u64) {
        if let Some(file) = self.files.get_mut(&id.0) {
            if file.done == 0 && bytes > 0 {
                self.resumed += 1;
            }
            self.position = (self.position + bytes).saturating_sub(file.done);
            file.done = bytes;
            if let Some(bar) = &file.bar {
                bar.set_position(bytes);
            }
        }
        self.show();
    }

    fn taken_back(&mut self, id: ProgressId, bytes: u64) {
        if let Some(file) = self.files.get_mut(&id.0) {
            let bytes = bytes.min(file.done);
            file.done -= bytes;
            self.position = self.position.saturating_sub(bytes);
            if let Some(bar) = &file.bar {
                bar.set_position(file.done);
            }
        }
        self.show();
    }

    fn retrying(&mut self, id: Option<ProgressId>, retry: u32, wait: Duration, cause: &Error) {
        self.retries += 1;
        let file = id.and_then(|id| self.files.get_mut(&id.0));
        let path = file.as_ref().map(|file| file.path.clone());
        match file {
            Some(file) => {
                file.retry = retry;
                if let Some(bar) = &file.bar {
                    bar.set_message(file.message());
                }
            }
            None => self.retry = retry,
        }
        match &self.display {
            Display::Json => self.event(
                "retry",
                json!({
                    "path": path,
                    "retry": retry,
                    "wait_seconds": wait.as_secs_f64(),
                    "cause": cause.to_string(),
                }),
            ),
            // Whoever waits sees why nothing moves.
            Display::Plain if wait >= PLAIN_LEAST => {
                write_line(&format!("{} in {}: {cause}", self.heading(), span(wait)))
            }
            _ => {}
        }
        self.show();
    }

    fn finished(&mut self, id: ProgressId, outcome: Outcome) {
        let Some(file) = self.files.remove(&id.0) else { return };
        if let (Some(bar), Display::Bars(bars)) = (&file.bar, &self.display) {
            bar.finish_and_clear();
            bars.all.remove(bar);
        }
        let state = match outcome {
            Outcome::Done => {
                self.done += 1;
                "done"
            }
            Outcome::Skipped => {
                self.skipped += 1;
                // It counts as done in the whole, but nothing moved.
                self.position += file.size.unwrap_or(0).saturating_sub(file.done);
                "skipped"
            }
            _ => {
                self.failed += 1;
                "failed"
            }
        };
        if let Display::Json = self.display {
            self.event("file", json!({ "path": file.path, "size": file.size, "state": state }));
        }
        self.fill_bars();
        self.show();
    }

    /// Gives the largest files that have none a bar, while there is room.
    fn fill_bars(&mut self) {
        let Display::Bars(bars) = &self.display else { return };
        while self.files.values().filter(|file| file.bar.is_some()).count() < bars.most {
            let waiting = self.files.values_mut().filter(|file| file.bar.is_none());
            let Some(file) = waiting.max_by_key(|file| file.size) else {
                break;
            };
            let bar = bars.file(file.size);
            bar.set_message(file.message());
            bar.set_position(file.done);
            file.bar = Some(bar);
        }
    }

    fn total(&self) -> u64 {
        self.expected_bytes.unwrap_or(self.seen_bytes).max(self.position)
    }

    fn show(&mut self) {
        let (total, heading) = (self.total(), self.heading());
        match &mut self.display {
            Display::Bars(bars) => {
                bars.size(total);
                bars.total.set_position(self.position);
                bars.total.set_message(heading);
            }
            Display::Plain => self.plain_line(),
            Display::Json => self.json_line(),
            Display::None => {}
        }
    }

    /// What is being done: `Transferring 3/12 files`.
    fn heading(&self) -> String {
        let ended = self.done + self.skipped + self.failed;
        let files = self.expected_files.unwrap_or(ended + self.files.len() as u64);
        let doing = match self.phase {
            Some(Phase::Listing) => "Listing files".to_owned(),
            Some(Phase::Hashing) if files == 0 => "Hashing files".to_owned(),
            Some(Phase::Hashing) => format!("Hashing {ended}/{files} files"),
            Some(Phase::Committing) => "Committing".to_owned(),
            _ => format!("{ended}/{files} files"),
        };
        match self
            .files
            .values()
            .map(|file| file.retry)
            .max()
            .unwrap_or(0)
            .max(self.retry)
        {
            0 => doing,
            // First, since the line has little room.
            retry => format!("retrying ({retry}), {doing}"),
        }
    }

    fn plain_line(&mut self) {
        let since = self.last_line.elapsed();
        let percent = match self.total() {
            0 => 0,
            total => (u128::from(self.position) * 100 / u128::from(total)) as u64,
        };
        let due = since >= PLAIN_INTERVAL || (since >= PLAIN_LEAST && percent >= self.last_percent + 5);
        if !due {
            return;
        }
        self.last_line = Instant::now();
        self.last_percent = percent;
        let rate = rate(self.moved, self.began.elapsed());
        let (position, total) = (storage(self.position), storage(self.total()));
        write_line(&format!(
            "{}: {percent} %, {position} of {total} ({rate})",
            self.heading()
        ));
    }

    fn json_line(&mut self) {
        if self.last_line.elapsed() < JSON_INTERVAL {
            return;
        }
        self.last_line = Instant::now();
        self.event(
            "progress",
            json!({
                "files_done": self.done + self.skipped,
                "files": self.expected_files,
                "bytes_done": self.position,
                "bytes": self.total(),
                "bytes_per_second": (self.moved as f64 / self.began.elapsed().as_secs_f64().max(0.001)) as u64,
                "retries": self.retries,
            }),
        );
    }

    /// One line of `--progress json`. Fields are added, never changed, while `v` stays.
    fn event(&self, name: &str, mut fields: serde_json::Value) {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("v".to_owned(), json!(1));
            fields.insert("event".to_owned(), json!(name));
        }
        write_line(&fields.to_string());
    }

    fn clear(&mut self) {
        if let Display::Bars(bars) = &self.display {
            for file in self.files.values_mut() {
                if let Some(bar) = file.bar.take() {
                    bar.finish_and_clear();
                    bars.all.remove(&bar);
                }
            }
            bars.total.finish_and_clear();
            bars.all.remove(&bars.total);
            // What was drawn last may stand there still: drawing is limited to a few times a second.
            let _ = bars.all.clear();
        }
        self.display = match self.display {
            Display::Json => Display::Json,
            _ => Display::None,
        };
    }

    /// `3 files, 12.4 GB in 1 m 52 s (110 MB/s); 2 resumed, 41 already there`.
    fn summary(&self, elapsed: Duration) -> Option<String> {
        if self.done + self.skipped == 0 {
            return None;
        }
        let plural = |count: u64| {
            if count == 1 {
                "1 file".to_owned()
            } else {
                format!("{count} files")
            }
        };
        if self.done == 0 {
            return Some(format!("{} already there", plural(self.skipped)));
        }
        let mut line = format!(
            "{}, {} in {} ({})",
            plural(self.done),
            storage(self.moved),
            span(elapsed),
            rate(self.moved, elapsed)
        );
        let mut extra: Vec<String> = [(self.resumed, "resumed"), (self.skipped, "already there")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        match self.retries {
            0 => {}
            1 => extra.push("1 retry".to_owned()),
            retries => extra.push(format!("{retries} retries")),
        }
        if self.deduplicated > 0 {
            extra.push(format!("{} deduplicated", storage(self.deduplicated)));
        }
        if !extra.is_empty() {
            line.push_str("; ");
            line.push_str(&extra.join(", "));
        }
        Some(line)
    }
}

const PLAIN_INTERVAL: Duration = Duration::from_secs(10);
/// A short transfer needs no lines.
const PLAIN_LEAST: Duration = Duration::from_secs(2);
const JSON_INTERVAL: Duration = Duration::from_millis(500);

fn write_line(line: &str) {
    // Nowhere is left to say that stderr cannot be written to.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Listing => "listing",
        Phase::Hashing => "hashing",
        Phase::Transferring => "transferring",
        Phase::Committing => "committing",
        _ => "other",
    }
}

fn rate(bytes: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    format!("{}/s", storage((bytes as f64 / seconds) as u64))
}

/// `0.4 s`, `52 s`, `1 m 52 s`, `2 h 3 m`.
fn span(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        0..=9 => format!("{:.1} s", elapsed.as_secs_f64()),
        seconds @ 10..=59 => format!("{seconds} s"),
        seconds @ 60..=3599 => format!("{} m {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests;
