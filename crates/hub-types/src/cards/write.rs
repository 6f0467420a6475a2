//! YAML as we write it: read by PyYAML, and by readers of YAML 1.2, as the value that it is.

use super::scalar::resolve;
use super::{CardMap, CardValue};

/// A key longer than this needs a question mark in front of it: PyYAML looks no further for the colon.
const LONGEST_SIMPLE_KEY: usize = 1000;

/// In one line, as it may stand anywhere: `[a, b]`, `{a: 1}`, `'no'`.
pub(super) fn inline(value: &CardValue) -> String {
    match value {
        CardValue::Null => "null".to_owned(),
        CardValue::Bool(value) => value.to_string(),
        CardValue::Integer(number) => number.to_string(),
        CardValue::Float(number) => float(*number),
        CardValue::Timestamp(text) => text.clone(),
        CardValue::String(text) => string(text, true),
        CardValue::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        CardValue::Map(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{}: {}", inline(k), inline(v)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// A map as a block, without a line break at its end. `indent` is that of its keys; the first has none.
pub(super) fn block(map: &CardMap, indent: usize, nl: &str) -> String {
    if map.is_empty() {
        return "{}".to_owned();
    }
    let entries: Vec<String> = map.iter().map(|(key, value)| entry(key, value, indent, nl)).collect();
    entries.join(&format!("{nl}{}", " ".repeat(indent)))
}

/// One key and its value.
pub(super) fn entry(key: &CardValue, value: &CardValue, indent: usize, nl: &str) -> String {
    let shown = match key {
        CardValue::String(text) => string(text, false),
        key => inline(key),
    };
    let value = after_colon(value, indent, nl);
    if shown.chars().count() > LONGEST_SIMPLE_KEY {
        format!("? {shown}{nl}{}:{value}", " ".repeat(indent))
    } else {
        format!("{shown}:{value}")
    }
}

/// What stands behind the colon of a key that is indented so far: a blank and the value, or a block in the next line.
pub(super) fn after_colon(value: &CardValue, indent: usize, nl: &str) -> String {
    match value {
        CardValue::List(items) if !items.is_empty() => {
            let pad = " ".repeat(indent);
            items
                .iter()
                .map(|item| format!("{nl}{pad}- {}", self::item(item, indent + 2, nl)))
                .collect()
        }
        CardValue::Map(map) if !map.is_empty() => {
            format!("{nl}{}{}", " ".repeat(indent + 2), block(map, indent + 2, nl))
        }
        value => format!(" {}", scalar(value, indent + 2, nl)),
    }
}

/// What stands behind `- `; `indent` is where it begins.
pub(super) fn item(value: &CardValue, indent: usize, nl: &str) -> String {
    match value {
        CardValue::List(items) if !items.is_empty() => {
            let items: Vec<String> = items
                .iter()
                .map(|item| format!("- {}", self::item(item, indent + 2, nl)))
                .collect();
            items.join(&format!("{nl}{}", " ".repeat(indent)))
        }
        CardValue::Map(map) if !map.is_empty() => block(map, indent, nl),
        value => scalar(value, indent, nl),
    }
}

/// A value that is no block of its own; text of several lines is one where that shows it as it is.
fn scalar(value: &CardValue, indent: usize, nl: &str) -> String {
    match value {
        CardValue::String(text) => literal(text, indent, nl).unwrap_or_else(|| string(text, false)),
        value => inline(value),
    }
}

/// `|` and the lines as they are, for text in which nothing is lost that way.
fn literal(text: &str, indent: usize, nl: &str) -> Option<String> {
    let lines = text.strip_suffix('\n').unwrap_or(text);
    let simple = |line: &str| line.is_empty() || (!line.starts_with([' ', '\t']) || !line.trim().is_empty());
    let right = lines.contains('\n')
        && !lines.starts_with(['\n', ' ', '\t'])
        && !lines.ends_with('\n')
        && lines.split('\n').all(simple)
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c));
    if !right {
        return None;
    }
    let pad = " ".repeat(indent);
    let mark = if lines.len() == text.len() { "|-" } else { "|" };
    let lines = lines.split('\n').map(|line| match line {
        "" => nl.to_owned(),
        line => format!("{nl}{pad}{line}"),
    });
    Some(format!("{mark}{}", lines.collect::<String>()))
}

/// Text in one line: plain where it reads as text to everybody, else in quotes.
pub(super) fn string(text: &str, flow: bool) -> String {
    if is_plain(text, flow) {
        text.to_owned()
    } else if text.chars().all(is_printable) {
        single_quoted(text)
    } else {
        double_quoted(text)
    }
}

pub(super) fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&match c as u32 {
                code @ ..=0xff => format!("\\x{code:02X}"),
                code @ ..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            }),
        }
    }
    out.push('"');
    out
}

/// Whether PyYAML takes it in a line of text. Its line breaks beyond LF and CR are left to escapes.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn is_plain(text: &str, flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let mut chars = text.chars().skip(1);
    let first_right = match first {
        '-' => chars.next().is_some_and(|c| c.is_ascii_alphanumeric()),
        first => !"?:,[]{}#&*!|>'\"%@`=<".contains(first),
    };
    let flow_right = !flow || !text.contains([',', '[', ']', '{', '}', ':', '?']);
    first_right
        && flow_right
        && text.trim() == text
        && text.chars().all(is_printable)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && matches!(resolve(text), Ok(CardValue::String(_)))
        && !is_word_of_others(text)
}

/// What the Python client reads as text and other readers of YAML do not: `y`, `0o17`, `1e3`.
fn is_word_of_others(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(text, "y" | "Y" | "n" | "N")
        || digits.starts_with("0o")
        || (digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok())
        || (digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_digit() || b"_-: .".contains(&b)))
}

/// A floating-point number as YAML 1.1 wants it: with a dot always and a sign before the exponent.
fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = format!("{number:?}");
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let dot = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{dot}e{sign}{exponent}")
}
