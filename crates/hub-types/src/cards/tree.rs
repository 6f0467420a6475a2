//! The metadata with the place of each value in the text.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::{CardMap, CardValue, scalar};

/// How many values the aliases of one card may make of it.
const LARGEST: usize = 1_000_000;

/// A value and where it stands.
pub(super) struct Node {
    /// Its bytes in the text, without anchor and tag. For a block it begins and ends with what is in it.
    pub(super) span: Range<usize>,
    pub(super) value: CardValue,
    pub(super) kind: Kind,
    /// How many values it is made of.
    size: usize,
}

pub(super) enum Kind {
    Scalar(ScalarStyle),
    Alias,
    List {
        flow: bool,
        items: Vec<Node>,
    },
    /// `merged` if `<<` puts in what stands elsewhere.
    Map {
        flow: bool,
        merged: bool,
        entries: Vec<(Node, Node)>,
    },
}

/// What is wrong with a text, and in which line of it, counted from 1.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) rule: String,
}

/// The one document of a text. `None` where nothing is said.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Fault> {
    let mut reader = Reader {
        text,
        events: Parser::new_from_str_with_options(text, Options::default()),
        anchors: HashMap::new(),
        expanded: 0,
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            Event::StreamEnd => return Ok(root),
            // Not one event stands before the first value but these.
            event if root.is_none() => root = Some(reader.node(event, span)?),
            _ => return Err(reader.fault(span.start.byte_offset().unwrap_or(0), "there must be one document only")),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    /// The values that aliases mean. One that is still being read is missing.
    anchors: HashMap<usize, (CardValue, usize)>,
    expanded: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, at: usize, rule: impl Into<String>) -> Fault {
        Fault {
            line: 1 + line_breaks(self.text.get(..at).unwrap_or(self.text)),
            rule: rule.into(),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(err)) => Err(Fault {
                line: err.marker().line().max(1),
                rule: err.info(),
            }),
            None => Err(self.fault(self.text.len(), "the text ends too early")),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Fault> {
        let bytes = span.byte_range().unwrap_or(0..0);
        let anchor = event.anchor_id().unwrap_or(0);
        let node = match event {
            Event::Alias(id) => {
                let Some((value, size)) = self.anchors.get(&id).cloned() else {
                    return Err(self.fault(bytes.start, "an alias means a value that it is part of"));
                };
                self.expanded += size;
                if self.expanded > LARGEST {
                    return Err(self.fault(bytes.start, "the aliases make more than a million values"));
                }
                Node {
                    span: bytes,
                    value,
                    kind: Kind::Alias,
                    size,
                }
            }
            Event::Scalar(text, style, _, tag) => {
                let empty = style == ScalarStyle::Plain && bytes.is_empty();
                let mut text = if empty { "" } else { &*text };
                // PyYAML makes no line break where the text has none: at its very end.
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if is_block && bytes.end == self.text.len() && !self.text.ends_with(['\n', '\r']) {
                    text = text.strip_suffix('\n').unwrap_or(text);
                }
                let value = match tagged(tag.as_deref()) {
                    None if style == ScalarStyle::Plain => scalar::resolve(text).map_err(str::to_owned),
                    None => Ok(text.into()),
                    Some(tag) => of_tag(tag, text),
                };
                let value = value.map_err(|rule| self.fault(bytes.start, rule))?;
                Node {
                    span: bytes,
                    value,
                    kind: Kind::Scalar(style),
                    size: 1,
                }
            }
            Event::SequenceStart(style, _, tag) => {
                if let Some(tag) = tagged(tag.as_deref()).filter(|tag| *tag != "seq") {
                    return Err(self.fault(bytes.start, format!("the tag '{tag}' is not known here")));
                }
                self.list(style == StructureStyle::Flow, bytes)?
            }
            Event::MappingStart(style, _, tag) => {
                if let Some(tag) = tagged(tag.as_deref()).filter(|tag| *tag != "map") {
                    return Err(self.fault(bytes.start, format!("the tag '{tag}' is not known here")));
                }
                self.map(style == StructureStyle::Flow, bytes)?
            }
            _ => return Err(self.fault(bytes.start, "a value must stand here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.value.clone(), node.size));
        }
        Ok(node)
    }

    fn list(&mut self, flow: bool, start: Range<usize>) -> Result<Node, Fault> {
        let mut items: Vec<Node> = Vec::new();
        let end = loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                break span.byte_range().unwrap_or(0..0);
            }
            items.push(self.node(event, span)?);
        };
        let value = CardValue::List(items.iter().map(|item| item.value.clone()).collect());
        let size = 1 + items.iter().map(|item| item.size).sum::<usize>();
        let span = match (flow, items.first(), items.last()) {
            (false, Some(first), Some(last)) => first.span.start..last.span.end,
            _ => start.start..end.end,
        };
        let kind = Kind::List { flow, items };
        Ok(Node {
            span,
            value,
            kind,
            size,
        })
    }

    fn map(&mut self, flow: bool, start: Range<usize>) -> Result<Node, Fault> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut merged = CardMap::new();
        let mut any_merged = false;
        let end = loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break span.byte_range().unwrap_or(0..0);
            }
            let key = self.node(event, span)?;
            if matches!(key.value, CardValue::List(_) | CardValue::Map(_)) {
                return Err(self.fault(key.span.start, "a list or a map cannot be a key"));
            }
            let (event, span) = self.next()?;
            let mut value = self.node(event, span)?;
            if value.span.is_empty() {
                // The parser tells the place of the colon for what is not there.
                let at = colon_after(self.text, key.span.end).unwrap_or(key.span.end);
                value.span = at..at;
            }
            let merges = matches!(key.kind, Kind::Scalar(ScalarStyle::Plain)) && key.value.as_str() == Some("<<");
            if merges {
                any_merged = true;
                self.merge(&mut merged, &value)?;
            }
            entries.push((key, value));
        };
        let mut map = merged;
        for (key, value) in &entries {
            let merges = matches!(key.kind, Kind::Scalar(ScalarStyle::Plain)) && key.value.as_str() == Some("<<");
            if !merges {
                map.insert(key.value.clone(), value.value.clone());
            }
        }
        let size = 1 + entries.iter().map(|(key, value)| key.size + value.size).sum::<usize>();
        let span = match (flow, entries.first(), entries.last()) {
            (false, Some((first, _)), Some((_, last))) => first.span.start..last.span.end,
            _ => start.start..end.end,
        };
        let kind = Kind::Map {
            flow,
            merged: any_merged,
            entries,
        };
        Ok(Node {
            span,
            value: CardValue::Map(map),
            kind,
            size,
        })
    }

    /// `<<: *other` or `<<: [*one, *other]`: the first one that has a key counts.
    fn merge(&self, into: &mut CardMap, value: &Node) -> Result<(), Fault> {
        let maps: Vec<&CardMap> = match &value.value {
            CardValue::Map(map) => vec![map],
            CardValue::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                items.iter().rev().filter_map(CardValue::as_map).collect()
            }
            _ => return Err(self.fault(value.span.start, "'<<' needs a map or a list of maps")),
        };
        for map in maps {
            for (key, value) in map.iter() {
                into.insert(key.clone(), value.clone());
            }
        }
        Ok(())
    }
}

/// How many lines have ended in a text.
pub(super) fn line_breaks(text: &str) -> usize {
    text.matches('\n').count() + text.matches('\r').count() - text.matches("\r\n").count()
}

/// Where a value may begin that belongs to the key which ends here: behind the colon.
pub(super) fn colon_after(text: &str, key_end: usize) -> Option<usize> {
    let rest = text.get(key_end..)?;
    let colon = key_end + rest.len() - rest.trim_start().len();
    text[colon..].starts_with(':').then_some(colon + 1)
}

/// The name of a tag. `!` alone says nothing: PyYAML then goes by the value.
fn tagged(tag: Option<&Tag>) -> Option<&str> {
    let tag = tag?;
    match tag.core_suffix() {
        Some(suffix) => Some(suffix),
        None if tag.suffix().is_empty() || tag.parts() == ("", "!") => None,
        None => Some(tag.suffix()),
    }
}

fn of_tag(tag: &str, text: &str) -> Result<CardValue, String> {
    let not = || format!("'{text}' is no value of the tag '{tag}'");
    let resolved = || scalar::resolve(text).map_err(str::to_owned);
    match tag {
        "str" => Ok(text.into()),
        "null" => Ok(CardValue::Null),
        "bool" => resolved()
            .ok()
            .filter(|value| value.as_bool().is_some())
            .ok_or_else(not),
        "int" => resolved()
            .ok()
            .filter(|value| value.as_integer().is_some())
            .ok_or_else(not),
        "float" => match resolved()? {
            CardValue::Integer(number) => Ok(CardValue::Float(number as f64)),
            CardValue::Float(number) => Ok(CardValue::Float(number)),
            _ => text.replace('_', "").parse().map(CardValue::Float).map_err(|_| not()),
        },
        "timestamp" if scalar::is_timestamp(text) => Ok(CardValue::Timestamp(text.to_owned())),
        "timestamp" => Err(not()),
        _ => Err(format!("the tag '{tag}' is not known here")),
    }
}
