//! The metadata with the place of each value in the text.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::{CardMap, CardValue, scalar};

/// How many bytes of values, about, the anchors and aliases of one card may make of it.
const LARGEST: usize = 64 << 20;

/// How deep lists and maps may be nested, on lines of their own and between brackets. Values are read and compared by
/// recursion, which must not use up the stack of a thread.
const DEEPEST: usize = 64;

/// A value and where it stands.
pub(super) struct Node {
    /// Its bytes in the text, without anchor and tag. For a block it begins and ends with what is in it.
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
    /// How many bytes it takes, about.
    size: usize,
}

pub(super) enum Kind {
    Scalar(ScalarStyle, CardValue),
    Alias(Rc<CardValue>),
    List {
        flow: bool,
        items: Vec<Node>,
    },
    /// With what `<<` puts in from elsewhere, if anything.
    Map {
        flow: bool,
        merged: Option<CardMap>,
        entries: Vec<(Node, Node)>,
    },
}

impl Node {
    /// What it says. Made when it is asked for: kept at every level, it would take the text's size times its depth.
    pub(super) fn value(&self) -> CardValue {
        match &self.kind {
            Kind::Scalar(_, value) => value.clone(),
            Kind::Alias(value) => CardValue::clone(value),
            Kind::List { items, .. } => CardValue::List(items.iter().map(Self::value).collect()),
            Kind::Map { merged, entries, .. } => {
                let merged = merged.iter().flat_map(CardMap::iter);
                let merged = merged.map(|(key, value)| (key.clone(), value.clone()));
                let own = entries.iter().filter(|(key, _)| !key.merges());
                CardValue::Map(
                    merged
                        .chain(own.map(|(key, value)| (key.value(), value.value())))
                        .collect(),
                )
            }
        }
    }

    /// Whether it says this.
    pub(super) fn says(&self, value: &CardValue) -> bool {
        match (&self.kind, value) {
            (Kind::Scalar(_, own), value) => own.same(value),
            (Kind::Alias(own), value) => own.same(value),
            (Kind::List { items, .. }, CardValue::List(values)) => {
                items.len() == values.len() && items.iter().zip(values).all(|(item, value)| item.says(value))
            }
            (
                Kind::Map {
                    merged: None, entries, ..
                },
                CardValue::Map(map),
            ) if entries.len() == map.len() => {
                // In their order mostly; what is there twice is left to the slower way.
                let in_order = entries.iter().zip(map.iter());
                let mut in_order = in_order.map(|((key, own), (name, value))| (key.says(name), own, value));
                in_order.all(|(same_key, own, value)| same_key && own.says(value)) || self.value().same(value)
            }
            (Kind::Map { .. }, CardValue::Map(_)) => self.value().same(value),
            _ => false,
        }
    }

    /// As the key of an entry: whether that merges what stands elsewhere.
    fn merges(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(ScalarStyle::Plain, CardValue::String(text)) if text == "<<")
    }
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
        events: Parser::new_from_str_with_options(
            text,
            granit_parser::options! {
                flow_nesting_limit: DEEPEST,
                block_nesting_limit: DEEPEST,
                // As PyYAML: `|` makes no line break at the very end, where the text has none.
                block_scalar_eof_without_line_feed: true,
            },
        ),
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
    anchors: HashMap<usize, (Rc<CardValue>, usize)>,
    /// What anchors and aliases have made so far, in bytes.
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
                self.expand(size, bytes.start)?;
                Node {
                    span: bytes,
                    kind: Kind::Alias(value),
                    size,
                }
            }
            Event::Scalar(text, style, _, tag) => {
                let empty = style == ScalarStyle::Plain && bytes.is_empty();
                let text = if empty { "" } else { &*text };
                let value = match tagged(tag.as_deref()) {
                    None if style == ScalarStyle::Plain => scalar::resolve(text).map_err(str::to_owned),
                    None => Ok(text.into()),
                    Some(tag) => of_tag(tag, text),
                };
                let value = value.map_err(|rule| self.fault(bytes.start, rule))?;
                Node {
                    span: bytes,
                    kind: Kind::Scalar(style, value),
                    size: size_of::<Node>() + text.len(),
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
            self.expand(node.size, node.span.start)?;
            self.anchors.insert(anchor, (Rc::new(node.value()), node.size));
        }
        Ok(node)
    }

    /// Counts what an anchor or an alias makes.
    fn expand(&mut self, size: usize, at: usize) -> Result<(), Fault> {
        self.expanded = self.expanded.saturating_add(size);
        if self.expanded > LARGEST {
            return Err(self.fault(at, "the anchors and aliases make more than 64 MB of it"));
        }
        Ok(())
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
        let size = size_of::<Node>() + items.iter().map(|item| item.size).sum::<usize>();
        let span = match (flow, items.first(), items.last()) {
            (false, Some(first), Some(last)) => first.span.start..last.span.end,
            _ => start.start..end.end,
        };
        let kind = Kind::List { flow, items };
        Ok(Node { span, kind, size })
    }

    fn map(&mut self, flow: bool, start: Range<usize>) -> Result<Node, Fault> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut merged = None;
        let end = loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break span.byte_range().unwrap_or(0..0);
            }
            let key = self.node(event, span)?;
            let is_scalar = match &key.kind {
                Kind::Scalar(..) => true,
                Kind::Alias(value) => !matches!(**value, CardValue::List(_) | CardValue::Map(_)),
                Kind::List { .. } | Kind::Map { .. } => false,
            };
            if !is_scalar {
                return Err(self.fault(key.span.start, "a list or a map cannot be a key"));
            }
            let (event, span) = self.next()?;
            let mut value = self.node(event, span)?;
            if value.span.is_empty() {
                // The parser tells the place of the colon for what is not there.
                let at = colon_after(self.text, key.span.end).unwrap_or(key.span.end);
                value.span = at..at;
            }
            if key.merges() {
                self.merge(merged.get_or_insert_default(), &value)?;
            }
            entries.push((key, value));
        };
        let merged_size = size_of::<Node>() * merged.as_ref().map_or(0, CardMap::len);
        let size =
            size_of::<Node>() + merged_size + entries.iter().map(|(key, value)| key.size + value.size).sum::<usize>();
        let span = match (flow, entries.first(), entries.last()) {
            (false, Some((first, _)), Some((_, last))) => first.span.start..last.span.end,
            _ => start.start..end.end,
        };
        let kind = Kind::Map { flow, merged, entries };
        Ok(Node { span, kind, size })
    }

    /// `<<: *other` or `<<: [*one, *other]`: the first one that has a key counts.
    fn merge(&self, into: &mut CardMap, value: &Node) -> Result<(), Fault> {
        let value = (value.value(), value.span.start);
        let maps: Vec<&CardMap> = match &value.0 {
            CardValue::Map(map) => vec![map],
            CardValue::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                items.iter().rev().filter_map(CardValue::as_map).collect()
            }
            _ => return Err(self.fault(value.1, "'<<' needs a map or a list of maps")),
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
