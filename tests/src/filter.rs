//! Takes out of a text what differs between two runs, so that the rest can stand in a snapshot.

use std::path::Path;

/// Replaces the test's folder, loopback addresses, hashes, tokens and times by `[ROOT]`, `[HUB]`, `[HASH]`, `[SHA256]`,
/// `[TOKEN]` and `[TIME]`.
pub fn filter(text: &str, root: &Path) -> String {
    let text = text.replace(root.to_string_lossy().as_ref(), "[ROOT]");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut before = None;
    while let Some(first) = rest.chars().next() {
        // A hash or a time begins where a word begins.
        let starts_word = !before.is_some_and(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let found = if starts_word { variable(rest) } else { None };
        let (shown, length) = found.unwrap_or((&rest[..first.len_utf8()], first.len_utf8()));
        out.push_str(shown);
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    out
}

/// What stands for the changing word at the beginning of the text, and how long that word is.
fn variable(text: &str) -> Option<(&'static str, usize)> {
    let length = |accept: fn(char) -> bool| text.find(|c| !accept(c)).unwrap_or(text.len());
    if let Some(behind) = text.strip_prefix("http://127.") {
        let end = behind
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')))
            .unwrap_or(behind.len());
        return Some(("[HUB]", text.len() - behind.len() + end));
    }
    let word = length(|c| c.is_ascii_alphanumeric() || c == '_');
    if text.starts_with("hf_") && word >= 20 {
        return Some(("[TOKEN]", word));
    }
    let hex = length(|c| matches!(c, '0'..='9' | 'a'..='f'));
    match hex {
        40 if word == 40 => return Some(("[HASH]", 40)),
        64 if word == 64 => return Some(("[SHA256]", 64)),
        _ => {}
    }
    let shape = b"0000-00-00T00:00:00";
    let time = text.len() >= shape.len()
        && text.bytes().zip(shape).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b'T' => byte == b'T' || byte == b' ',
            _ => byte == *form,
        });
    if time {
        let tail = &text[shape.len()..];
        let fraction = tail
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(tail.len());
        let zone = ["Z", "+00:00"]
            .iter()
            .find(|zone| tail[fraction..].starts_with(**zone))
            .map_or(0, |zone| zone.len());
        return Some(("[TIME]", shape.len() + fraction + zone));
    }
    None
}
