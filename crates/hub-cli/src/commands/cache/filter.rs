//! What `--filter` of `hub cache list` asks of a row, in the Python client's words.

use std::time::SystemTime;

use jiff::Timestamp;

use super::list::moment;
use crate::error::Failure;

/// What a row of the list is asked about.
pub(super) struct Facts<'a> {
    pub(super) repo_type: &'a str,
    pub(super) size: u64,
    pub(super) accessed: SystemTime,
    pub(super) modified: SystemTime,
    pub(super) refs: Vec<&'a str>,
}

/// `KEY OP VALUE`.
#[derive(Debug, PartialEq)]
pub(super) enum Condition {
    Size(Comparison, u64),
    Accessed(Comparison, u64),
    Modified(Comparison, u64),
    Type(String),
    Refs(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, left: f64, right: u64) -> bool {
        let right = right as f64;
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

const BYTES: [(&str, u64); 10] = [
    ("k", 1_000),
    ("kb", 1_000),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("tb", 1_000_000_000_000),
    ("p", 1_000_000_000_000_000),
    ("pb", 1_000_000_000_000_000),
];

const SECONDS: [(&str, u64); 7] = [
    ("s", 1),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 604_800),
    ("mo", 2_592_000),
    ("y", 31_536_000),
];

impl Condition {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let refuse = |rule: &str| Failure::usage(format!("invalid filter '{text}': {rule}"));
        let trimmed = text.trim();
        let key_end = trimmed
            .find(|c: char| !(c.is_ascii_alphabetic() || c == '_'))
            .unwrap_or(trimmed.len());
        let (key, rest) = trimmed.split_at(key_end);
        let rest = rest.trim_start();
        let operators = [
            ("!=", Comparison::NotEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            ("<", Comparison::Less),
            ("=", Comparison::Equal),
        ];
        let found = operators
            .into_iter()
            .find_map(|(sign, comparison)| Some((comparison, rest.strip_prefix(sign)?.trim())));
        let (comparison, value) = match found {
            Some((comparison, value)) if !key.is_empty() && !value.is_empty() && !value.starts_with('=') => {
                (comparison, value)
            }
            _ => return Err(refuse("must be KEY OP VALUE, where OP is one of = != > < >= <=").into()),
        };
        let only_equal = || match comparison {
            Comparison::Equal => Ok(value.to_lowercase()),
            _ => Err(refuse("only = can be used with this key")),
        };
        Ok(match key.to_ascii_lowercase().as_str() {
            "size" => Self::Size(comparison, number(value, &BYTES).ok_or_else(|| refuse(BYTES_RULE))?),
            "accessed" => Self::Accessed(comparison, number(value, &SECONDS).ok_or_else(|| refuse(SECONDS_RULE))?),
            "modified" => Self::Modified(comparison, number(value, &SECONDS).ok_or_else(|| refuse(SECONDS_RULE))?),
            "type" => Self::Type(only_equal()?),
            "refs" => Self::Refs(only_equal()?),
            _ => return Err(refuse("the keys are accessed, modified, refs, size and type").into()),
        })
    }

    pub(super) fn holds(&self, of: &Facts<'_>, now: Timestamp) -> bool {
        let age = |time| now.duration_since(moment(time)).as_secs_f64();
        match self {
            Self::Size(comparison, bytes) => comparison.holds(of.size as f64, *bytes),
            Self::Accessed(comparison, seconds) => comparison.holds(age(of.accessed), *seconds),
            Self::Modified(comparison, seconds) => comparison.holds(age(of.modified), *seconds),
            Self::Type(repo_type) => of.repo_type == repo_type,
            Self::Refs(name) => of.refs.iter().any(|other| other.to_lowercase() == *name),
        }
    }
}

const BYTES_RULE: &str = "the size must be a whole number with one of k, m, g, t, p behind it";
const SECONDS_RULE: &str = "the time must be a whole number with one of s, m, h, d, w, mo, y behind it";

/// Bytes, as `--filter` has them: `50GB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    number(text, &BYTES).ok_or_else(|| BYTES_RULE.to_owned())
}

/// A time, as `--filter` has it: `30d`.
pub(super) fn age(text: &str) -> Result<std::time::Duration, String> {
    let seconds = number(text, &SECONDS).ok_or_else(|| SECONDS_RULE.to_owned())?;
    Ok(std::time::Duration::from_secs(seconds))
}

/// A whole number with a unit behind it, or without one.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_the_python_clients() {
        use Comparison as C;
        for (text, expected) in [
            ("size>1GB", Condition::Size(C::Greater, 1_000_000_000)),
            (" size >= 10 ", Condition::Size(C::GreaterOrEqual, 10)),
            ("accessed>7d", Condition::Accessed(C::Greater, 604_800)),
            ("modified!=2mo", Condition::Modified(C::NotEqual, 5_184_000)),
            ("type=Model", Condition::Type("model".to_owned())),
            ("refs=refs/pr/1", Condition::Refs("refs/pr/1".to_owned())),
        ] {
            assert_eq!(Condition::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_bad_condition_is_named_with_its_rule() {
        for (text, rule) in [
            ("size", "KEY OP VALUE"),
            ("size>", "KEY OP VALUE"),
            ("size==1", "KEY OP VALUE"),
            ("size>1.5GB", "the size"),
            ("size>1GiB", "the size"),
            ("accessed>1week", "the time"),
            ("type>model", "only ="),
            ("name=x", "the keys are"),
            ("size>99999999999p", "the size"),
        ] {
            let err = Condition::parse(text).unwrap_err().to_string();
            assert!(err.contains(&format!("'{text}'")) && err.contains(rule), "{err}");
        }
    }
}
