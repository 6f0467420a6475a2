//! Small rules about the files themselves, each with the line that breaks it.

use std::path::Path;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let list = cmd!(
        sh,
        "git -c safe.directory=* ls-files --cached --others --exclude-standard"
    )
    .quiet()
    .read()?;
    let mut problems = Vec::new();
    for path in list.lines() {
        let Ok(bytes) = sh.read_binary_file(path) else {
            continue; // deleted and not yet committed
        };
        if bytes.len() > LARGEST && !path.starts_with("tests/fixtures/") {
            problems.push(format!("{path}: {} bytes; large files do not belong here", bytes.len()));
        }
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        problems.extend(check_text(path, &text));
        if path.ends_with("Cargo.toml") && path.contains('/') {
            problems.extend(check_manifest(path, &text));
        }
        if path.ends_with(".md") {
            problems.extend(check_links(path, &text, |target| sh.path_exists(target)));
        }
    }
    problems.extend(check_fixtures(
        &list,
        &sh.read_file("tests/fixtures/SOURCES.md").unwrap_or_default(),
    ));
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{} untidy\n{}", problems.len(), problems.join("\n"))
}

const LARGEST: usize = 1 << 20;

/// Words that say that code is unfinished or a test switched off, written so that this file does not hold them.
const LEFTOVERS: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[", "ignore"),
    concat!("#[", "should_panic"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("<<<<", "<<<"),
];

fn check_text(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let recorded = path.starts_with("tests/fixtures/") && !path.ends_with(".py") && !path.ends_with(".md");
    if recorded || path == "LICENSE" || path == "Cargo.lock" {
        return problems;
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        problems.push(format!("{path}: must end with one line break"));
    }
    let rust = path.ends_with(".rs");
    // The tests of a module may stand in a file below it, which says nothing that the module does not.
    if rust && !path.ends_with("/tests.rs") && !text.starts_with("//!") {
        problems.push(format!("{path}: must begin with a sentence on its job (//!)"));
    }
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if line.ends_with([' ', '\t', '\r']) {
            problems.push(format!("{path}:{number}: white space at the end"));
        }
        if line.starts_with('\t') || (rust && line.contains('\t')) {
            problems.push(format!("{path}:{number}: a tab"));
        }
        if let Some(word) = LEFTOVERS.iter().find(|word| rust && line.contains(**word)) {
            problems.push(format!("{path}:{number}: {word}"));
        }
        if let Some(rule) = ONLY_IN.iter().find(|rule| rule.is_broken_by(path, line)) {
            problems.push(format!("{path}:{number}: {} belongs in {} alone", rule.word, rule.file));
        }
    }
    problems
}

/// A word that only one file of a folder may hold.
struct OnlyIn {
    folder: &'static str,
    file: &'static str,
    word: &'static str,
}

const ONLY_IN: &[OnlyIn] = &[
    OnlyIn {
        folder: "crates/hub-git-compat/src/",
        file: "git.rs",
        word: "Command::new",
    },
    OnlyIn {
        folder: "crates/hub-git-compat/src/",
        file: "remote.rs",
        word: "use hub_http",
    },
];

impl OnlyIn {
    fn is_broken_by(&self, path: &str, line: &str) -> bool {
        path.strip_prefix(self.folder).is_some_and(|file| file != self.file) && line.contains(self.word)
    }
}

/// Every package takes the workspace's lints and versions.
fn check_manifest(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    // A workspace of its own: a program that only the benchmark builds.
    if text.lines().any(|line| line == "[workspace]") {
        return problems;
    }
    if !text.contains("[lints]\nworkspace = true") {
        problems.push(format!("{path}: must say [lints] workspace = true"));
    }
    let mut section = "";
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section.ends_with("dependencies") && line.contains('=') && !line.contains("workspace = true") {
            problems.push(format!("{path}:{number}: versions stand in the workspace's Cargo.toml"));
        }
    }
    problems
}

/// Links to files of the repository must lead somewhere.
fn check_links(path: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        for link in line.split("](").skip(1) {
            let target = link.split([')', '#', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !exists(&folder.join(target)) {
                problems.push(format!("{path}:{number}: the link to {target} leads nowhere"));
            }
        }
    }
    problems
}

/// Each fixture's origin is written down.
fn check_fixtures(list: &str, sources: &str) -> Vec<String> {
    list.lines()
        .filter_map(|path| path.strip_prefix("tests/fixtures/"))
        .filter(|name| *name != "SOURCES.md" && !sources.contains(*name))
        .map(|name| format!("tests/fixtures/SOURCES.md: says nothing about {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let sh = Shell::new().unwrap();
        sh.change_dir(crate::workspace_root());
        assert_eq!(run(&sh).map_err(|err| err.to_string()), Ok(()));
    }

    #[test]
    fn leftovers_and_white_space_are_found() {
        let text = format!("//! A file.\nfn f() {{\n    {}); \n}}", LEFTOVERS[0]);
        assert_eq!(
            check_text("crates/x/src/f.rs", &text),
            [
                "crates/x/src/f.rs: must end with one line break".to_owned(),
                "crates/x/src/f.rs:3: white space at the end".to_owned(),
                format!("crates/x/src/f.rs:3: {}", LEFTOVERS[0]),
            ]
        );
        assert!(check_text("notes.md", "tab in\ttext\n").is_empty());
    }

    #[test]
    fn git_runs_in_one_file() {
        let text = "//! A file.\nlet git = Command::new(\"git\");\n";
        assert!(check_text("crates/hub-git-compat/src/git.rs", text).is_empty());
        assert_eq!(
            check_text("crates/hub-git-compat/src/lib.rs", text),
            ["crates/hub-git-compat/src/lib.rs:2: Command::new belongs in git.rs alone"]
        );
    }

    #[test]
    fn manifests_take_what_the_workspace_says() {
        let good = "[dependencies]\nserde.workspace = true\n\n[lints]\nworkspace = true\n";
        assert!(check_manifest("a/Cargo.toml", good).is_empty());
        assert!(check_manifest("a/Cargo.toml", "[dependencies]\nserde = \"1\"\n[workspace]\n").is_empty());
        assert_eq!(
            check_manifest("a/Cargo.toml", "[dev-dependencies]\nserde = \"1\"\n"),
            [
                "a/Cargo.toml: must say [lints] workspace = true",
                "a/Cargo.toml:2: versions stand in the workspace's Cargo.toml"
            ]
        );
    }

    #[test]
    fn links_and_fixtures_are_followed() {
        let text = "[a](there.md#part) [b](gone.md) [c](https://example.org/x)\n";
        assert_eq!(
            check_links("docs/index.md", text, |path| path == Path::new("docs/there.md")),
            ["docs/index.md:1: the link to gone.md leads nowhere"]
        );
        let list = "tests/fixtures/a.json\ntests/fixtures/b.json\ntests/fixtures/SOURCES.md\nREADME.md";
        assert_eq!(
            check_fixtures(list, "a.json: from there"),
            ["tests/fixtures/SOURCES.md: says nothing about b.json"]
        );
    }
}
