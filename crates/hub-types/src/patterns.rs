//! Allow and ignore patterns, with the Python client's exact meaning.

use serde::{Deserialize, Serialize};

/// One value or a list of them, as many of the Python client's arguments take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Many(Vec<T>),
            One(T),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Many(items) => Self(items),
            Either::One(item) => Self(vec![item]),
        })
    }
}

impl From<&str> for OneOrMany<String> {
    fn from(item: &str) -> Self {
        Self(vec![item.to_owned()])
    }
}

impl From<String> for OneOrMany<String> {
    fn from(item: String) -> Self {
        Self(vec![item])
    }
}

impl<T, I: Into<T>> From<Vec<I>> for OneOrMany<T> {
    fn from(items: Vec<I>) -> Self {
        Self(items.into_iter().map(Into::into).collect())
    }
}

impl<T, I: Into<T>, const N: usize> From<[I; N]> for OneOrMany<T> {
    fn from(items: [I; N]) -> Self {
        Self(items.into_iter().map(Into::into).collect())
    }
}

impl<T, I: Into<T> + Clone> From<&[I]> for OneOrMany<T> {
    fn from(items: &[I]) -> Self {
        Self(items.iter().cloned().map(Into::into).collect())
    }
}

/// A file name pattern as Python's `fnmatch` reads it: `*` matches anything **including `/`**, `?` one character,
/// `[seq]` one of a set, `[!seq]` one not of it. Case counts on every platform; `**` and `{a,b}` mean nothing special.
///
/// As in the Python client (`utils.filter_repo_objects`), `\` counts as `/`, and a pattern that ends in `/` gets a `*`
/// behind it. Every text is a pattern: an unclosed `[` stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Literal(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        let mut text = text.replace('\\', "/");
        if text.ends_with('/') {
            text.push('*');
        }
        let chars: Vec<char> = text.chars().collect();
        let mut parts = Vec::with_capacity(chars.len());
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            at += 1;
            match c {
                '*' if parts.last() != Some(&Part::Any) => parts.push(Part::Any),
                '*' => {}
                '?' => parts.push(Part::One),
                '[' => match set(&chars[at..]) {
                    Some((part, length)) => {
                        parts.push(part);
                        at += length;
                    }
                    None => parts.push(Part::Literal('[')),
                },
                c => parts.push(Part::Literal(c)),
            }
        }
        Self(parts)
    }

    /// Whether the whole of `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        let chars: Vec<char> = path.chars().map(|c| if c == '\\' { '/' } else { c }).collect();
        // One place to go back to is enough: a later `*` can stand for all that an earlier one could.
        let (mut part, mut at) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        loop {
            let fits = match self.0.get(part) {
                Some(Part::Any) => {
                    back = Some((part + 1, at));
                    part += 1;
                    continue;
                }
                Some(one) => chars.get(at).is_some_and(|c| one.takes(*c)),
                None if at == chars.len() => return true,
                None => false,
            };
            if fits {
                part += 1;
                at += 1;
            } else {
                match back {
                    Some((after, from)) if from < chars.len() => {
                        back = Some((after, from + 1));
                        part = after;
                        at = from + 1;
                    }
                    _ => return false,
                }
            }
        }
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Set { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

/// Reads what stands behind a `[`: the set and how many characters it took, or `None` when it is never closed.
fn set(chars: &[char]) -> Option<(Part, usize)> {
    let negated = chars.first() == Some(&'!');
    let start = usize::from(negated);
    // A `]` that comes first is an element, as in fnmatch.
    let first = start + usize::from(chars.get(start) == Some(&']'));
    let end = first + chars.get(first..)?.iter().position(|c| *c == ']')?;
    let inside = &chars[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        if inside.get(at + 1) == Some(&'-') && at + 2 < inside.len() {
            // An empty range (`z-a`) matches nothing, as in Python 3.
            if inside[at] <= inside[at + 2] {
                ranges.push((inside[at], inside[at + 2]));
            }
            at += 3;
        } else {
            ranges.push((inside[at], inside[at]));
            at += 1;
        }
    }
    Some((Part::Set { negated, ranges }, end + 1))
}

/// Which files of a repository or folder are wanted: those that any allow pattern matches (all, if there are none) and
/// no ignore pattern does.
#[derive(Debug, Clone, Default)]
pub struct PatternFilter {
    allow: Option<Vec<Pattern>>,
    ignore: Vec<Pattern>,
}

impl PatternFilter {
    /// A filter from allow patterns (`None` wants everything; an empty list wants nothing) and ignore patterns.
    pub fn new<A: AsRef<str>, I: AsRef<str>>(allow: Option<&[A]>, ignore: &[I]) -> Self {
        Self {
            allow: allow.map(|patterns| patterns.iter().map(|p| Pattern::new(p.as_ref())).collect()),
            ignore: ignore.iter().map(|p| Pattern::new(p.as_ref())).collect(),
        }
    }

    /// Whether `path` is wanted.
    pub fn wants(&self, path: &str) -> bool {
        self.allow
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|p| p.matches(path)))
            && !self.ignore.iter().any(|p| p.matches(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: bool) {
        assert_eq!(
            Pattern::new(pattern).matches(path),
            expected,
            "{pattern} against {path}"
        );
    }

    #[test]
    fn stars_cross_slashes_and_case_counts() {
        check("*.txt", "a/b/c.txt", true);
        check("*.TXT", "c.txt", false);
        check("data/", "data/x/y", true);
        check("data/", "data", false);
        check("data\\*.bin", "data/x.bin", true);
        check("**/x", "a/x", true);
        check("**/x", "x", false);
        check("{a,b}", "a", false);
        check("a*b*c", "aXbYbZc", true);
        check("a*b*c", "aXbYbZ", false);
        check("", "", true);
        check("*", "", true);
    }

    #[test]
    fn sets_are_fnmatch_sets() {
        check("file[0-9].bin", "file7.bin", true);
        check("file[!0-9].bin", "file7.bin", false);
        check("[]]", "]", true);
        check("[!]]", "]", false);
        check("[abc", "[abc", true);
        check("[a-]", "-", true);
        check("[z-a]", "m", false);
    }

    #[test]
    fn ignore_wins_over_allow() {
        let filter = PatternFilter::new(Some(&["*.json"]), &["secret*"]);
        assert!(filter.wants("config.json"));
        assert!(!filter.wants("secret.json"));
        assert!(!filter.wants("model.bin"));
        assert!(PatternFilter::default().wants("anything"));
        assert!(!PatternFilter::new(Some::<&[&str]>(&[]), &[] as &[&str]).wants("anything"));
    }

    #[test]
    fn one_or_many_reads_both() {
        assert_eq!(serde_json::from_str::<OneOrMany<String>>("\"a\"").unwrap(), "a".into());
        assert_eq!(
            serde_json::from_str::<OneOrMany<String>>("[\"a\",\"b\"]").unwrap(),
            ["a", "b"].into()
        );
    }
}
