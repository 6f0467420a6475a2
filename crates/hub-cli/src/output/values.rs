//! One value as text: for people, for assistants, and sizes and times as the Python client words them.

use jiff::Timestamp;
use serde_json::Value;

use super::json;

/// A value in a result: text as it is, but without characters that could draw on the terminal.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        other => python(other),
    }
}

/// A cell of a table for people.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "✔" } else { "" }.to_owned(),
        Value::String(text) if is_time(text) => text[..10].to_owned(),
        Value::String(text) => one_line(text),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => match fields.get("name") {
            Some(Value::String(name)) => one_line(name),
            _ => one_line(&json::value(value)),
        },
        Value::Number(number) => number.to_string(),
    }
}

/// A value as Python's `str` writes it, in one line.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text),
        other => one_line(&repr(other)),
    }
}

fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(yes) => if *yes { "True" } else { "False" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let quote = if text.contains('\'') && !text.contains('"') {
                '"'
            } else {
                '\''
            };
            let mut out = String::from(quote);
            for c in text.chars() {
                if c == quote || c == '\\' {
                    out.push('\\');
                    out.push(c);
                } else {
                    push_escaped(&mut out, c);
                }
            }
            out.push(quote);
            out
        }
        Value::Array(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let pairs = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", repr(&Value::String(key.clone())), repr(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

fn is_time(text: &str) -> bool {
    let shape = b"0000-00-00T";
    text.len() >= shape.len()
        && text.bytes().zip(shape).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        })
}

/// Words with one blank between them, without characters that could draw on the terminal.
pub(crate) fn one_line(text: &str) -> String {
    escaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut out, c));
    out
}

fn push_escaped(out: &mut String, c: char) {
    let hidden = c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if !hidden {
        return out.push(c);
    }
    match (c, u32::from(c)) {
        ('\n', _) => out.push_str("\\n"),
        ('\r', _) => out.push_str("\\r"),
        ('\t', _) => out.push_str("\\t"),
        (_, code @ 0..=0xff) => out.push_str(&format!("\\x{code:02x}")),
        (_, code @ 0x100..=0xffff) => out.push_str(&format!("\\u{code:04x}")),
        (_, code) => out.push_str(&format!("\\U{code:08x}")),
    }
}

/// Bytes in the cache's decimal units: `8.0`, `4.5M`.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G", "T", "P", "E"] {
        if value < 1000.0 {
            return format!("{value:.1}{unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1}Z")
}

/// Bytes in the Hub's words: `512 B`, `4.5 MB`.
pub(crate) fn storage(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    for unit in ["KB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} PB")
}

/// How long ago: `a few seconds ago`, `3 days ago`.
pub(crate) fn time_since(then: Timestamp, now: Timestamp) -> String {
    const UNITS: [(&str, f64, i64); 7] = [
        ("second", 1.0, 59),
        ("minute", 60.0, 59),
        ("hour", 3600.0, 23),
        ("day", 86_400.0, 6),
        ("week", 604_800.0, 6),
        ("month", 2_592_000.0, 11),
        ("year", 31_536_000.0, i64::MAX),
    ];
    let seconds = now.duration_since(then).as_secs_f64();
    if seconds < 20.0 {
        return "a few seconds ago".to_owned();
    }
    for (name, length, most) in UNITS {
        // As Python rounds: halves go to the even number.
        let count = (seconds / length).round_ties_even() as i64;
        if count <= most {
            let plural = if count > 1 { "s" } else { "" };
            return format!("{count} {name}{plural} ago");
        }
    }
    unreachable!("the last unit takes every number")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_and_times_are_the_python_clients() {
        assert_eq!(size(8), "8.0");
        assert_eq!(size(4_500_000), "4.5M");
        assert_eq!(size(999_999), "1000.0K");
        assert_eq!(storage(999), "999 B");
        assert_eq!(storage(4_500_000), "4.5 MB");
        let now: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
        for (then, words) in [
            ("2026-01-30T23:59:50Z", "a few seconds ago"),
            ("2026-02-01T00:00:00Z", "a few seconds ago"),
            ("2026-01-30T23:59:24Z", "36 seconds ago"),
            ("2026-01-30T23:59:00Z", "1 minute ago"),
            ("2026-01-28T00:00:00Z", "3 days ago"),
            ("2024-01-30T00:00:00Z", "2 years ago"),
        ] {
            assert_eq!(time_since(then.parse().unwrap(), now), words);
        }
    }

    #[test]
    fn nothing_can_draw_on_the_terminal() {
        assert_eq!(cell(&json!("a\x1b[31m\nb\u{202e}")), "a\\x1b[31m b\\u202e");
        assert_eq!(plain(&json!("dir/a b\t")), "dir/a b\\t");
    }

    #[test]
    fn cells_are_for_people_and_python_for_assistants() {
        assert_eq!(cell(&json!(true)), "✔");
        assert_eq!(cell(&json!("2026-01-02T03:04:05.000Z")), "2026-01-02");
        assert_eq!(cell(&json!(["main", "v1"])), "main, v1");
        assert_eq!(python(&json!(["main", "it's"])), "['main', \"it's\"]");
        assert_eq!(python(&json!(true)), "True");
        assert_eq!(python(&json!("2026-01-02T03:04:05.000Z")), "2026-01-02T03:04:05.000Z");
    }
}
