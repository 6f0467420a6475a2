//! JSON as Python's `json.dumps` writes it, byte for byte: a blank behind `,` and `:`, everything but ASCII escaped.
//!
//! Scripts compare text, and this form is what they have got so far.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json::ser::{CharEscape, Formatter};

use super::Row;

/// A row as an object in its own order.
struct Object<'a>(&'a Row);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

pub(super) fn object(row: &Row) -> String {
    written(&Object(row), 0)
}

pub(super) fn array(rows: &[Row]) -> String {
    written(&rows.iter().map(Object).collect::<Vec<_>>(), 0)
}

pub(super) fn indented(row: &Row) -> String {
    written(&Object(row), 2)
}

pub(super) fn value(value: &Value) -> String {
    written(value, 0)
}

fn written<T: Serialize>(value: &T, indent: usize) -> String {
    let mut bytes = Vec::new();
    let python = Python {
        indent,
        depth: 0,
        empty: true,
    };
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, python);
    value
        .serialize(&mut serializer)
        .expect("rows and values have string keys, and a vector takes all bytes");
    String::from_utf8(bytes).expect("everything but ASCII was escaped")
}

struct Python {
    indent: usize,
    depth: usize,
    empty: bool,
}

impl Python {
    fn begin(&mut self) {
        self.depth += 1;
        self.empty = true;
    }

    fn between<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.empty = false;
        match (self.indent, first) {
            (0, true) => Ok(()),
            (0, false) => writer.write_all(b", "),
            (_, true) => self.new_line(writer),
            (_, false) => {
                writer.write_all(b",")?;
                self.new_line(writer)
            }
        }
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.indent > 0 && !self.empty {
            self.new_line(writer)?;
        }
        self.empty = false;
        Ok(())
    }

    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        write!(writer, "\n{:width$}", "", width = self.indent * self.depth)
    }
}

impl Formatter for Python {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer)?;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.between(writer, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin();
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer)?;
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.between(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            if c.is_ascii() && c != '\x7f' {
                write!(writer, "{c}")?;
            } else if c == '\x7f' {
                writer.write_all(b"\x7f")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::row;

    #[test]
    fn is_what_python_writes() {
        let row = row! { "z": "é\u{1f600}\n\"\\", "a": json!([1, null, true]), "e": json!({}), "l": json!([]) };
        // python3 -c 'import json; print(json.dumps({...}))'
        assert_eq!(
            object(&row),
            r#"{"z": "\u00e9\ud83d\ude00\n\"\\", "a": [1, null, true], "e": {}, "l": []}"#
        );
        assert_eq!(array(&[row! { "a": 1 }, row! { "a": 2 }]), r#"[{"a": 1}, {"a": 2}]"#);
        assert_eq!(
            indented(&row! { "a": [1, 2], "e": json!({}), "o": json!({"x": null}) }),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"e\": {},\n  \"o\": {\n    \"x\": null\n  }\n}"
        );
    }
}
