//! `.gitattributes` and `.gitignore`: which files are large by their name, and which a commit leaves out.

use std::fmt::Write as _;

use hub_types::RepoType;

const LARGE_EVERYWHERE: &[&str] = &[
    "*.7z",
    "*.arrow",
    "*.bin",
    "*.bz2",
    "*.ckpt",
    "*.ftz",
    "*.gz",
    "*.h5",
    "*.joblib",
    "*.lfs.*",
    "*.mlmodel",
    "*.model",
    "*.msgpack",
    "*.npy",
    "*.npz",
    "*.onnx",
    "*.ot",
    "*.parquet",
    "*.pb",
    "*.pickle",
    "*.pkl",
    "*.pt",
    "*.pth",
    "*.rar",
    "*.safetensors",
    "saved_model/**/*",
    "*.tar.*",
    "*.tar",
    "*.tflite",
    "*.tgz",
    "*.wasm",
    "*.xz",
    "*.zip",
    "*.zst",
    "*tfevents*",
];

const LARGE_IN_DATASETS: &[&str] = &[
    "*.lz4", "*.mds", "*.pcm", "*.sam", "*.raw", "*.aac", "*.flac", "*.mp3", "*.ogg", "*.wav", "*.bmp", "*.gif",
    "*.png", "*.tiff", "*.jpg", "*.jpeg", "*.webp", "*.mp4", "*.webm",
];

/// What follows a pattern whose files are large.
const LFS: &str = "filter=lfs diff=lfs merge=lfs -text";

/// The `.gitattributes` of a new repository, as the Hub writes it.
pub(crate) fn default_attributes(kind: RepoType) -> String {
    let more: &[&str] = if kind == RepoType::Dataset {
        LARGE_IN_DATASETS
    } else {
        &[]
    };
    let mut text = String::new();
    for pattern in LARGE_EVERYWHERE.iter().chain(more) {
        let _ = writeln!(text, "{pattern} {LFS}");
    }
    text
}

/// A line that makes one file large by its name.
pub(crate) fn attribute_line(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
        match c {
            ' ' => pattern.push_str("[[:space:]]"),
            '*' | '?' | '[' | ']' | '\\' | '"' | '#' | '!' => {
                pattern.push('\\');
                pattern.push(c);
            }
            c => pattern.push(c),
        }
    }
    // A pattern without a slash would hold in every folder.
    if !path.contains('/') {
        pattern.insert(0, '/');
    }
    format!("{pattern} {LFS}\n")
}

/// The rules of a `.gitattributes`, as far as they say which files are large.
#[derive(Debug, Default)]
pub(crate) struct Attributes(Vec<(String, bool)>);

impl Attributes {
    pub(crate) fn parse(text: &str) -> Self {
        let mut rules = Vec::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with("[attr]") {
                continue;
            }
            let (pattern, rest) = split_pattern(line);
            for word in rest.split_whitespace() {
                match word {
                    "filter=lfs" => rules.push((pattern.clone(), true)),
                    "-filter" | "!filter" => rules.push((pattern.clone(), false)),
                    word if word.starts_with("filter=") => rules.push((pattern.clone(), false)),
                    _ => {}
                }
            }
        }
        Self(rules)
    }

    /// Whether the file is large by its name. The last rule that matches decides.
    pub(crate) fn is_lfs(&self, path: &str) -> bool {
        self.0
            .iter()
            .rev()
            .find(|(pattern, _)| matches(pattern, path))
            .is_some_and(|(_, large)| *large)
    }
}

/// A pattern may stand in quotes, with C's escapes.
fn split_pattern(line: &str) -> (String, &str) {
    if let Some(quoted) = line.strip_prefix('"') {
        let mut pattern = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => return (pattern, &quoted[at + 1..]),
                '\\' => {
                    if let Some((_, escaped)) = chars.next() {
                        pattern.push(escaped);
                    }
                }
                c => pattern.push(c),
            }
        }
    }
    match line.split_once(char::is_whitespace) {
        Some((pattern, rest)) => (pattern.to_owned(), rest),
        None => (line.to_owned(), ""),
    }
}

/// The rules of a `.gitignore`.
#[derive(Debug, Default)]
pub(crate) struct Ignore(Vec<IgnoreRule>);

#[derive(Debug)]
struct IgnoreRule {
    pattern: String,
    keep: bool,
    folders_only: bool,
}

impl Ignore {
    pub(crate) fn parse(text: &str) -> Self {
        let mut rules = Vec::new();
        for line in text.lines() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (keep, line) = match line.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            let (folders_only, line) = match line.strip_suffix('/') {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            if !line.is_empty() {
                rules.push(IgnoreRule {
                    pattern: line.to_owned(),
                    keep,
                    folders_only,
                });
            }
        }
        Self(rules)
    }

    /// Whether the file is to be left out: it, or a folder that it is in, is ignored.
    pub(crate) fn is_ignored(&self, path: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        // As in git, what is in an ignored folder cannot be taken back by a later rule.
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        folders.clone().any(|folder| self.decides(folder, true)) || self.decides(path, false)
    }

    fn decides(&self, path: &str, is_folder: bool) -> bool {
        self.0
            .iter()
            .rev()
            .find(|rule| (is_folder || !rule.folders_only) && matches(&rule.pattern, path))
            .is_some_and(|rule| !rule.keep)
    }
}

/// Git's rule: a pattern with a slash (but for one at its end) is for the whole path, one without for the last part.
fn matches(pattern: &str, path: &str) -> bool {
    if let Some(anchored) = pattern.strip_prefix('/') {
        return wild(anchored.as_bytes(), path.as_bytes());
    }
    if pattern.contains('/') {
        return wild(pattern.as_bytes(), path.as_bytes());
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    wild(pattern.as_bytes(), name.as_bytes())
}

/// Git's wildmatch: `*` and `?` stop at a slash, `**/`, `/**` and `/**/` cross any number of them.
///
/// Goes back to the last star only, so that no pattern takes more than the product of both lengths.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*` (which may not pass a slash) and the last `**` (which may).
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() {
            if pattern[p..].starts_with(b"**") && (p == 0 || pattern[p - 1] == b'/') {
                let after = p + 2;
                if after == pattern.len() {
                    // At the end it takes whatever there is, but something.
                    return t < text.len();
                }
                if pattern[after] == b'/' {
                    double = Some((after + 1, t));
                    star = None;
                    p = after + 1;
                    continue;
                }
            }
            if pattern[p] == b'*' {
                while pattern.get(p) == Some(&b'*') {
                    p += 1;
                }
                star = Some((p, t));
                continue;
            }
            if t < text.len()
                && let Some(width) = one(&pattern[p..], text[t])
            {
                p += width;
                t += 1;
                continue;
            }
        } else if t == text.len() {
            return true;
        }
        // Go back: let the star take one more byte, or the double star one more folder.
        if let Some((after, at)) = star
            && at < text.len()
            && text[at] != b'/'
        {
            star = Some((after, at + 1));
            (p, t) = (after, at + 1);
            continue;
        }
        if let Some((after, at)) = double
            && let Some(slash) = text[at..].iter().position(|b| *b == b'/')
        {
            let next = at + slash + 1;
            double = Some((after, next));
            star = None;
            (p, t) = (after, next);
            continue;
        }
        return false;
    }
}

/// How many bytes of the pattern match this one byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern[0] {
        b'?' => (byte != b'/').then_some(1),
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        b'[' => set(pattern, byte),
        literal => (literal == byte).then_some(1),
    }
}

fn set(pattern: &[u8], byte: u8) -> Option<usize> {
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    if negated {
        at += 1;
    }
    let first = at;
    let mut hit = false;
    loop {
        let c = *pattern.get(at)?;
        if c == b']' && at > first {
            break;
        }
        if pattern[at..].starts_with(b"[:") {
            let end = at + pattern[at..].windows(2).position(|w| w == b":]")?;
            hit |= class(&pattern[at + 2..end], byte);
            at = end + 2;
            continue;
        }
        let (low, width) = if c == b'\\' { (*pattern.get(at + 1)?, 2) } else { (c, 1) };
        at += width;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|b| *b != b']') {
            let high = pattern[at + 1];
            hit |= (low..=high).contains(&byte);
            at += 2;
        } else {
            hit |= low == byte;
        }
    }
    (hit != negated && byte != b'/').then_some(at + 1)
}

fn class(name: &[u8], byte: u8) -> bool {
    match name {
        b"space" => byte.is_ascii_whitespace(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"punct" => byte.is_ascii_punctuation(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_git() {
        for (pattern, path, expected) in [
            ("*.bin", "a.bin", true),
            ("*.bin", "x/y/a.bin", true),
            ("*.bin", "a.bin/x", false),
            ("/a.bin", "a.bin", true),
            ("/a.bin", "x/a.bin", false),
            ("x/*.bin", "x/a.bin", true),
            ("x/*.bin", "x/y/a.bin", false),
            ("x/**/*.bin", "x/a.bin", true),
            ("x/**/*.bin", "x/y/z/a.bin", true),
            ("**/z", "z", true),
            ("**/z", "x/y/z", true),
            ("x/**", "x/y/z", true),
            ("x/**", "x", false),
            ("saved_model/**/*", "saved_model/a", true),
            ("saved_model/**/*", "saved_model/a/b", true),
            ("saved_model/**/*", "other/a", false),
            ("*tfevents*", "run/events.out.tfevents.1", true),
            ("*.lfs.*", "a.lfs.json", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[ab].txt", "b.txt", true),
            ("[!ab].txt", "b.txt", false),
            ("[a-c]x", "bx", true),
            ("a[[:space:]]b", "a b", true),
            ("\\*x", "*x", true),
            ("\\*x", "ax", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = "*a".repeat(40);
        assert!(!matches(
            &pattern,
            &"a".repeat(4000).replace("aaaa", "aaab").replace('a', "c")
        ));
        assert!(!matches(&format!("{}b", "**/a".repeat(30)), &"a/".repeat(2000)));
    }

    #[test]
    fn the_last_attribute_decides() {
        let rules = Attributes::parse(&format!(
            "{}# comment\nkeep.bin -filter\n\"a b.txt\" filter=lfs\n",
            default_attributes(RepoType::Model)
        ));
        for (path, large) in [
            ("model.safetensors", true),
            ("x/model.safetensors", true),
            ("config.json", false),
            ("x/keep.bin", false),
            ("a b.txt", true),
            ("a.png", false),
        ] {
            assert_eq!(rules.is_lfs(path), large, "{path}");
        }
        assert!(Attributes::parse(&default_attributes(RepoType::Dataset)).is_lfs("a.png"));
    }

    #[test]
    fn an_own_line_is_for_that_file_alone() {
        for path in ["a b.txt", "x/é[1].txt", "#x", "plain.txt"] {
            let rules = Attributes::parse(&attribute_line(path));
            assert!(rules.is_lfs(path), "{path}");
            assert!(!rules.is_lfs(&format!("other/{path}")), "{path}");
        }
    }

    #[test]
    fn ignored_as_in_git() {
        let rules = Ignore::parse("# comment\n*.tmp\n!keep.tmp\nbuild/\n/root.txt\nlogs\n!logs/keep\n");
        for (path, ignored) in [
            ("a.tmp", true),
            ("x/a.tmp", true),
            ("keep.tmp", false),
            ("build/x", true),
            ("x/build/y/z", true),
            ("build", false),
            ("root.txt", true),
            ("x/root.txt", false),
            ("logs/keep", true),
            ("a.txt", false),
        ] {
            assert_eq!(rules.is_ignored(path), ignored, "{path}");
        }
    }
}
