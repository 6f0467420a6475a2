//! Where the metadata stands in a README: the Hub's own expression, by hand.

use std::ops::Range;

/// The parts of a README that has a metadata block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The opening line, from its dashes.
    pub(super) opener: usize,
    /// The metadata, without the line break before the closing line.
    pub(super) yaml: Range<usize>,
    /// What follows the closing line.
    pub(super) body: usize,
}

/// What Python's `\s` and the Hub's take for a blank.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Finds the block: `^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))`.
pub(super) fn find(text: &str) -> Option<Block> {
    let opener = text.len() - text.trim_start_matches(is_space).len();
    let rest = text[opener..].strip_prefix("---")?;
    let after_dashes = opener + 3;
    let starts: &[usize] = match rest.as_bytes() {
        // Where nothing stands between the two lines, the line feed is the closing line's.
        [b'\r', b'\n', ..] => &[2, 1],
        [b'\r' | b'\n', ..] => &[1],
        _ => return None,
    };
    starts.iter().find_map(|length| {
        let start = after_dashes + length;
        let (end, body) = closer(text, start)?;
        Some(Block {
            opener,
            yaml: start..end,
            body,
        })
    })
}

/// The first closing line from here: where the line break before it begins, and where it has ended.
fn closer(text: &str, start: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    for (at, _) in text[start..].match_indices("---") {
        let at = start + at;
        let end = match bytes[start..at] {
            [.., b'\r', b'\n'] => at - 2,
            [.., b'\r' | b'\n'] => at - 1,
            _ => continue,
        };
        let after = text[at + 3..].trim_start_matches([' ', '\t']);
        let after_at = text.len() - after.len();
        let line_break = match after.as_bytes() {
            [] => 0,
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => continue,
        };
        return Some((end, after_at + line_break));
    }
    None
}

/// The line break that most of a text has.
pub(super) fn line_break(text: &str) -> &'static str {
    let count = |what: &str| text.matches(what).count();
    let (cr, lf, crlf) = (count("\r"), count("\n"), count("\r\n"));
    if crlf > 0 && crlf == cr && crlf == lf {
        "\r\n"
    } else if cr > lf {
        "\r"
    } else {
        "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_where_the_hub_sees_it() {
        for (text, parts) in [
            ("---\n---\nT", None),
            ("---\r\n---\r\nT", Some(("", "T"))),
            ("---\n\n---\nT", Some(("", "T"))),
            ("---\na: 1\n---", Some(("a: 1", ""))),
            ("\n \n---\na: 1\n---\t \nT", Some(("a: 1", "T"))),
            ("---\ra: 1\r---", Some(("a: 1", ""))),
            ("---\ra: 1\r---\rT", None),
            ("---\r\na: 1\r\n---\r\nT\r\n", Some(("a: 1", "T\r\n"))),
            ("---\na: |\n  x\n  ---\n---\nT", Some(("a: |\n  x\n  ---", "T"))),
            ("---\na: 1\n----\n---x\n---\n", Some(("a: 1\n----\n---x", ""))),
            ("---\n------\n", None),
            ("---\na: 1\n...\n", None),
            ("--- \na: 1\n---\n", None),
            ("T\n---\na: 1\n---\n", None),
            ("---", None),
            ("", None),
            ("é---\n", None),
        ] {
            let found = find(text).map(|block| (&text[block.yaml], &text[block.body..]));
            assert_eq!(found, parts, "{text:?}");
        }
    }

    #[test]
    fn the_line_break_is_the_commonest() {
        for (text, expected) in [
            ("", "\n"),
            ("a\r\nb\r\n", "\r\n"),
            ("a\r\nb\n", "\n"),
            ("a\rb\r\nc", "\r"),
            ("a\nb", "\n"),
        ] {
            assert_eq!(line_break(text), expected, "{text:?}");
        }
    }
}
