//! The flags, exactly as typed. What they mean together is decided in [`settings`](crate::settings).

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::commands::Command;
use crate::error::{Class, Failure, Report};
use crate::output::{Mode, Output};
use crate::{old_names, settings};

/// Share and fetch models, datasets and Spaces on the Hugging Face Hub
#[derive(Debug, Parser)]
#[command(
    name = "hub",
    version,
    disable_version_flag = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 120,
    after_help = "`hub COMMAND --help` tells more about a command. `hub --local COMMAND` runs it against a Hub of your own in a folder."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// Print the bare version
    #[arg(long, short = 'v', short_alias = 'V', hide = true, action = ArgAction::Version)]
    version: Option<bool>,
    /// How many times `-v` was given behind the command.
    #[arg(skip)]
    pub(crate) verbosity: u8,
    /// Whether this is `auth login`, the one command for which a token is an argument.
    #[arg(skip)]
    pub(crate) is_login: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Taken before and behind the command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Choose the form of the output: for people, for assistants, for programs, or ids alone
    #[arg(long, global = true, value_enum, value_name = "MODE")]
    pub(crate) format: Option<Format>,
    /// Print JSON; with FIELDS, a comma list, only these fields
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, value_name = "FIELDS")]
    pub(crate) json: Option<Option<String>>,
    /// Print one JSON object a line
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) jsonl: bool,
    /// Print ids, paths and addresses alone
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Do not shorten cells of tables
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) no_truncate: bool,
    /// Colour the output: on a terminal, always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", hide_short_help = true)]
    pub(crate) color: Option<When>,
    /// Do not colour the output
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) no_color: bool,
    /// Show progress as bars, plain lines or JSON lines, always on stderr
    #[arg(long, global = true, value_enum, value_name = "HOW", hide_short_help = true)]
    pub(crate) progress: Option<ProgressHow>,
    /// Make no request
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) offline: bool,
    /// Use another Hub
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    pub(crate) endpoint: Option<String>,
    /// Use the embedded Hub, in the folder local-hub of HF_HOME
    #[arg(long, global = true)]
    pub(crate) local: bool,
    /// Use this access token; --token-file, --token-stdin and HF_TOKEN keep it out of the process list
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(crate) token: Option<Secret>,
    /// Read the access token from a file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the access token from the standard input
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) token_stdin: bool,
    /// Give a request or a silent connection up after this long, such as 30s or 2m
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    pub(crate) timeout: Option<Duration>,
    /// Repeat a failed request up to this many times
    #[arg(long, global = true, value_name = "N", hide_short_help = true)]
    pub(crate) retries: Option<u32>,
    /// Let downloads use at most this many connections together
    #[arg(long, global = true, value_name = "N", hide_short_help = true)]
    pub(crate) max_connections: Option<usize>,
    /// Let downloads take at most this many bytes a second, and uploads, such as 500K, 20M or 1G
    #[arg(long, global = true, value_name = "RATE", value_parser = rate, hide_short_help = true)]
    pub(crate) limit_rate: Option<u64>,
    /// Log this much, such as debug or hub_http=debug
    #[arg(long, global = true, value_name = "LEVEL", hide_short_help = true)]
    pub(crate) log_level: Option<String>,
    /// Write errors as text or as a JSON object
    #[arg(long, global = true, value_enum, value_name = "FORM", hide_short_help = true)]
    pub(crate) error_format: Option<ErrorFormat>,
    /// Answer yes to every question
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,
    /// Run in this folder
    #[arg(short = 'C', global = true, value_name = "DIR", hide_short_help = true)]
    pub(crate) directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Auto,
    Human,
    Agent,
    Json,
    Quiet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressHow {
    Auto,
    Bar,
    Plain,
    Json,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ErrorFormat {
    #[default]
    Text,
    Json,
}

/// A secret as it was typed. Taken without a check: a parser's error would show it.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A flag with its `--no-` twin; the last one given counts.
macro_rules! switch {
    ($(#[$meta:meta])* $name:ident, $on:literal, $off:literal, $help:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, clap::Args)]
        pub(crate) struct $name {
            #[arg(id = $on, long = $on, help = $help, overrides_with = $off)]
            on: bool,
            #[arg(id = $off, long = $off, hide = true, overrides_with = $on)]
            off: bool,
        }

        impl $name {
            /// Whether it is on; off where nothing was said.
            #[allow(dead_code, reason = "some switches are only asked the one or the other way")]
            pub(crate) fn get(self) -> bool {
                self.on
            }

            /// What was said, if anything.
            #[allow(dead_code, reason = "some switches are only asked the one or the other way")]
            pub(crate) fn choice(self) -> Option<bool> {
                (self.on || self.off).then_some(self.on)
            }
        }
    };
}
pub(crate) use switch;

/// `30`, `30s`, `2m`, `1h`: how long.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = match text[digits..].trim() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("must be a whole number with s, m or h behind it".to_owned()),
    };
    match text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("must be a whole number above zero, with s, m or h behind it".to_owned()),
    }
}

/// Bytes a second, as people write them: decimal units, as everywhere in the output.
fn rate(text: &str) -> Result<u64, String> {
    let rule = "must be a whole number of bytes a second from 1024 on, with K, M or G behind it";
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = match text[digits..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        _ => return Err(rule.to_owned()),
    };
    let rate = text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    rate.filter(|rate| *rate >= 1024).ok_or_else(|| rule.to_owned())
}

/// The parser: what clap derives, and the rules that hold for every command alike.
pub(crate) fn parser() -> clap::Command {
    // `version` is the one thing that the derived struct cannot do: it stands before a subcommand is asked for.
    adapt(Cli::command().args_override_self(true))
}

fn adapt(command: clap::Command) -> clap::Command {
    // A value may begin with a dash: `--commit-message -fix`, `--sleep-time -1`.
    let mut command = command.mut_args(|arg| {
        let takes_value = arg.get_action().takes_values() && !arg.is_positional() && !arg.is_require_equals_set();
        if takes_value {
            arg.allow_hyphen_values(true)
        } else {
            arg
        }
    });
    // `-v` stays `--volume` and the like where the Python client uses it so.
    let is_leaf = !command.has_subcommands();
    if is_leaf && !command.get_arguments().any(|arg| arg.get_short() == Some('v')) {
        command = command.arg(
            clap::Arg::new(VERBOSE)
                .short('v')
                .action(ArgAction::Count)
                .help("Log what is done; twice, every request")
                .help_heading("Global options")
                .hide_short_help(true),
        );
    }
    command.mut_subcommands(adapt)
}

const VERBOSE: &str = "verbose-count";

/// Reads the command line. The notice is for who used an old name.
pub(crate) fn parse(args: Vec<OsString>) -> Result<(Cli, Option<String>), Stop> {
    let bin = bin_name(&args);
    let parser = parser().bin_name(&bin);
    let (args, notice) = old_names::modernise(args, &parser);
    let matches = parser
        .clone()
        .try_get_matches_from(args)
        .map_err(|err| Stop::new(err, &parser))?;
    let mut leaf = &matches;
    let mut path = Vec::new();
    while let Some((name, below)) = leaf.subcommand() {
        path.push(name);
        leaf = below;
    }
    let verbosity = leaf.try_get_one::<u8>(VERBOSE).ok().flatten().copied().unwrap_or(0);
    let mut cli = Cli::from_arg_matches(&matches).map_err(|err| Stop::new(err, &parser))?;
    cli.verbosity = verbosity;
    cli.is_login = path == ["auth", "login"];
    Ok((cli, notice))
}

/// Under which name this program was called: `hub`, or `hf` for who links it so.
fn bin_name(args: &[OsString]) -> String {
    let name = args.first().and_then(|path| Path::new(path).file_stem()?.to_str());
    if name == Some("hf") {
        "hf".to_owned()
    } else {
        "hub".to_owned()
    }
}

/// Why no command runs: help, the version, or a mistake.
#[derive(Debug)]
pub(crate) struct Stop {
    error: clap::Error,
    report: Option<Box<Report>>,
}

impl Stop {
    fn new(error: clap::Error, parser: &clap::Command) -> Self {
        let is_usage = !matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        let report = is_usage.then(|| Box::new(usage_report(&error, parser)));
        Self { error, report }
    }

    /// Prints what is to be said and gives the exit code.
    pub(crate) fn exit(self) -> ExitCode {
        let out = Output::plain(Mode::Human);
        if let Some(report) = self.report {
            out.error(&report);
            return ExitCode::from(Class::Usage.exit_code());
        }
        match self.error.kind() {
            ErrorKind::DisplayVersion => {
                let _ = out.raw(env!("CARGO_PKG_VERSION"));
                ExitCode::SUCCESS
            }
            ErrorKind::DisplayHelp => {
                let _ = self.error.print();
                ExitCode::SUCCESS
            }
            // Who names no command learns which there are, on stderr: it is no result.
            _ => {
                let _ = self.error.print();
                ExitCode::from(Class::Usage.exit_code())
            }
        }
    }
}

/// A parser's error in our form: what is wrong, what was probably meant, how it is used.
fn usage_report(error: &clap::Error, parser: &clap::Command) -> Report {
    let text = error.render().to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let mut message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    let mut hints = Vec::new();
    for line in lines {
        let line = line.trim();
        if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(tip.to_owned());
        } else if let Some(usage) = line.strip_prefix("Usage: ") {
            hints.push(format!("usage: {usage}"));
        } else if !line.is_empty() && !line.starts_with("For more information") {
            message.push(' ');
            message.push_str(line);
        }
    }
    if error.kind() == ErrorKind::InvalidSubcommand {
        hints.retain(|hint| !hint.starts_with("usage: ") && !hint.starts_with("to pass"));
        let group = group_of(error, parser);
        let names: Vec<_> = group
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(clap::Command::get_name)
            .collect();
        hints.push(format!("the commands are {}", names.join(", ")));
    }
    hints.truncate(2);
    let mut failure = Failure::new(Class::Usage, message);
    for hint in hints {
        failure = failure.hint(hint);
    }
    Report::new(&failure.into())
}

/// The group that has no such subcommand: its name stands in the usage line.
fn group_of<'a>(error: &clap::Error, parser: &'a clap::Command) -> &'a clap::Command {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return parser;
    };
    let usage = usage.to_string();
    let mut group = parser;
    for word in usage.split_whitespace().skip(2) {
        match group.find_subcommand(word) {
            Some(below) => group = below,
            None => break,
        }
    }
    group
}

/// Whether this text has the form of a setting's choice, for those that come from a variable.
pub(crate) fn choice<T: ValueEnum>(variable: &'static str, text: &str) -> Result<T, Failure> {
    T::from_str(text, false).map_err(|_| {
        let names: Vec<_> = T::value_variants()
            .iter()
            .filter_map(|v| v.to_possible_value())
            .map(|v| v.get_name().to_owned())
            .collect();
        settings::bad_variable(variable, text, &format!("must be one of {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Cli, Stop> {
        let args = std::iter::once("hub").chain(args.iter().copied()).map(OsString::from);
        parse(args.collect()).map(|(cli, _)| cli)
    }

    #[track_caller]
    fn mistake(args: &[&str]) -> Box<Report> {
        parsed(args).unwrap_err().report.expect("a usage error")
    }

    #[test]
    fn the_table_of_commands_is_sound() {
        parser().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere_and_may_be_repeated() {
        for args in [
            ["--json", "version", "--json"],
            ["--json", "version", "--offline"],
            ["version", "--offline", "--json"],
        ] {
            let cli = parsed(&args).unwrap();
            assert_eq!(cli.global.json, Some(None), "{args:?}");
        }
        let cli = parsed(&["version", "--json=a,b"]).unwrap();
        assert_eq!(cli.global.json, Some(Some("a,b".to_owned())));
        assert_eq!(parsed(&["version", "-vv"]).unwrap().verbosity, 2);
    }

    #[test]
    fn the_last_of_two_counts_and_a_value_may_begin_with_a_dash() {
        let cli = parsed(&["version", "--endpoint", "-a", "--endpoint", "-b"]).unwrap();
        assert_eq!(cli.global.endpoint.as_deref(), Some("-b"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let cli = parsed(&["version", "--token", "hf_planted"]).unwrap();
        assert!(!format!("{cli:?}").contains("planted"));
    }

    #[test]
    fn mistakes_name_the_word_and_what_was_meant() {
        let report = mistake(&["verison"]);
        assert_eq!(report.message, "unrecognized subcommand 'verison'");
        assert_eq!(report.hints[0], "a similar subcommand exists: 'version'");
        assert!(
            report.hints[1].starts_with("the commands are ") && report.hints[1].contains("auth, "),
            "{report:?}"
        );
        let report = mistake(&["auth", "lgin"]);
        assert!(
            report.hints.last().unwrap().contains("list, login, logout"),
            "{report:?}"
        );
        let report = mistake(&["version", "--formt", "json"]);
        assert_eq!(report.message, "unexpected argument '--formt' found");
        let report = mistake(&["version", "--format", "xml"]);
        assert!(
            report.message.contains("'xml'") && report.message.contains("agent"),
            "{report:?}"
        );
        for bare in [&[][..], &["auth"]] {
            assert!(parsed(bare).unwrap_err().report.is_none());
        }
    }

    #[test]
    fn rates_have_units() {
        assert_eq!(rate("2048"), Ok(2048));
        assert_eq!(rate("500k"), Ok(500_000));
        assert_eq!(rate("20MB"), Ok(20_000_000));
        for bad in ["", "0", "1000", "1.5M", "2T", "-1", "99999999999999999999G"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "0", "1.5s", "2d", "-1", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
