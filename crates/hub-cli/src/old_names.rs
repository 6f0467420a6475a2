//! Command lines of earlier clients, rewritten to today's before they are parsed, with one line that says so.
//!
//! READMEs keep what was written once: `huggingface-cli download --resume-download` shall run for ever.

use std::ffi::OsString;

/// The arguments as they are written today, and what to tell who wrote them otherwise.
pub(crate) fn modernise(args: Vec<OsString>, parser: &clap::Command) -> (Vec<OsString>, Option<String>) {
    // What is not Unicode is a file's name, and no old name is near it.
    let Some(words) = args
        .iter()
        .map(|arg| arg.to_str().map(str::to_owned))
        .collect::<Option<Vec<_>>>()
    else {
        return (args, None);
    };
    let Some((program, rest)) = words.split_first() else {
        return (args, None);
    };
    let at = command_at(rest, parser);
    let (before, behind) = rest.split_at(at);
    let mut notice = None;
    let mut new: Vec<String> = match rewritten(behind) {
        Some((new, today)) => {
            notice = Some(format!("`{}` is an old name; use `hub {today}`", old_name(behind)));
            new
        }
        None => behind.to_vec(),
    };
    if let Some(option) = drop_old_options(&mut new) {
        notice = notice.or(Some(option));
    }
    let stem = std::path::Path::new(program).file_stem().and_then(|stem| stem.to_str());
    if stem == Some("huggingface-cli") {
        notice = notice.or_else(|| Some("`huggingface-cli` is an old name; use `hub`".to_owned()));
    }
    let words = std::iter::once(program.clone())
        .chain(before.iter().cloned())
        .chain(new);
    (words.map(OsString::from).collect(), notice)
}

/// Where the command stands: behind the global options, some of which have a value.
fn command_at(words: &[String], parser: &clap::Command) -> usize {
    let takes_value = |word: &str| {
        parser.get_arguments().any(|arg| {
            let named = arg.get_long().is_some_and(|long| word == format!("--{long}"))
                || arg.get_short().is_some_and(|short| word == format!("-{short}"));
            named && arg.get_action().takes_values() && !arg.is_require_equals_set()
        })
    };
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if !word.starts_with('-') {
            return at;
        }
        at += if takes_value(word) { 2 } else { 1 };
    }
    words.len()
}

fn old_name(words: &[String]) -> String {
    match words {
        [first, second, ..] if first == "cache" => format!("{first} {second}"),
        [first, ..] => first.clone(),
        [] => String::new(),
    }
}

/// The words of an old command as today's, and the name of today's.
fn rewritten(words: &[String]) -> Option<(Vec<String>, String)> {
    let first = words.first()?.as_str();
    let rest = &words[1..];
    let (today, rest): (&str, Vec<String>) = match first {
        "login" => ("auth login", rest.to_vec()),
        "logout" => ("auth logout", rest.to_vec()),
        "whoami" => ("auth whoami", rest.to_vec()),
        "repo" => ("repos", rest.to_vec()),
        "repo-files" => {
            let [repo, verb, patterns @ ..] = rest else { return None };
            if verb != "delete" {
                return None;
            }
            let patterns = std::iter::once(repo).chain(patterns).cloned();
            ("repos delete-files", patterns.collect())
        }
        "upload-large-folder" => ("upload", large_folder(rest)),
        "scan-cache" => ("cache ls", renamed(rest, "--dir", "--cache-dir")),
        "delete-cache" => ("cache rm", without_menu(rest)),
        "cache" => match rest.split_first() {
            Some((verb, rest)) if verb == "scan" => ("cache ls", renamed(rest, "--dir", "--cache-dir")),
            Some((verb, rest)) if verb == "delete" => ("cache rm", without_menu(rest)),
            _ => return None,
        },
        "tag" => {
            let is = |long: &str, short: &str| rest.iter().any(|word| word == long || word == short);
            let kept = |skip: [&str; 2]| {
                rest.iter()
                    .filter(|word| !skip.contains(&word.as_str()))
                    .cloned()
                    .collect()
            };
            if is("--list", "-l") {
                ("repos tag list", kept(["--list", "-l"]))
            } else if is("--delete", "-d") {
                ("repos tag delete", kept(["--delete", "-d"]))
            } else {
                ("repos tag create", rest.to_vec())
            }
        }
        _ => return None,
    };
    let new = today.split(' ').map(str::to_owned).chain(rest).collect();
    Some((new, today.to_owned()))
}

fn renamed(words: &[String], from: &str, to: &str) -> Vec<String> {
    words
        .iter()
        .map(|word| match word.strip_prefix(from) {
            Some("") => to.to_owned(),
            Some(value) if value.starts_with('=') => format!("{to}{value}"),
            _ => word.clone(),
        })
        .collect()
}

/// There is no menu of what to delete: it is named.
fn without_menu(words: &[String]) -> Vec<String> {
    let words: Vec<String> = words.iter().filter(|word| *word != "--disable-tui").cloned().collect();
    renamed(&words, "--dir", "--cache-dir")
}

fn large_folder(words: &[String]) -> Vec<String> {
    let mut new = Vec::new();
    for word in renamed(words, "--num-workers", "--max-connections") {
        match word.as_str() {
            "--no-report" => {}
            "--no-bars" => new.extend(["--progress".to_owned(), "none".to_owned()]),
            _ => new.push(word),
        }
    }
    new
}

/// Takes options that mean nothing any more out of `download`, and gives each of several patterns its own option.
fn drop_old_options(words: &mut Vec<String>) -> Option<String> {
    let transfer = words
        .first()
        .is_some_and(|first| first == "download" || first == "upload");
    if !transfer {
        return None;
    }
    let mut notice = None;
    let mut new: Vec<String> = Vec::with_capacity(words.len());
    let mut pattern_option: Option<String> = None;
    let mut old = std::mem::take(words).into_iter();
    while let Some(word) = old.next() {
        match word.as_str() {
            "--" => {
                new.push(word);
                new.extend(old.by_ref());
            }
            "--resume-download" => {
                notice = Some("`--resume-download` is not needed any more: downloads always resume".to_owned());
            }
            "--local-dir-use-symlinks" => {
                old.next();
                notice = Some("`--local-dir-use-symlinks` means nothing any more: local folders hold files".to_owned());
            }
            _ if word.starts_with("--local-dir-use-symlinks=") => {
                notice = Some("`--local-dir-use-symlinks` means nothing any more: local folders hold files".to_owned());
            }
            "--include" | "--exclude" | "--delete" => {
                pattern_option = Some(word.clone());
                new.push(word);
                new.extend(old.next());
            }
            _ if word.starts_with('-') => {
                pattern_option = None;
                new.push(word);
            }
            // No file of a repository has such a name: it is one more pattern.
            _ if word.contains(['*', '?']) => match &pattern_option {
                Some(option) => {
                    notice = Some(format!("give each pattern its own option: `{option} '{word}'`"));
                    new.extend([option.clone(), word]);
                }
                None => new.push(word),
            },
            _ => {
                pattern_option = None;
                new.push(word);
            }
        }
    }
    *words = new;
    notice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &str, today: &str) {
        let args = old.split(' ').map(OsString::from).collect();
        let (new, notice) = modernise(args, &crate::cli::parser());
        let new: Vec<_> = new.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(new.join(" "), today);
        assert_eq!(notice.is_some(), old != today, "{notice:?}");
    }

    #[test]
    fn old_commands_become_todays() {
        check("hub login --token-stdin", "hub auth login --token-stdin");
        check("hub --endpoint http://x whoami", "hub --endpoint http://x auth whoami");
        check("hub repo create a/b", "hub repos create a/b");
        check(
            "hub repo-files a/b delete *.bin x",
            "hub repos delete-files a/b *.bin x",
        );
        check("hub scan-cache --dir /c", "hub cache ls --cache-dir /c");
        check("hub cache delete --disable-tui", "hub cache rm");
        check("hub tag a/b v1 -m x", "hub repos tag create a/b v1 -m x");
        check("hub tag -l a/b", "hub repos tag list a/b");
        check("hub tag a/b v1 -d -y", "hub repos tag delete a/b v1 -y");
        check(
            "hub upload-large-folder a/b . --num-workers=4 --no-report --no-bars",
            "hub upload a/b . --max-connections=4 --progress none",
        );
    }

    #[test]
    fn old_options_are_dropped_and_patterns_told_apart() {
        check(
            "hub download --resume-download a/b --local-dir-use-symlinks False --local-dir d",
            "hub download a/b --local-dir d",
        );
        check(
            "hub download a/b --include *.json *.txt --exclude x/* y/*",
            "hub download a/b --include *.json --include *.txt --exclude x/* --exclude y/*",
        );
    }

    #[test]
    fn todays_stay_as_they_are() {
        check("hub download a/b login", "hub download a/b login");
        check(
            "hub download a/b config.json --include *.x",
            "hub download a/b config.json --include *.x",
        );
        check("hub cache ls", "hub cache ls");
        check("hub -C login version", "hub -C login version");
        check("hub", "hub");
    }

    #[test]
    fn the_old_program_name_is_told() {
        let args = ["/bin/huggingface-cli", "version"].map(OsString::from);
        let (_, notice) = modernise(args.into(), &crate::cli::parser());
        assert_eq!(notice.as_deref(), Some("`huggingface-cli` is an old name; use `hub`"));
    }
}
