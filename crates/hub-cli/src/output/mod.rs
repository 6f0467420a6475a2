//! The only writer to stdout, and the one voice on stderr.
//!
//! What a command has to say is one of a few kinds of output (a result, a table, an object, text); what becomes of each
//! kind in each of the modes is decided here, as the Python client's `cli/_output.py` does.

mod json;
mod table;
mod values;

use std::io::{BufRead, IsTerminal, Write};

use serde_json::Value;

pub(crate) use self::table::Table;
pub(crate) use self::values::{size, storage, time_since};
use crate::cli::ErrorFormat;
use crate::error::{Class, Failure, Report};
use crate::progress;
use crate::settings::Settings;

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// People.
    Human,
    /// Assistants: the same facts without decoration.
    Agent,
    /// Programs.
    Json,
    /// Programs, an object a line.
    JsonLines,
    /// Scripts: ids, paths and addresses alone.
    Quiet,
}

/// Named values in their order.
pub(crate) type Row = Vec<(String, Value)>;

/// `row! { "path": path }`: a [`Row`].
macro_rules! row {
    ($($key:literal : $value:expr),* $(,)?) => {
        vec![$(($key.to_owned(), serde_json::json!($value))),*]
    };
}
pub(crate) use row;

/// Nobody reads our output any more: an end, not a failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct StdoutClosed;

/// How things are said.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) mode: Mode,
    fields: Option<Vec<String>>,
    no_truncate: bool,
    color_stdout: bool,
    color_stderr: bool,
    width: Option<usize>,
    yes: bool,
    error_format: ErrorFormat,
    simple_exit_codes: bool,
    bare: bool,
    debug: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Green,
    Red,
    Yellow,
    Grey,
    Bold,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Green => "\x1b[32m",
            Self::Red => "\x1b[1;31m",
            Self::Yellow => "\x1b[33m",
            Self::Grey => "\x1b[90m",
            Self::Bold => "\x1b[1m",
        }
    }
}

fn painted(text: &str, style: Style, color: bool) -> String {
    if color {
        format!("{}{text}\x1b[0m", style.code())
    } else {
        text.to_owned()
    }
}

impl Output {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            mode: settings.mode,
            fields: settings.fields.clone(),
            no_truncate: settings.no_truncate,
            color_stdout: settings.color_stdout,
            color_stderr: settings.color_stderr,
            width: settings.width,
            yes: settings.yes,
            error_format: settings.error_format,
            simple_exit_codes: settings.simple_exit_codes,
            bare: settings.bare,
            debug: settings.debug,
        }
    }

    /// Output before the settings are known.
    pub(crate) fn plain(mode: Mode) -> Self {
        Self {
            mode,
            fields: None,
            no_truncate: true,
            color_stdout: false,
            color_stderr: false,
            width: None,
            yes: false,
            error_format: ErrorFormat::Text,
            simple_exit_codes: false,
            bare: false,
            debug: false,
        }
    }

    pub(crate) fn with_error_format(mut self, form: ErrorFormat) -> Self {
        self.error_format = form;
        self
    }

    pub(crate) fn is_json(&self) -> bool {
        matches!(self.mode, Mode::Json | Mode::JsonLines)
    }

    /// What an action came to: a message, and named values, the most important one first.
    pub(crate) fn result(&self, message: &str, values: Row) -> anyhow::Result<()> {
        match self.mode {
            Mode::Human => {
                let mut text = painted(&format!("✓ {message}"), Style::Green, self.color_stdout);
                for (key, value) in values.iter().filter(|(_, value)| !value.is_null()) {
                    text.push_str(&format!("\n  {key}: {}", values::plain(value)));
                }
                self.line(&text)
            }
            Mode::Agent => {
                let parts: Vec<String> = values
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| format!("{key}={}", values::python(value)))
                    .collect();
                match parts.as_slice() {
                    [] => self.line(message),
                    parts => self.line(&parts.join(" ")),
                }
            }
            Mode::Json | Mode::JsonLines => self.line(&json::object(&self.chosen(values)?)),
            Mode::Quiet => match values.first() {
                Some((_, value)) => self.line(&values::plain(value)),
                None => Ok(()),
            },
        }
    }

    /// The result of a transfer: as [`Output::result`], but the bare first value for who set `HUB_STDOUT=path`.
    pub(crate) fn transfer_result(&self, message: &str, values: Row) -> anyhow::Result<()> {
        match values.first() {
            Some((_, value)) if self.bare && self.mode == Mode::Human => self.line(&values::plain(value)),
            _ => self.result(message, values),
        }
    }

    /// Rows of a list.
    pub(crate) fn table(&self, table: Table<'_>) -> anyhow::Result<()> {
        if table.rows.is_empty() {
            return match self.mode {
                Mode::Human | Mode::Agent => self.line("No results found."),
                Mode::Json => self.line("[]"),
                Mode::JsonLines | Mode::Quiet => Ok(()),
            };
        }
        match self.mode {
            Mode::Human => {
                let width = self.width.filter(|_| !self.no_truncate);
                let (text, shortened) = table.human(width);
                self.line(&text)?;
                if shortened {
                    self.hint("Use `--no-truncate` or `--format json` to display full values.");
                }
                Ok(())
            }
            Mode::Agent => self.line(&table.tabs()),
            Mode::Json => {
                let rows = table.rows.into_iter().map(|row| self.chosen(row));
                self.line(&json::array(&rows.collect::<anyhow::Result<Vec<_>>>()?))
            }
            Mode::JsonLines => {
                let rows = table.rows.into_iter().map(|row| Ok(json::object(&self.chosen(row)?)));
                self.line(&rows.collect::<anyhow::Result<Vec<_>>>()?.join("\n"))
            }
            Mode::Quiet => self.line(&table.ids().collect::<Vec<_>>().join("\n")),
        }
    }

    /// One object, as JSON in every mode.
    pub(crate) fn object(&self, values: Row) -> anyhow::Result<()> {
        match self.mode {
            Mode::Human => self.line(&json::indented(&values)),
            _ => self.line(&json::object(&self.chosen(values)?)),
        }
    }

    /// Text for people, beside the result.
    pub(crate) fn text(&self, text: &str) -> anyhow::Result<()> {
        match self.mode {
            Mode::Human | Mode::Agent => self.line(text),
            Mode::Json | Mode::JsonLines | Mode::Quiet => Ok(()),
        }
    }

    /// As [`Output::text`], in bold.
    pub(crate) fn bold(&self, text: &str) -> anyhow::Result<()> {
        self.text(&painted(text, Style::Bold, self.color_stdout))
    }

    /// A line that is the same in every mode.
    pub(crate) fn raw(&self, text: &str) -> anyhow::Result<()> {
        self.line(text)
    }

    fn line(&self, text: &str) -> anyhow::Result<()> {
        progress::suspended(|| {
            let mut stdout = std::io::stdout().lock();
            let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
            written.map_err(|err| match err.kind() {
                std::io::ErrorKind::BrokenPipe => StdoutClosed.into(),
                _ => anyhow::Error::new(err).context("cannot write to stdout"),
            })
        })
    }

    /// Only the fields that `--json=FIELDS` asks for.
    fn chosen(&self, row: Row) -> anyhow::Result<Row> {
        let Some(fields) = &self.fields else { return Ok(row) };
        fields
            .iter()
            .map(|field| match row.iter().find(|(key, _)| key == field) {
                Some(pair) => Ok(pair.clone()),
                None => {
                    let known: Vec<_> = row.iter().map(|(key, _)| key.as_str()).collect();
                    let message = format!("there is no field '{field}' here");
                    Err(Failure::usage(message)
                        .hint(format!("the fields are {}", known.join(", ")))
                        .into())
                }
            })
            .collect()
    }

    /// Something that may surprise, but does not stop the command.
    pub(crate) fn warning(&self, text: &str) {
        self.say(&format!("Warning: {text}"), Style::Yellow);
    }

    /// What is being done; not in quiet mode.
    pub(crate) fn log(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.say(text, Style::Grey);
        }
    }

    /// What could be done next; not in quiet mode.
    pub(crate) fn hint(&self, text: &str) {
        self.log(&format!("Hint: {text}"));
    }

    /// What went wrong.
    pub(crate) fn error(&self, report: &Report) {
        if self.error_format == ErrorFormat::Json {
            let object = report.to_json(self.exit_code(report.class));
            self.write_stderr(&json::object(&object));
            return;
        }
        self.say(&format!("Error: {}", report.message), Style::Red);
        // The last cause says it: those between tell which part of the program passed it on.
        let causes = match self.debug {
            true => report.causes.as_slice(),
            false => report.causes.last().map(std::slice::from_ref).unwrap_or_default(),
        };
        for cause in causes {
            self.write_stderr(&format!("Cause: {}", values::one_line(cause)));
        }
        if self.mode != Mode::Quiet {
            for hint in &report.hints {
                self.say(&format!("Hint: {hint}"), Style::Grey);
            }
        }
    }

    fn say(&self, text: &str, style: Style) {
        self.write_stderr(&painted(text, style, self.color_stderr));
    }

    fn write_stderr(&self, text: &str) {
        // Nowhere is left to say that stderr cannot be written to.
        progress::suspended(|| {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        });
    }

    /// The exit code of a class, folded if the user wants it so.
    pub(crate) fn exit_code(&self, class: Class) -> u8 {
        match class {
            Class::Usage => class.exit_code(),
            _ if self.simple_exit_codes => 1,
            _ => class.exit_code(),
        }
    }

    /// Asks before something that cannot be undone. The question goes to stderr: stdout is for results.
    pub(crate) fn confirm(&self, question: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        self.require_person(question)?;
        match self.ask(&format!("{question} [y/N]: "))?.to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(Class::Failed, "aborted").into()),
        }
    }

    /// Asks for a name to be typed before something that destroys what it names.
    pub(crate) fn confirm_by_name(&self, question: &str, name: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        self.require_person(question)?;
        if self.ask(&format!("{question} Type its name to go on: "))? == name {
            return Ok(());
        }
        Err(Failure::new(Class::Failed, "aborted: that is not its name").into())
    }

    /// A choice from a list, by its number.
    pub(crate) fn choose<'a>(&self, question: &str, choices: &[&'a str]) -> anyhow::Result<&'a str> {
        for (number, choice) in choices.iter().enumerate() {
            self.write_stderr(&format!("  {}. {}", number + 1, values::one_line(choice)));
        }
        let answer = self.ask(&format!("{question} [1-{}]: ", choices.len()))?;
        match answer
            .parse::<usize>()
            .ok()
            .and_then(|number| choices.get(number.checked_sub(1)?))
        {
            Some(choice) => Ok(choice),
            None => Err(Failure::new(Class::Failed, "aborted: that is none of the numbers").into()),
        }
    }

    /// Whether somebody is there to be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        self.mode == Mode::Human && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    fn require_person(&self, question: &str) -> anyhow::Result<()> {
        if self.is_interactive() {
            return Ok(());
        }
        let message = format!("{question} Use --yes to skip confirmation.");
        Err(Failure::new(Class::Failed, message).into())
    }

    fn ask(&self, question: &str) -> anyhow::Result<String> {
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if answer.is_empty() {
            let _ = writeln!(stderr);
        }
        Ok(answer.trim().to_owned())
    }
}
