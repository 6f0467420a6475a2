//! What a new Space gets: hardware, secrets, variables, volumes.

use std::io::Read;
use std::path::Path;

use clap::Args;
use hub_types::repos::{KeyValue, Visibility};
use hub_types::spaces::Volume;
use hub_types::{HubMount, OneOrMany};

use crate::cli::{Secret, switch};
use crate::context::Context;
use crate::error::Failure;

switch!(Private, "private", "no-private", "Let only members see it");

/// Who may see a repository.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct VisibilityArgs {
    #[command(flatten)]
    private: Private,
    /// Let everybody see it
    #[arg(long)]
    public: bool,
    /// Let everybody use the Space and only members see its files
    #[arg(long)]
    protected: bool,
}

impl VisibilityArgs {
    /// What was chosen, if anything.
    pub(crate) fn get(self) -> anyhow::Result<Option<Visibility>> {
        let private = self.private.choice();
        let chosen = [private == Some(true), self.public, self.protected];
        if chosen.into_iter().filter(|chosen| *chosen).count() > 1 {
            return Err(Failure::usage("use only one of --private, --public and --protected").into());
        }
        Ok(match (private, self.public, self.protected) {
            (Some(true), ..) => Some(Visibility::Private),
            (_, true, _) | (Some(false), _, false) => Some(Visibility::Public),
            (_, _, true) => Some(Visibility::Protected),
            (None, false, false) => None,
        })
    }
}

/// Options that only Spaces have.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options for Spaces")]
pub(crate) struct SpaceArgs {
    /// Hardware, such as cpu-basic or t4-small
    #[arg(long, value_name = "FLAVOR")]
    pub(crate) flavor: Option<String>,
    /// Seconds without a visit until it sleeps; -1 for never
    #[arg(long, value_name = "SECONDS")]
    pub(crate) sleep_time: Option<i64>,
    /// Give it a secret: KEY takes the value from the environment (can be repeated)
    #[arg(long, short, value_name = "KEY[=VALUE]")]
    secrets: Vec<Secret>,
    /// Read secrets from a file, or from the standard input for -
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<String>,
    /// Give it a variable (can be repeated)
    #[arg(long, short, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Read variables from a file, or from the standard input for -
    #[arg(long, value_name = "FILE")]
    env_file: Option<String>,
    /// Mount a repository or bucket: hf://[TYPE/]ID[/PATH]:/MOUNT[:ro] (can be repeated)
    #[arg(long, short, value_name = "MOUNT")]
    volume: Vec<String>,
}

impl SpaceArgs {
    pub(crate) fn secrets(&self, context: &Context) -> anyhow::Result<Option<OneOrMany<KeyValue>>> {
        if self.secrets.iter().any(|secret| secret.0.contains('=')) {
            context.out.warning(
                "`--secrets KEY=value` leaves the value in your shell history and in process listings. Prefer \
                 `--secrets KEY` (value read from your environment), `--secrets-file FILE` or `--secrets-file -`.",
            );
        }
        let words: Vec<&str> = self.secrets.iter().map(|secret| secret.0.as_str()).collect();
        pairs(context, "--secrets", &words, self.secrets_file.as_deref())
    }

    pub(crate) fn variables(&self, context: &Context) -> anyhow::Result<Option<OneOrMany<KeyValue>>> {
        let words: Vec<&str> = self.env.iter().map(String::as_str).collect();
        pairs(context, "--env", &words, self.env_file.as_deref())
    }

    pub(crate) fn volumes(&self) -> anyhow::Result<Option<OneOrMany<Volume>>> {
        let volumes = self
            .volume
            .iter()
            .map(|text| {
                let mount: HubMount = text.parse()?;
                let source = mount.source();
                Ok(Volume {
                    kind: source.kind().as_str().to_owned(),
                    source: source.id().to_owned(),
                    mount_path: mount.mount_path().to_owned(),
                    revision: source.revision().map(|revision| revision.as_str().to_owned()),
                    read_only: mount.read_only(),
                    path: Some(source.path().to_owned()).filter(|path| !path.is_empty()),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok((!volumes.is_empty()).then(|| volumes.into()))
    }
}

/// The pairs of a file, then those of the command line, the last of a name winning.
fn pairs(
    context: &Context,
    option: &str,
    words: &[&str],
    file: Option<&str>,
) -> anyhow::Result<Option<OneOrMany<KeyValue>>> {
    let mut found: Vec<KeyValue> = Vec::new();
    let mut put = |key: String, value: String| {
        found.retain(|pair| pair.key != key);
        found.push((key, value).into());
    };
    let text = file.map(|file| read(context, file)).transpose()?;
    for line in text.as_deref().unwrap_or_default().lines() {
        if let Some((key, value)) = line_of(line)
            && let Some(value) = value.map_or_else(|| from_environment(context, &key), |value| Ok(Some(value)))?
        {
            put(key, value);
        }
    }
    for word in words {
        let Some((key, value)) = line_of(word) else {
            // Not shown: it may be a secret without its name.
            let message = format!("invalid value for '{option}': must be KEY or KEY=VALUE, with a letter or _ first");
            return Err(Failure::usage(message).into());
        };
        match value.map_or_else(|| from_environment(context, &key), |value| Ok(Some(value)))? {
            Some(value) => put(key, value),
            None => {
                let message = format!("'{option} {key}' takes its value from the environment, where it is not set");
                return Err(Failure::usage(message).into());
            }
        }
    }
    Ok((!found.is_empty()).then(|| found.into()))
}

fn from_environment(context: &Context, key: &str) -> anyhow::Result<Option<String>> {
    if key == "HF_TOKEN"
        && let Some(token) = context.token()?
    {
        return Ok(Some(token.reveal().to_owned()));
    }
    let value = context.settings.env.named(key);
    Ok(value.and_then(|value| value.to_str()).map(str::to_owned))
}

fn read(context: &Context, file: &str) -> anyhow::Result<String> {
    if file == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    warn_if_open(context, Path::new(file));
    let text = fs_err::read_to_string(file)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

fn warn_if_open(context: &Context, file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Ok(meta) = fs_err::metadata(file)
            && meta.permissions().mode() & 0o077 != 0
        {
            let file = file.display();
            context.out.warning(&format!(
                "'{file}' is readable by other users. Run `chmod 600 {file}` to restrict it."
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = (context, file);
}

/// `[export] KEY[=VALUE]` of an environment file: quotes taken off, escapes read between double quotes, a comment
/// dropped. `None` for a comment, an empty line and what is no pair.
fn line_of(line: &str) -> Option<(String, Option<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let line = match line.strip_prefix("export") {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => line,
    };
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_start();
    let Some(value) = rest.strip_prefix('=') else {
        return (rest.is_empty() || rest.starts_with('#')).then(|| (key.to_owned(), None));
    };
    let value = value.trim_start();
    let quoted = value.chars().next().filter(|quote| matches!(quote, '"' | '\''));
    let value = match quoted.and_then(|quote| unquoted(&value[1..], quote)) {
        Some(inner) => inner,
        None => {
            let comment = value
                .match_indices('#')
                .find(|(at, _)| *at == 0 || value[..*at].ends_with(char::is_whitespace));
            let end = comment.map_or(value.len(), |(at, _)| at);
            value[..end].trim_end().to_owned()
        }
    };
    Some((key.to_owned(), Some(value)))
}

/// What stands up to the closing quote, if there is one and only a comment behind it.
fn unquoted(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let behind = text[at + 1..].trim_start();
            return (behind.is_empty() || behind.starts_with('#')).then_some(out);
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match (chars.next()?.1, quote) {
            ('n', '"') => out.push('\n'),
            ('t', '"') => out.push('\t'),
            (c @ ('"' | '\\' | '$'), '"') => out.push(c),
            (other, _) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, key: &str, value: Option<&str>) {
        assert_eq!(
            line_of(line),
            Some((key.to_owned(), value.map(str::to_owned))),
            "{line}"
        );
    }

    #[test]
    fn lines_of_environment_files() {
        check("A=b", "A", Some("b"));
        check("  export A = b c # d", "A", Some("b c"));
        check("A=b#c", "A", Some("b#c"));
        check("A=", "A", Some(""));
        check("A='b # c' # d", "A", Some("b # c"));
        check(r#"A="b\n\"c\"""#, "A", Some("b\n\"c\""));
        check(r"A='b\n'", "A", Some(r"b\n"));
        check("A", "A", None);
        check("A # comment", "A", None);
        for bad in ["", "# A=b", "1A=b", "A b", "=b"] {
            assert_eq!(line_of(bad), None, "{bad}");
        }
    }
}
