//! From the flags, the environment and the terminal to what holds, once.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use hub_types::Token;
use hub_types::env::{self, Env, Variable};

use crate::cli::{self, Cli, ErrorFormat, Format, GlobalArgs, ProgressHow, When};
use crate::commands::Command;
use crate::error::{Class, Failure};
use crate::output::{Mode, Output};

/// What holds for this run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The environment, as the flags have changed it: what the libraries are configured from.
    pub(crate) env: Env,
    pub(crate) mode: Mode,
    pub(crate) fields: Option<Vec<String>>,
    pub(crate) no_truncate: bool,
    pub(crate) color_stdout: bool,
    pub(crate) color_stderr: bool,
    pub(crate) width: Option<usize>,
    pub(crate) progress: ProgressHow,
    pub(crate) yes: bool,
    /// The token of this run, if one was given on the command line.
    pub(crate) token: Option<Token>,
    /// Whether to tell that this token stands in the process list.
    pub(crate) token_is_seen: bool,
    /// Run against the embedded Hub in this folder.
    pub(crate) local: Option<PathBuf>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) max_connections: Option<usize>,
    /// Bytes a second.
    pub(crate) limit_rate: Option<u64>,
    /// Filter directives, if anything but warnings is to be logged.
    pub(crate) log: Option<String>,
    pub(crate) error_format: ErrorFormat,
    pub(crate) simple_exit_codes: bool,
    /// Whether transfers print the bare path or address (`HUB_STDOUT=path`).
    pub(crate) bare: bool,
    /// Whether errors show every cause (`HF_DEBUG`).
    pub(crate) debug: bool,
}

/// Which streams are terminals, and how wide the one of stdout is.
#[derive(Debug, Clone, Copy)]
struct Streams {
    stdout: bool,
    stderr: bool,
    width: Option<usize>,
}

impl Streams {
    fn look() -> Self {
        let stdout = std::io::stdout().is_terminal();
        let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            stdout,
            stderr: std::io::stderr().is_terminal(),
            width: stdout.then(columns).flatten(),
        }
    }
}

impl Settings {
    /// Resolves the settings, changes to the folder that was asked for and reads the token that was handed over.
    pub(crate) fn resolve(cli: Cli, env: Env) -> Result<(Self, Command), (Output, anyhow::Error)> {
        let form = cli.global.error_format.unwrap_or_default();
        let told = |err| (Output::plain(Mode::Human).with_error_format(form), err);
        if let Some(folder) = &cli.global.directory {
            std::env::set_current_dir(folder).map_err(|err| {
                let message = format!("cannot change to the folder {}", folder.display());
                told(Failure::new(Class::Local, message).because(err).into())
            })?;
        }
        let mut settings = Self::from_flags(&cli, env, Streams::look()).map_err(told)?;
        settings.token = read_token(&cli.global).map_err(told)?;
        Ok((settings, cli.command))
    }

    fn from_flags(cli: &Cli, env: Env, streams: Streams) -> anyhow::Result<Self> {
        let global = &cli.global;
        let (mode, fields) = mode(global, &env, streams)?;
        let human = mode == Mode::Human;
        let color = |terminal| human && wants_color(global, &env, terminal);
        let local = global.local.then(|| env.hf_home().join("local-hub"));
        if local.is_some() && global.endpoint.is_some() {
            return Err(Failure::usage("--local and --endpoint cannot be used together").into());
        }
        if local.is_some() && global.offline {
            return Err(Failure::usage("--local and --offline cannot be used together").into());
        }
        Ok(Self {
            mode,
            fields,
            no_truncate: global.no_truncate,
            color_stdout: color(streams.stdout),
            color_stderr: color(streams.stderr),
            // Off a terminal nothing is ever shortened, unless the width is set on purpose.
            width: match env.number(env::COLUMNS)? {
                Some(columns) if streams.stdout => usize::try_from(columns).ok(),
                _ => streams.width,
            },
            progress: progress(global, &env, mode, streams)?,
            yes: global.yes,
            token: None,
            token_is_seen: global.token.is_some() && !cli.is_login,
            timeout: global.timeout,
            retries: global.retries,
            max_connections: global.max_connections,
            limit_rate: global.limit_rate,
            log: log_filter(cli, &env)?,
            error_format: global.error_format.unwrap_or_default(),
            simple_exit_codes: match env.text(env::HUB_EXIT_CODES)? {
                None | Some("fine") => false,
                Some("simple") => true,
                Some(other) => {
                    return Err(bad_variable(env::HUB_EXIT_CODES.name, other, "must be fine or simple").into());
                }
            },
            bare: match env.text(env::HUB_STDOUT)? {
                None => false,
                Some("path") => true,
                Some(other) => return Err(bad_variable(env::HUB_STDOUT.name, other, "must be path").into()),
            },
            debug: env.flag(env::HF_DEBUG),
            env: changed(env, global, local.as_deref()),
            local,
        })
    }
}

/// The environment with what the flags say in it, so that the libraries have one source.
fn changed(mut env: Env, global: &GlobalArgs, local: Option<&std::path::Path>) -> Env {
    if let Some(endpoint) = &global.endpoint {
        env = env
            .with(env::HF_ENDPOINT, endpoint)
            .with(env::HUGGINGFACE_CO_STAGING, "");
    }
    if global.offline {
        env = env.with(env::HF_HUB_OFFLINE, "1");
    }
    if let Some(root) = local {
        // The embedded Hub's repositories may have names of public ones: its files get a cache of their own, and its
        // token stays with it.
        for variable in [
            env::HF_TOKEN,
            env::HUGGING_FACE_HUB_TOKEN,
            env::HF_HUB_DISABLE_IMPLICIT_TOKEN,
            env::HF_OIDC_RESOURCE,
            env::HUGGINGFACE_CO_STAGING,
            env::HUGGINGFACE_HUB_CACHE,
            env::HF_HUB_OFFLINE,
            env::TRANSFORMERS_OFFLINE,
        ] {
            env = env.with(variable, "");
        }
        env = env
            .with(env::HF_TOKEN_PATH, root.join("token"))
            .with(env::HF_HUB_CACHE, root.with_file_name("local-hub-cache"));
    }
    env
}

/// The output mode, and the fields that `--json=` names.
fn mode(global: &GlobalArgs, env: &Env, streams: Streams) -> anyhow::Result<(Mode, Option<Vec<String>>)> {
    let asked: Vec<(&str, Format)> = [
        global.format.map(|format| ("--format", format)),
        global.json.as_ref().map(|_| ("--json", Format::Json)),
        global.jsonl.then_some(("--jsonl", Format::Json)),
        global.quiet.then_some(("--quiet", Format::Quiet)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let [(first, a), .., (second, b)] = asked.as_slice()
        && (a != b || *second == "--jsonl")
    {
        return Err(Failure::usage(format!("{first} and {second} cannot be used together")).into());
    }
    let fields = match &global.json {
        Some(Some(list)) => {
            let fields: Vec<String> = list.split(',').map(|field| field.trim().to_owned()).collect();
            if fields.iter().any(String::is_empty) {
                return Err(Failure::usage(format!("--json={list}: a field's name is missing")).into());
            }
            Some(fields)
        }
        _ => None,
    };
    let format = match asked.first() {
        Some((_, format)) => *format,
        None => match env.text(env::HUB_FORMAT)? {
            Some(text) => cli::choice(env::HUB_FORMAT.name, text)?,
            None => Format::Auto,
        },
    };
    let mode = match format {
        Format::Auto if !streams.stdout && is_assistant(env) => Mode::Agent,
        Format::Auto | Format::Human => Mode::Human,
        Format::Agent => Mode::Agent,
        Format::Json if global.jsonl => Mode::JsonLines,
        Format::Json => Mode::Json,
        Format::Quiet => Mode::Quiet,
    };
    Ok((mode, fields))
}

/// Whether an assistant runs this program, by the variables that assistants set for their commands.
fn is_assistant(env: &Env) -> bool {
    const VARIABLES: [Variable; 7] = [
        env::AI_AGENT,
        env::AGENT,
        env::CLAUDECODE,
        env::CODEX_SANDBOX,
        env::CURSOR_AGENT,
        env::GEMINI_CLI,
        env::OPENCODE,
    ];
    VARIABLES
        .into_iter()
        .any(|variable| matches!(env.text(variable), Ok(Some(_))))
}

fn wants_color(global: &GlobalArgs, env: &Env, terminal: bool) -> bool {
    let text = |variable| env.text(variable).ok().flatten();
    match global.color {
        _ if global.no_color => return false,
        Some(When::Always) => return true,
        Some(When::Never) => return false,
        Some(When::Auto) | None => {}
    }
    if text(env::NO_COLOR).is_some() {
        return false;
    }
    match text(env::CLICOLOR_FORCE) {
        Some(force) if force != "0" => true,
        _ => terminal && text(env::CLICOLOR) != Some("0") && text(env::TERM) != Some("dumb"),
    }
}

/// How progress is shown: never [`ProgressHow::Auto`].
fn progress(global: &GlobalArgs, env: &Env, mode: Mode, streams: Streams) -> anyhow::Result<ProgressHow> {
    let forced = match (global.progress, env.text(env::HUB_PROGRESS)?) {
        (Some(how), _) => how,
        (None, Some(text)) => cli::choice(env::HUB_PROGRESS.name, text)?,
        (None, None) => match env.text(env::HF_HUB_DISABLE_PROGRESS_BARS)? {
            Some(_) if env.flag(env::HF_HUB_DISABLE_PROGRESS_BARS) => ProgressHow::None,
            Some(_) => ProgressHow::Bar,
            None if env.text(env::TQDM_POSITION)? == Some("-1") => ProgressHow::Bar,
            None => ProgressHow::Auto,
        },
    };
    Ok(match forced {
        ProgressHow::Auto if mode != Mode::Human => ProgressHow::None,
        ProgressHow::Auto if streams.stderr && env.text(env::TERM)? != Some("dumb") => ProgressHow::Bar,
        ProgressHow::Auto => ProgressHow::Plain,
        how => how,
    })
}

/// Directives for the log, if more than warnings is asked for.
fn log_filter(cli: &Cli, env: &Env) -> anyhow::Result<Option<String>> {
    let level = |level: &str| {
        ["hub", "hub_http", "hub_cache", "hub_server", "hub_git_compat"]
            .map(|target| format!("{target}={level}"))
            .join(",")
    };
    if let Some(text) = &cli.global.log_level {
        return match text.as_str() {
            "off" | "error" | "warn" | "info" | "debug" | "trace" => Ok(Some(level(text))),
            _ if text.contains('=') => Ok(Some(text.clone())),
            _ => Err(Failure::usage(format!(
                "invalid value '{text}' for '--log-level': must be off, error, warn, info, debug, trace or directives such as hub_http=debug"
            ))
            .into()),
        };
    }
    match cli.verbosity {
        0 => {}
        1 => return Ok(Some(level("info"))),
        _ => return Ok(Some(level("debug"))),
    }
    if let Some(text) = env.text(env::HUB_LOG)? {
        return Ok(Some(text.to_owned()));
    }
    if env.flag(env::HF_DEBUG) {
        return Ok(Some(level("debug")));
    }
    Ok(match env.text(env::HF_HUB_VERBOSITY)? {
        Some("debug") => Some(level("debug")),
        Some("info") => Some(level("info")),
        Some("error" | "critical") => Some(level("error")),
        _ => None,
    })
}

/// The token that was handed over, by whichever way.
fn read_token(global: &GlobalArgs) -> anyhow::Result<Option<Token>> {
    let ways = [global.token.is_some(), global.token_file.is_some(), global.token_stdin];
    if ways.into_iter().filter(|given| *given).count() > 1 {
        return Err(Failure::usage("use only one of --token, --token-file and --token-stdin").into());
    }
    if let Some(secret) = &global.token {
        return Ok(Some(Token::new(&secret.0)?));
    }
    if let Some(path) = &global.token_file {
        return Ok(Some(Token::new(&fs_err::read_to_string(path)?)?));
    }
    if global.token_stdin {
        // A token is short; whoever pipes more has made a mistake.
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(64 << 10)
            .read_to_string(&mut text)
            .map_err(|err| Failure::new(Class::Local, "cannot read the token from the standard input").because(err))?;
        return Ok(Some(Token::new(&text)?));
    }
    Ok(None)
}

/// A variable that cannot be right.
pub(crate) fn bad_variable(name: &'static str, value: &str, rule: &str) -> Failure {
    Failure::usage(format!("invalid environment variable '{name}={value}': {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Streams = Streams {
        stdout: true,
        stderr: true,
        width: Some(100),
    };
    const PIPE: Streams = Streams {
        stdout: false,
        stderr: false,
        width: None,
    };

    fn settings(args: &[&str], env: &[(&str, &str)], streams: Streams) -> anyhow::Result<Settings> {
        let args = ["hub", "version"].iter().chain(args).map(std::ffi::OsString::from);
        let (cli, _) = cli::parse(args.collect()).map_err(|_| anyhow::anyhow!("not parsed"))?;
        Settings::from_flags(&cli, Env::from_pairs(env.iter().map(|(k, v)| (*k, *v))), streams)
    }

    #[track_caller]
    fn refused(args: &[&str], env: &[(&str, &str)]) -> String {
        settings(args, env, PIPE).unwrap_err().to_string()
    }

    #[test]
    fn the_mode_is_a_flags_then_a_variables_then_peoples() {
        let mode = |args, env, streams| settings(args, env, streams).unwrap().mode;
        assert_eq!(mode(&[], &[], PIPE), Mode::Human);
        assert_eq!(mode(&["--json"], &[("HUB_FORMAT", "quiet")], PIPE), Mode::Json);
        assert_eq!(mode(&["--jsonl"], &[], PIPE), Mode::JsonLines);
        assert_eq!(mode(&["-q"], &[], TERMINAL), Mode::Quiet);
        assert_eq!(mode(&[], &[("HUB_FORMAT", "agent")], TERMINAL), Mode::Agent);
        // An assistant's variable in a person's terminal takes nothing from the person.
        assert_eq!(mode(&[], &[("AI_AGENT", "x")], TERMINAL), Mode::Human);
        assert_eq!(mode(&[], &[("AI_AGENT", "x")], PIPE), Mode::Agent);
        assert_eq!(mode(&["--format", "human"], &[("AI_AGENT", "x")], PIPE), Mode::Human);
        assert_eq!(mode(&["--json", "--format", "json"], &[], PIPE), Mode::Json);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        assert_eq!(
            refused(&["--json", "-q"], &[]),
            "--json and --quiet cannot be used together"
        );
        assert_eq!(
            refused(&["--local", "--offline"], &[]),
            "--local and --offline cannot be used together"
        );
        assert_eq!(
            refused(&[], &[("HUB_FORMAT", "xml")]),
            "invalid environment variable 'HUB_FORMAT=xml': must be one of auto, human, agent, json, quiet"
        );
        assert!(refused(&["--log-level", "loud"], &[]).contains("'loud'"));
        assert!(refused(&["--json=a,,b"], &[]).contains("a,,b"));
    }

    #[test]
    fn colour_and_bars_are_for_terminals() {
        let of = |args, env, streams| settings(args, env, streams).unwrap();
        let terminal = of(&[], &[], TERMINAL);
        assert!(terminal.color_stdout && terminal.progress == ProgressHow::Bar && terminal.width == Some(100));
        let pipe = of(&[], &[("COLUMNS", "40")], PIPE);
        assert!(!pipe.color_stdout && pipe.progress == ProgressHow::Plain && pipe.width.is_none());
        assert_eq!(of(&[], &[("COLUMNS", "40")], TERMINAL).width, Some(40));
        assert!(!of(&[], &[("NO_COLOR", "1")], TERMINAL).color_stdout);
        assert!(of(&[], &[("NO_COLOR", "")], TERMINAL).color_stdout);
        assert!(of(&["--color", "always"], &[("NO_COLOR", "1")], PIPE).color_stdout);
        assert!(!of(&["--json", "--color", "always"], &[], PIPE).color_stdout);
        assert!(of(&[], &[("CLICOLOR_FORCE", "1")], PIPE).color_stdout);
        assert!(!of(&[], &[("TERM", "dumb")], TERMINAL).color_stdout);
        assert_eq!(of(&["-q"], &[], TERMINAL).progress, ProgressHow::None);
        assert_eq!(of(&["-q", "--progress", "json"], &[], PIPE).progress, ProgressHow::Json);
        let hidden = [("HF_HUB_DISABLE_PROGRESS_BARS", "1")];
        assert_eq!(of(&[], &hidden, TERMINAL).progress, ProgressHow::None);
        assert_eq!(
            of(&[], &[("HF_HUB_DISABLE_PROGRESS_BARS", "0")], PIPE).progress,
            ProgressHow::Bar
        );
    }

    #[test]
    fn the_embedded_hub_keeps_its_token_and_cache_apart() {
        let env = [("HF_HOME", "/h"), ("HF_TOKEN", "hf_mine"), ("HF_HUB_CACHE", "/c")];
        let settings = settings(&["--local"], &env, PIPE).unwrap();
        assert_eq!(settings.local, Some("/h/local-hub".into()));
        assert_eq!(settings.env.token_path(), std::path::Path::new("/h/local-hub/token"));
        assert_eq!(settings.env.hub_cache(), std::path::Path::new("/h/local-hub-cache"));
        assert_eq!(settings.env.text(env::HF_TOKEN), Ok(None));
    }
}
