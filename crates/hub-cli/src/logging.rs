//! What the libraries log, on stderr and never through a progress bar.

use std::io::Write;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::output::Mode;
use crate::progress;
use crate::settings::Settings;

/// Warnings as this program words its own; everything else only when it was asked for.
pub(crate) fn start(settings: &Settings) {
    let color = settings.color_stderr;
    let builder = tracing_subscriber::fmt()
        .with_writer(|| Stderr(Vec::new()))
        .with_ansi(color);
    match &settings.log {
        None => {
            // In quiet mode too: a warning is no talk.
            let human = settings.mode == Mode::Human;
            builder
                .with_max_level(Level::WARN)
                .event_format(Warning { color: color && human })
                .init();
        }
        Some(filter) => builder.with_env_filter(EnvFilter::new(filter)).init(),
    }
}

/// One event's bytes, written at once when it is complete, with the bars out of the way.
struct Stderr(Vec<u8>);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        // Nowhere is left to say that stderr cannot be written to.
        progress::suspended(|| {
            let _ = std::io::stderr().lock().write_all(&self.0);
        });
    }
}

/// `Warning: message key=value`.
struct Warning {
    color: bool,
}

impl<S, N> FormatEvent<S, N> for Warning
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let (begin, end) = if self.color { ("\x1b[33m", "\x1b[0m") } else { ("", "") };
        write!(writer, "{begin}Warning: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer, "{end}")
    }
}
