//! `cargo xtask coverage`: every public operation of the official client has one of ours, a table says which, and each says
//! what it asks, how it fails and how it is used.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::Shell;

/// The official client's operations, where the specification lies beside this checkout.
const SPECIFICATION: &str = "../shared/spec/api-coverage.md";
/// The table, which is the list where the specification is not there.
const TABLE: &str = "docs/api-coverage.md";
/// Where our operations are defined, and whose methods they are.
const SOURCES: &[(&str, &str)] = &[("crates/hub-http/src", "HfApi"), ("crates/hub-cache/src", "HubCache")];

/// An operation of the official client.
#[derive(Debug, Clone, PartialEq)]
struct Theirs {
    name: String,
    endpoint: String,
    group: String,
}

/// An operation of ours.
#[derive(Debug, Clone, PartialEq)]
struct Ours {
    /// `HfApi::create_repo`
    method: String,
    /// The file that defines it.
    file: String,
    /// What its documentation has not.
    lacks: Vec<&'static str>,
    /// How its documentation contradicts its code.
    wrong: Option<String>,
}

/// Fails naming each operation that is missing, and when the table is not what the source says. With `write`, writes it.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
    let root = sh.current_dir();
    let theirs = match root.join(SPECIFICATION) {
        path if path.is_file() => specification(&sh.read_file(path)?)?,
        _ => listed(&sh.read_file(TABLE)?)?,
    };
    let mut ours = BTreeMap::new();
    for (folder, context) in SOURCES {
        for path in rust_files(&root.join(folder))? {
            let file = path.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
            for found in methods(&sh.read_file(&path)?, context) {
                ours.entry(found.name).or_insert(Ours {
                    method: format!("{context}::{}", found.method),
                    file: file.clone(),
                    lacks: found.lacks,
                    wrong: found.wrong,
                });
            }
        }
    }
    let missing: Vec<&str> = theirs
        .iter()
        .map(|operation| operation.name.as_str())
        .filter(|name| !ours.contains_key(*name))
        .collect();
    if !missing.is_empty() {
        bail!(
            "{} of {} operations of the official client are missing: {}",
            missing.len(),
            theirs.len(),
            missing.join(", ")
        );
    }
    let undocumented: Vec<String> = (theirs.iter().map(|operation| &ours[&operation.name]))
        .filter(|ours| !ours.lacks.is_empty())
        .map(|ours| format!("{} ({}) has no {}", ours.method, ours.file, ours.lacks.join(", no ")))
        .collect();
    if !undocumented.is_empty() {
        bail!(
            "{} operations lack documentation:\n{}",
            undocumented.len(),
            undocumented.join("\n")
        );
    }
    let wrong: Vec<String> = (ours.values())
        .filter_map(|ours| Some(format!("{} ({}): {}", ours.method, ours.file, ours.wrong.as_ref()?)))
        .collect();
    if !wrong.is_empty() {
        bail!(
            "{} operations ask something else than they say:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
    let table = table(&theirs, &ours);
    if write {
        sh.write_file(TABLE, &table)?;
    } else if sh.read_file(TABLE).unwrap_or_default() != table {
        bail!("{TABLE} is out of date; run cargo xtask coverage write");
    }
    println!("    {} of {} operations are there", theirs.len(), theirs.len());
    Ok(())
}

/// The rows of the specification: number, name, endpoint, group.
fn specification(text: &str) -> Result<Vec<Theirs>> {
    let rows: Vec<Theirs> = text
        .lines()
        .filter_map(|line| {
            let cells = cells(line)?;
            let [number, name, endpoint, group, ..] = cells.as_slice() else {
                return None;
            };
            number.parse::<u32>().ok()?;
            Some(Theirs {
                name: name.trim_matches('`').to_owned(),
                endpoint: (*endpoint).to_owned(),
                group: (*group).to_owned(),
            })
        })
        .collect();
    if rows.is_empty() {
        bail!("{SPECIFICATION} has no table of operations");
    }
    Ok(rows)
}

/// The rows of our own table: name, method, endpoint, under a heading for each group.
fn listed(text: &str) -> Result<Vec<Theirs>> {
    let mut group = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            group = heading.to_owned();
        }
        if let Some(cells) = cells(line)
            && let [name, _, endpoint] = cells.as_slice()
            && let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`'))
        {
            rows.push(Theirs {
                name: name.to_owned(),
                endpoint: (*endpoint).to_owned(),
                group: group.clone(),
            });
        }
    }
    if rows.is_empty() {
        bail!("{TABLE} lists no operations");
    }
    Ok(rows)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// A public method, by its name or by an alias in its documentation.
#[derive(Debug, Clone, PartialEq)]
struct Method {
    name: String,
    method: String,
    lacks: Vec<&'static str>,
    /// How its documentation contradicts its code.
    wrong: Option<String>,
}

/// The public methods of `context` in a source file.
fn methods(source: &str, context: &str) -> Vec<Method> {
    let operation = format!("impl {context}, ");
    let block = format!("impl {context} {{");
    let mut inside = false;
    let mut aliases = Vec::new();
    let mut found = Vec::new();
    // What stands above the current line, and what the definition of the family adds that it may be a member of.
    let (mut docs, mut family, mut families) = (String::new(), String::new(), BTreeMap::new());
    let mut defines: Option<&str> = None;
    for line in source.lines() {
        let text = line.trim();
        if let Some(name) = line
            .strip_prefix("macro_rules! ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            defines = Some(name);
        } else if let Some(added) = line.strip_suffix("! {").and_then(|name| families.get(name)) {
            family = String::clone(added);
        }
        if let Some(doc) = text.strip_prefix("///") {
            docs += doc.trim_start();
            docs.push('\n');
            if let Some(name) = defines {
                *families.entry(name).or_default() += &format!("{}\n", doc.trim_start());
            }
            continue;
        }
        if text.starts_with(&operation) || line == block {
            inside = true;
            aliases.clear();
        } else if line == "}" {
            (inside, defines) = (false, None);
            family.clear();
        } else if let Some(alias) = text.strip_prefix("#[doc(alias = \"") {
            aliases.extend(alias.split('"').next().map(str::to_owned));
        } else if let Some(name) = function(text).filter(|_| inside).or_else(|| member(text)) {
            let docs = format!("{docs}{family}");
            let lacks = lacks(&docs);
            let wrong = code_of(source, &camel(name)).and_then(|code| contradicts(&docs, code));
            for alias in std::iter::once(name.to_owned()).chain(aliases.drain(..)) {
                found.push(Method {
                    name: alias,
                    method: name.to_owned(),
                    lacks: lacks.clone(),
                    wrong: wrong.clone(),
                });
            }
        }
        if !text.starts_with("#[") {
            docs.clear();
        }
    }
    found
}

/// What an operation's documentation should have and has not. One that asks no server says `Endpoint: none`.
fn lacks(docs: &str) -> Vec<&'static str> {
    let begins = |beginning: &str| docs.lines().any(|line| line.starts_with(beginning));
    [
        ("endpoint", begins("Endpoint: ") || begins("Endpoints: ")),
        ("part on errors", begins("# Errors")),
        ("example", has_example(docs)),
    ]
    .into_iter()
    .filter_map(|(what, there)| (!there).then_some(what))
    .collect()
}

/// Whether there is a block of Rust that is compiled: not text, not one that is ignored.
fn has_example(docs: &str) -> bool {
    const COMPILED: [&str; 4] = ["", "rust", "no_run", "should_panic"];
    let fences = docs.lines().filter_map(|line| line.strip_prefix("```"));
    // Every other one ends a block.
    fences
        .step_by(2)
        .any(|language| language.split(',').all(|word| COMPILED.contains(&word.trim())))
}

/// What an operation's documentation says it asks, against what its code asks, as far as that stands in it: the method of
/// each request, and the fixed parts of its path. What is wrong, or `None`.
fn contradicts(docs: &str, code: &str) -> Option<String> {
    let endpoint: Vec<&str> = docs
        .lines()
        .skip_while(|line| !line.starts_with("Endpoint"))
        .take_while(|line| !line.is_empty())
        .collect();
    let endpoint = endpoint.join(" ");
    for (at, begin) in code.match_indices("Request::") {
        let call = &code[at + begin.len()..];
        let (method, arguments) = match call.split_once('(')? {
            ("new", arguments) => {
                let (method, rest) = arguments.split_once(',')?;
                (method.rsplit("::").next()?.trim(), rest)
            }
            (method @ ("get" | "post" | "put" | "delete"), arguments) => (method, arguments),
            _ => continue,
        };
        let method = method.to_uppercase();
        if matches!(method.as_str(), "GET" | "POST" | "PUT" | "DELETE" | "PATCH" | "HEAD")
            && !endpoint.contains(&method)
        {
            return Some(format!("the code sends {method}, the documentation says {endpoint}"));
        }
        let path = arguments.trim_start().trim_start_matches("format!(").trim_start();
        let Some(path) = path.strip_prefix('"').and_then(|path| path.split('"').next()) else {
            continue;
        };
        for part in path.split('{').flat_map(|part| part.rsplit('}').next()) {
            let part = part.trim_matches('/');
            if !part.split('/').all(|segment| endpoint.contains(segment)) {
                return Some(format!(
                    "the code asks {method} {path}, the documentation says {endpoint}"
                ));
            }
        }
    }
    None
}

/// The code of an operation's `run`: the block of its arguments.
fn code_of<'a>(source: &'a str, operation: &str) -> Option<&'a str> {
    let begin = source.find(&format!("\nimpl {operation}Args {{"))?;
    let code = &source[begin..];
    Some(&code[..code.find("\n}\n").unwrap_or(code.len())])
}

/// The name of a public function whose definition begins here.
fn function(text: &str) -> Option<&str> {
    let rest = text
        .strip_prefix("pub fn ")
        .or_else(|| text.strip_prefix("pub async fn "))?;
    rest.split(['(', '<']).next()
}

/// The name of an operation that a family of alike ones defines: `pause_space PauseSpace PauseSpaceArgs …`.
fn member(text: &str) -> Option<&str> {
    let mut words = text.split([' ', ';']);
    let (name, operation, args) = (words.next()?, words.next()?, words.next()?);
    (operation == camel(name) && args.strip_suffix("Args") == Some(operation)).then_some(name)
}

fn camel(name: &str) -> String {
    name.split('_')
        .filter_map(|word| Some(word.get(..1)?.to_uppercase() + word.get(1..)?))
        .collect()
}

fn rust_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn table(theirs: &[Theirs], ours: &BTreeMap<String, Ours>) -> String {
    let mut text = format!(
        "# Coverage of the Hub's API\n\n\
         Every public operation of `HfApi` in huggingface_hub 2.4.0 ({0} of {0}), with what it is here. `cargo xtask coverage`\n\
         checks this table against the source and writes it anew with `cargo xtask coverage write`.\n",
        theirs.len()
    );
    let mut groups: Vec<&str> = Vec::new();
    for operation in theirs {
        if !groups.contains(&operation.group.as_str()) {
            groups.push(&operation.group);
        }
    }
    for group in groups {
        let _ = write!(
            text,
            "\n## {group}\n\n| Python | Rust | endpoint |\n| --- | --- | --- |\n"
        );
        for Theirs { name, endpoint, .. } in theirs.iter().filter(|operation| operation.group == group) {
            let Ours { method, file, .. } = &ours[name];
            let _ = writeln!(text, "| `{name}` | [`{method}`](../{file}) | {endpoint} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
operation! {
    impl HfApi, Error;

    /// Makes it.
    ///
    /// Endpoint: `POST /api/make`
    ///
    /// # Errors
    ///
    /// When it is there.
    #[doc(alias = "hf_make")]
    pub fn make(
        name: String,
    ) -> Make(MakeArgs) => () {}
}

impl Other {
    pub fn not_ours(&self) {}
}

/// Declares alike ones.
macro_rules! family_of_operations {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $method:ident $rest:literal;)+) => { $(
        $(#[$meta])*
        ///
        /// # Errors
        ///
        /// When it is not there.
        pub fn $name() {}
    )+ };
}

family_of_operations! {
    /// Pauses it.
    ///
    /// ```
    /// pause_it();
    /// ```
    pause_it PauseIt PauseItArgs post "pause";
}

impl HfApi {
    pub async fn fetch<T>(&self) {}
    fn private(&self) {}
    pub(crate) fn inner(&self) {}
}
"#;

    #[test]
    fn methods_are_found_with_their_aliases() {
        let found = methods(SOURCE, "HfApi");
        let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["make", "hf_make", "pause_it", "fetch"]);
        assert_eq!(found[1].method, "make");
    }

    #[test]
    fn what_documentation_lacks_is_told() {
        let lacks: Vec<_> = methods(SOURCE, "HfApi").into_iter().map(|found| found.lacks).collect();
        let all = ["endpoint", "part on errors", "example"];
        assert_eq!(lacks, [&all[2..], &all[2..], &all[..1], &all[..]]);
    }

    #[test]
    fn only_rust_is_an_example() {
        for (docs, there) in [
            ("```\nlet x = 1;\n```\n", true),
            ("```text\nhub\n```\n\n```no_run\nx();\n```\n", true),
            ("```rust,no_run\nx();\n```\n", true),
            ("```text\nhub\n```\n", false),
            ("```ignore\nx();\n```\n", false),
            ("```json\n{}\n```\nand\n```text\nx\n```\n", false),
        ] {
            assert_eq!(has_example(docs), there, "{docs}");
        }
    }

    #[test]
    fn what_is_asked_is_what_is_said() {
        let docs =
            "Makes it.\n\nEndpoint: `POST /api/{models|datasets}/{repo_id}/make`,\nfor each.\n\nMore of `DELETE`.\n";
        for (code, agrees) in [
            ("api.ask(Request::post(\"/api/models/make\"))", true),
            ("Request::post(format!(\"{base}/make\"))", true),
            ("Request::post(path(&self.repo)?).json(&body)", true),
            ("Request::new(Method::POST, format!(\"/api/{}/make\", repo))", true),
            ("Request::new(method, path)", true),
            ("Request::delete(path)", false),
            ("Request::post(format!(\"{base}/made\"))", false),
            ("Request::new(http::Method::PATCH, path)", false),
        ] {
            assert_eq!(contradicts(docs, code).is_none(), agrees, "{code}");
        }
        assert_eq!(
            code_of("\nimpl MakeArgs {\n    x\n}\n\nimpl Y {}\n", "Make"),
            Some("\nimpl MakeArgs {\n    x")
        );
    }

    #[test]
    fn the_table_reads_back_as_the_list_that_it_was_made_of() {
        let text = "| 1 | `make` | POST /api/make | making | no |  | repos |\n| 2 | `hf_make` | (make) | other things | no | | repos |\n";
        let theirs = specification(text).unwrap();
        assert_eq!(theirs.len(), 2);
        let ours = methods(SOURCE, "HfApi")
            .into_iter()
            .map(|found| {
                let ours = Ours {
                    method: found.method,
                    file: "f.rs".into(),
                    lacks: found.lacks,
                    wrong: found.wrong,
                };
                (found.name, ours)
            })
            .collect();
        assert_eq!(listed(&table(&theirs, &ours)).unwrap(), theirs);
    }

    #[test]
    fn lists_without_operations_are_refused() {
        assert!(specification("| a | b |").is_err());
        assert!(listed("# Nothing").is_err());
    }
}
