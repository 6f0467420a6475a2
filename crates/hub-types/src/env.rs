//! Every environment variable that the workspace reads: name, meaning, default. The one list.
//!
//! Libraries read the environment in their `from_env` alone, as one [`Env`] that is passed on; a test makes its own.
//! Grammar and defaults are the Python client's. One thing is deliberately other: an empty variable counts as unset,
//! and a number that cannot be read is an error and not a crash at import.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ValidationError;

/// What kind of value a variable holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `1`, `ON`, `YES` or `TRUE` in any case is on; anything else, or nothing, is off.
    Flag,
    /// Whole seconds; `0` means the default.
    Seconds,
    /// A whole number.
    Number,
    /// A path; a leading `~` and `$NAME` or `${NAME}` are replaced.
    Path,
    /// Text, as it is.
    Text,
    /// Text that is never shown.
    Secret,
}

/// A variable: its name, kind, default and meaning, each for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What holds when it is unset, in words.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

macro_rules! variables {
    ($($name:ident $kind:ident $default:literal $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            #[doc = concat!("\n\nDefault: `", $default, "`.")]
            pub const $name: Variable =
                Variable { name: stringify!($name), kind: Kind::$kind, default: $default, meaning: $meaning };
        )*

        /// Every variable, in the order of the documents.
        pub const ALL: &[Variable] = &[$($name),*];
    };
}

variables! {
    HF_ENDPOINT Text "https://huggingface.co" "Base URL of the Hub, without a slash at the end.";
    HUGGINGFACE_CO_STAGING Flag "off" "Uses the Hub's staging endpoint, whatever HF_ENDPOINT says.";
    HF_TOKEN Secret "none" "Access token; wins over the stored one.";
    HUGGING_FACE_HUB_TOKEN Secret "none" "Older name of HF_TOKEN.";
    HF_TOKEN_PATH Path "$HF_HOME/token" "File of the active token; stored_tokens lies beside it.";
    HF_HUB_DISABLE_IMPLICIT_TOKEN Flag "off" "Does not send a stored token unless a call asks for it.";
    HF_HOME Path "$XDG_CACHE_HOME/huggingface" "Parent of hub/, assets/, xet/, token and stored_tokens.";
    HF_HUB_CACHE Path "$HF_HOME/hub" "Folder of the cache.";
    HUB_SYSTEM_CACHE Path "unset" "Folders of system-wide caches, separated as in PATH: read where HF_HUB_CACHE lacks something, never written to.";
    HUGGINGFACE_HUB_CACHE Path "$HF_HOME/hub" "Older name of HF_HUB_CACHE.";
    HF_ASSETS_CACHE Path "$HF_HOME/assets" "Folder of assets.";
    HUGGINGFACE_ASSETS_CACHE Path "$HF_HOME/assets" "Older name of HF_ASSETS_CACHE.";
    HF_XET_CACHE Path "$HF_HOME/xet" "Folder of the Xet chunk and shard caches.";
    XDG_CACHE_HOME Path "~/.cache" "Base of the default HF_HOME, on every platform.";
    HF_HUB_OFFLINE Flag "off" "Makes no request at all.";
    TRANSFORMERS_OFFLINE Flag "off" "As HF_HUB_OFFLINE, looked at when that is unset.";
    HF_HUB_ETAG_TIMEOUT Seconds "10" "Seconds to wait for a file's metadata; wins over a call's own setting.";
    HF_HUB_DOWNLOAD_TIMEOUT Seconds "10" "Seconds without a byte after which a download's connection is given up.";
    HF_HUB_DISABLE_XET Flag "off" "Never uses Xet; also switches the shared blob store off.";
    HF_XET_HIGH_PERFORMANCE Flag "off" "Lets Xet use all of the machine.";
    HF_HUB_DISABLE_SHARED_BLOBS Flag "off" "Neither reads nor writes the shared blob store.";
    HF_HUB_DISABLE_SYMLINKS Flag "off" "Copies into snapshots instead of linking.";
    HF_HUB_DISABLE_SYMLINKS_WARNING Flag "off" "Silences the warning about a cache without links.";
    HF_HUB_DISABLE_PROGRESS_BARS Text "bars on a terminal only" "A true flag hides progress bars, any other value forces them.";
    HF_HUB_VERBOSITY Text "warning" "Log level: debug, info, warning, error or critical.";
    HF_DEBUG Flag "off" "Logs every request and shows the whole chain of an error.";
    HF_HUB_USER_AGENT_ORIGIN Text "unset" "Added to the user agent behind origin/.";
    HF_HUB_DISABLE_TELEMETRY Flag "off" "Sends the shorter user agent.";
    DISABLE_TELEMETRY Flag "off" "As HF_HUB_DISABLE_TELEMETRY.";
    DO_NOT_TRACK Flag "off" "As HF_HUB_DISABLE_TELEMETRY.";
    HF_HUB_DISABLE_UPDATE_CHECK Flag "off" "Shows no notice of a newer version; this client never looks for one.";
    HF_OIDC_RESOURCE Text "unset" "Resource for which a CI identity token is exchanged.";
    HF_OIDC_ID_TOKEN Secret "unset" "Identity token to exchange.";
    GITHUB_ACTIONS Text "unset" "true where GitHub Actions runs the program.";
    ACTIONS_ID_TOKEN_REQUEST_URL Text "unset" "Where GitHub Actions gives identity tokens.";
    ACTIONS_ID_TOKEN_REQUEST_TOKEN Secret "unset" "What GitHub Actions asks for them.";
    HF_DEVICE_CODE_OAUTH_CLIENT_ID Text "26be6b09-91c5-47da-9861-d2d2bb7a7e36" "OAuth client id of the device login.";
    HF_INFERENCE_ENDPOINTS_ENDPOINT Text "https://api.endpoints.huggingface.cloud/v2" "Base URL of Inference Endpoints.";
    HUB_CONNECTIONS Number "32" "Most connections that downloads use together.";
    HUB_UPLOAD_TIMEOUT Seconds "120" "Seconds without movement after which an upload's request is given up.";
    HUB_BANDWIDTH_LIMIT Number "none" "Most bytes a second that downloads take together, and uploads.";
    HUB_VERIFY Text "on" "0 or off: downloaded bytes are not checked against their hash.";
    HUB_DURABLE Flag "off" "Downloaded files are flushed to the disk before they get their names: safe from a loss of power, and slower.";
    HUB_CA_BUNDLE Path "unset" "PEM file of certificate authorities to trust beside the system's.";
    REQUESTS_CA_BUNDLE Path "unset" "As HUB_CA_BUNDLE, looked at when that is unset.";
    CURL_CA_BUNDLE Path "unset" "As HUB_CA_BUNDLE, looked at when those are unset.";
    SSL_CERT_FILE Path "unset" "As HUB_CA_BUNDLE; on Linux in place of the system's, and for Xet too.";
    HUB_FORMAT Text "auto" "Output mode of the hub command: auto, human, agent, json or quiet.";
    HUB_PROGRESS Text "auto" "How the hub command shows progress: auto, bar, plain, json or none.";
    HUB_EXIT_CODES Text "fine" "simple: every failure of the hub command but a usage error exits with 1.";
    HUB_STDOUT Text "unset" "path: hub download and hub upload print the bare path or address.";
    HUB_LOG Text "warning" "What the hub command logs, as filter directives such as hub_http=debug.";
    NO_COLOR Text "unset" "Any value switches colour off.";
    CLICOLOR Text "unset" "0 switches colour off.";
    CLICOLOR_FORCE Text "unset" "Any value but 0 forces colour where there is no terminal.";
    TERM Text "the terminal's" "dumb switches colour and progress bars off.";
    COLUMNS Number "the terminal's" "Width of tables and help.";
    TQDM_POSITION Text "unset" "-1 forces progress bars where there is no terminal.";
    AI_AGENT Text "unset" "Set by coding assistants; switches the output to the agent mode.";
    AGENT Text "unset" "As AI_AGENT.";
    CLAUDECODE Text "unset" "Set by an assistant; switches the output to the agent mode.";
    CODEX_SANDBOX Text "unset" "As CLAUDECODE.";
    CURSOR_AGENT Text "unset" "As CLAUDECODE.";
    GEMINI_CLI Text "unset" "As CLAUDECODE.";
    OPENCODE Text "unset" "As CLAUDECODE.";
    SHELL Text "unset" "Which shell completions are made for.";
    HOME Path "the account's" "Home folder (USERPROFILE on Windows).";
    COMPUTERNAME Text "the machine's" "Name of the machine on Windows; part of the names of folders that jobs mount.";
    USERPROFILE Path "the account's" "Home folder on Windows.";
}

/// The variables' values at one moment.
#[derive(Clone, Default)]
pub struct Env {
    values: BTreeMap<OsString, OsString>,
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be tokens.
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Env {
    /// The process's environment, whole: a path may mention any variable.
    pub fn process() -> Self {
        Self {
            values: std::env::vars_os().collect(),
        }
    }

    /// An environment of exactly these variables.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self {
            values: pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        }
    }

    /// The same with one variable set.
    pub fn with(mut self, variable: Variable, value: impl Into<OsString>) -> Self {
        self.values.insert(variable.name.into(), value.into());
        self
    }

    /// Every variable with its value, to hand on to a child process. Values may be secrets.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.values.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether the variable is set, be it to nothing.
    pub fn is_set(&self, variable: Variable) -> bool {
        self.values.contains_key(OsStr::new(variable.name))
    }

    fn raw(&self, name: &str) -> Option<&OsString> {
        self.values.get(OsStr::new(name)).filter(|value| !value.is_empty())
    }

    /// The value of a variable that the user named, which may be none of ours: what a command hands on to a Space.
    pub fn named(&self, name: &str) -> Option<&std::ffi::OsStr> {
        self.values.get(std::ffi::OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable's text, or `None` when it is unset or empty.
    ///
    /// # Errors
    ///
    /// When the value is not Unicode.
    pub fn text(&self, variable: Variable) -> Result<Option<&str>, ValidationError> {
        let Some(value) = self.raw(variable.name) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(text) => Ok(Some(text)),
            None => Err(ValidationError::new(
                "environment variable",
                variable.name,
                "must be Unicode text",
            )),
        }
    }

    /// Whether a flag is on: `1`, `ON`, `YES` or `TRUE` in any case.
    pub fn flag(&self, variable: Variable) -> bool {
        self.raw(variable.name)
            .and_then(|value| value.to_str())
            .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str()))
    }

    /// A number, or `None` when the variable is unset, empty or `0` (which means the default, as in Python).
    ///
    /// # Errors
    ///
    /// When it is no whole number, or negative.
    pub fn number(&self, variable: Variable) -> Result<Option<u64>, ValidationError> {
        let Some(text) = self.text(variable)? else {
            return Ok(None);
        };
        match text.trim().replace('_', "").parse::<u64>() {
            Ok(0) => Ok(None),
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ValidationError::new(
                "environment variable",
                format!("{}={text}", variable.name),
                "must be a whole number, zero or more",
            )),
        }
    }

    /// Seconds as a duration. See [`Env::number`].
    ///
    /// # Errors
    ///
    /// When it is no whole number, or negative.
    pub fn seconds(&self, variable: Variable) -> Result<Option<Duration>, ValidationError> {
        Ok(self.number(variable)?.map(Duration::from_secs))
    }

    /// A path, a leading `~` and then `$NAME` and `${NAME}` replaced.
    pub fn path(&self, variable: Variable) -> Option<PathBuf> {
        self.raw(variable.name).map(|value| self.expand(value))
    }

    /// The home folder: `HOME`, on Windows `USERPROFILE`; else what the system says.
    pub fn home(&self) -> Option<PathBuf> {
        let name = if cfg!(windows) { USERPROFILE.name } else { HOME.name };
        self.raw(name).map(PathBuf::from)
    }

    /// `HF_HOME`, or `huggingface` below `XDG_CACHE_HOME` or `~/.cache`.
    pub fn hf_home(&self) -> PathBuf {
        if let Some(path) = self.path(HF_HOME) {
            return path;
        }
        let base = self.path(XDG_CACHE_HOME).unwrap_or_else(|| match self.home() {
            Some(home) => home.join(".cache"),
            None => PathBuf::from(".cache"),
        });
        base.join("huggingface")
    }

    /// The folder of Xet's caches: `HF_XET_CACHE`, or `$HF_HOME/xet`.
    pub fn xet_cache(&self) -> PathBuf {
        self.path(HF_XET_CACHE).unwrap_or_else(|| self.hf_home().join("xet"))
    }

    /// The cache's folder: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE` or `$HF_HOME/hub`.
    pub fn hub_cache(&self) -> PathBuf {
        self.path(HF_HUB_CACHE)
            .or_else(|| self.path(HUGGINGFACE_HUB_CACHE))
            .unwrap_or_else(|| self.hf_home().join("hub"))
    }

    /// The folders of system-wide caches: `HUB_SYSTEM_CACHE`, separated as in `PATH`, each expanded as a path is.
    pub fn system_caches(&self) -> Vec<PathBuf> {
        let Some(value) = self.raw(HUB_SYSTEM_CACHE.name) else {
            return Vec::new();
        };
        std::env::split_paths(value)
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| self.expand(&path.into_os_string()))
            .collect()
    }

    /// The token's file: `HF_TOKEN_PATH` or `$HF_HOME/token`.
    pub fn token_path(&self) -> PathBuf {
        self.path(HF_TOKEN_PATH).unwrap_or_else(|| self.hf_home().join("token"))
    }

    /// The file of named tokens, `stored_tokens` beside [`Env::token_path`].
    pub fn stored_tokens_path(&self) -> PathBuf {
        self.token_path()
            .parent()
            .unwrap_or(Path::new(""))
            .join("stored_tokens")
    }

    /// Whether requests are forbidden: `HF_HUB_OFFLINE`, or `TRANSFORMERS_OFFLINE` when that is unset.
    pub fn offline(&self) -> bool {
        if self.raw(HF_HUB_OFFLINE.name).is_some() {
            self.flag(HF_HUB_OFFLINE)
        } else {
            self.flag(TRANSFORMERS_OFFLINE)
        }
    }

    /// Whether the shorter user agent is asked for.
    pub fn telemetry_disabled(&self) -> bool {
        [HF_HUB_DISABLE_TELEMETRY, DISABLE_TELEMETRY, DO_NOT_TRACK]
            .into_iter()
            .any(|variable| self.flag(variable))
    }

    /// Replaces a leading `~`, then `$NAME` and `${NAME}`; an unknown name stays as it is.
    fn expand(&self, value: &OsString) -> PathBuf {
        let Some(text) = value.to_str() else {
            return PathBuf::from(value);
        };
        let tilde = match (text.strip_prefix('~'), self.home()) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with(['/', std::path::MAIN_SEPARATOR]) => {
                format!("{}{rest}", home.to_string_lossy())
            }
            _ => text.to_owned(),
        };
        let mut out = OsString::new();
        let mut rest = tilde.as_str();
        while let Some(at) = rest.find('$') {
            out.push(&rest[..at]);
            let behind = &rest[at + 1..];
            let (name, length) = match behind.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some((name, _)) => (name, name.len() + 2),
                None => {
                    let end = behind
                        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                        .unwrap_or(behind.len());
                    (&behind[..end], end)
                }
            };
            match self.values.get(OsStr::new(name)).filter(|_| !name.is_empty()) {
                Some(known) => out.push(known),
                None => out.push(&rest[at..at + 1 + length]),
            }
            rest = &behind[length..];
        }
        out.push(rest);
        PathBuf::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::from_pairs(pairs.iter().map(|(k, v)| (*k, *v)))
    }

    #[test]
    fn flags_are_four_words() {
        for (value, expected) in [
            ("1", true),
            ("yes", true),
            ("True", true),
            ("on", true),
            ("0", false),
            (" 1", false),
            ("y", false),
            ("", false),
        ] {
            assert_eq!(env(&[("HF_DEBUG", value)]).flag(HF_DEBUG), expected, "{value:?}");
        }
    }

    #[test]
    fn offline_looks_at_the_older_name_only_when_the_newer_is_unset() {
        assert!(env(&[("TRANSFORMERS_OFFLINE", "1")]).offline());
        assert!(!env(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).offline());
        assert!(env(&[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "1")]).offline());
    }

    #[test]
    fn numbers_say_what_is_wrong() {
        assert_eq!(
            env(&[("HF_HUB_ETAG_TIMEOUT", "1_0")]).seconds(HF_HUB_ETAG_TIMEOUT),
            Ok(Some(Duration::from_secs(10)))
        );
        assert_eq!(
            env(&[("HF_HUB_ETAG_TIMEOUT", "0")]).seconds(HF_HUB_ETAG_TIMEOUT),
            Ok(None)
        );
        let err = env(&[("HF_HUB_ETAG_TIMEOUT", "1.5")])
            .seconds(HF_HUB_ETAG_TIMEOUT)
            .unwrap_err();
        assert_eq!(
            err.to_string(),
            "invalid environment variable 'HF_HUB_ETAG_TIMEOUT=1.5': must be a whole number, zero or more"
        );
    }

    #[test]
    fn paths_follow_the_python_client() {
        let home = env(&[("HOME", "/home/ada")]);
        assert_eq!(home.hub_cache(), PathBuf::from("/home/ada/.cache/huggingface/hub"));
        assert_eq!(
            home.stored_tokens_path(),
            PathBuf::from("/home/ada/.cache/huggingface/stored_tokens")
        );
        let set = env(&[
            ("HOME", "/h"),
            ("HF_HOME", "~/hf"),
            ("B", "bee"),
            ("HF_HUB_CACHE", "$HF_HOME/${B}/$NO/x"),
        ]);
        assert_eq!(set.hf_home(), PathBuf::from("/h/hf"));
        assert_eq!(set.hub_cache(), PathBuf::from("~/hf/bee/$NO/x"));
        assert_eq!(env(&[("HF_HOME", "")]).hf_home(), PathBuf::from(".cache/huggingface"));
    }

    #[test]
    fn system_wide_caches_are_a_list() {
        assert_eq!(
            env(&[("HUB_SYSTEM_CACHE", "")]).system_caches(),
            [""; 0].map(PathBuf::from)
        );
        let list = std::env::join_paths(["/srv/$TEAM/hub", "", "~/shared"]).unwrap();
        let set = env(&[("HOME", "/h"), ("USERPROFILE", "/h"), ("TEAM", "nlp")]).with(HUB_SYSTEM_CACHE, list);
        let expected = ["/srv/nlp/hub", "/h/shared"].map(PathBuf::from);
        assert_eq!(set.system_caches(), expected);
    }
}
