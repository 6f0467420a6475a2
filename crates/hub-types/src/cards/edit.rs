//! Changes to metadata that leave every other byte as it is.
//!
//! The new values are compared with those in the text, and only the places that differ are written. What comes out is
//! read again: should it not say what was meant (an anchor that something else refers to, say), more is written anew,
//! at last all of it.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::tree::{self, Kind, Node, colon_after};
use super::{CardMap, CardValue, write};

/// The most comparisons of a list's old and new items.
const COMPARISONS: usize = 1 << 20;

/// Metadata, without the line break at its end, with these values in place of its own.
pub(super) fn rewrite(text: &str, new: &CardMap, nl: &str) -> String {
    let settle = |text: String| settle(text, new, nl);
    let root = tree::parse(text).ok().flatten();
    let fine = match &root {
        Some(root) => in_places(text, root, new, nl, Grain::Fine),
        None if text.trim().is_empty() => None,
        // There are comments only.
        None => Some(format!("{text}{nl}{}", write::block(new, 0, nl))),
    };
    let coarse = || in_places(text, root.as_ref()?, new, nl, Grain::Entries).and_then(settle);
    fine.and_then(settle).or_else(coarse).unwrap_or_else(|| anew(new, nl))
}

/// Metadata with these values and nothing else.
pub(super) fn anew(new: &CardMap, nl: &str) -> String {
    let text = write::block(new, 0, nl);
    settle(text.clone(), new, nl).unwrap_or(text)
}

/// The text, if it says what it is to say. A block of text at the end may need its last line break.
fn settle(text: String, new: &CardMap, nl: &str) -> Option<String> {
    let says_so = |text: &str| match tree::parse(text) {
        Ok(Some(root)) => root.says(&CardValue::Map(new.clone())),
        Ok(None) => new.is_empty(),
        Err(_) => false,
    };
    if says_so(&text) {
        return Some(text);
    }
    let longer = text + nl;
    says_so(&longer).then_some(longer)
}

#[derive(Clone, Copy, PartialEq)]
enum Grain {
    /// Only what differs, however deep.
    Fine,
    /// A key at the top with all that is under it.
    Entries,
}

fn in_places(text: &str, root: &Node, new: &CardMap, nl: &str, grain: Grain) -> Option<String> {
    // So that every line has an end.
    let text = format!("{text}{nl}");
    let mut editor = Editor {
        text: &text,
        nl,
        grain,
        splices: Vec::new(),
    };
    let value = CardValue::Map(new.clone());
    if !editor.change(root, &value, false) {
        let flow_map = matches!(root.kind, Kind::Map { flow: true, .. });
        if !flow_map || new.is_empty() {
            return None;
        }
        editor.put(root.span.clone(), write::block(new, 0, nl));
    }
    let mut text = editor.apply()?;
    if text.ends_with(nl) {
        text.truncate(text.len() - nl.len());
    }
    (!text.trim().is_empty()).then_some(text)
}

struct Editor<'a> {
    text: &'a str,
    nl: &'a str,
    grain: Grain,
    splices: Vec<(Range<usize>, String)>,
}

impl Editor<'_> {
    fn put(&mut self, place: Range<usize>, text: String) {
        self.splices.push((place, text));
    }

    fn apply(mut self) -> Option<String> {
        // Stable: what goes to one place stays in its order.
        self.splices.sort_by_key(|(place, _)| (place.start, place.end));
        let mut out = String::new();
        let mut done = 0;
        for (place, text) in self.splices {
            out.push_str(self.text.get(done..place.start)?);
            out.push_str(&text);
            done = place.end;
        }
        out.push_str(self.text.get(done..)?);
        Some(out)
    }

    /// Changes a value in its place. `false`, and nothing done, if it must be written anew by whoever holds it.
    fn change(&mut self, node: &Node, new: &CardValue, in_flow: bool) -> bool {
        if node.says(new) {
            return true;
        }
        let before = self.splices.len();
        let done = match (&node.kind, new) {
            (
                Kind::Map {
                    flow: false,
                    merged: None,
                    entries,
                },
                CardValue::Map(new),
            ) => self.map(entries, new),
            (Kind::List { flow: false, items }, CardValue::List(new)) => self.list(items, new),
            (
                Kind::Map {
                    flow: true,
                    merged: None,
                    entries,
                },
                CardValue::Map(new),
            ) if in_flow || !entries.is_empty() => self.flow_map(node, entries, new),
            (Kind::List { flow: true, items }, CardValue::List(new)) if in_flow || !items.is_empty() => {
                self.flow_list(node, items, new)
            }
            (Kind::Scalar(..) | Kind::Alias(_) | Kind::List { flow: true, .. } | Kind::Map { flow: true, .. }, new) => {
                self.scalar(node, new, in_flow)
            }
            _ => false,
        };
        if !done {
            self.splices.truncate(before);
        }
        done
    }

    fn scalar(&mut self, node: &Node, new: &CardValue, in_flow: bool) -> bool {
        let is_block = matches!(node.kind, Kind::Scalar(ScalarStyle::Literal | ScalarStyle::Folded, _));
        let becomes_block = match new {
            CardValue::String(text) => text.contains('\n'),
            CardValue::List(items) => !items.is_empty(),
            CardValue::Map(map) => !map.is_empty(),
            _ => false,
        };
        if node.span.is_empty() || is_block || (becomes_block && !in_flow) {
            return false;
        }
        let text = match (new, &node.kind) {
            (CardValue::String(text), Kind::Scalar(ScalarStyle::DoubleQuoted, _)) => write::double_quoted(text),
            (CardValue::String(text), Kind::Scalar(ScalarStyle::SingleQuoted, _))
                if text.chars().all(write::is_printable) =>
            {
                write::single_quoted(text)
            }
            (CardValue::String(text), _) => write::string(text, in_flow),
            (new, _) => write::inline(new),
        };
        self.put(node.span.clone(), text);
        true
    }

    /// `{a: 1}`: changed and added to in its place, otherwise written anew on one line.
    fn flow_map(&mut self, node: &Node, entries: &[(Node, Node)], new: &CardMap) -> bool {
        let before = self.splices.len();
        let unique = |key: &Node| entries.iter().filter(|(other, _)| other.says(&key.value())).count() == 1;
        let mut in_place = !entries.is_empty();
        for (key, value) in entries {
            in_place &= unique(key)
                && new
                    .get_value(&key.value())
                    .is_some_and(|new| !value.span.is_empty() && self.change(value, new, true));
        }
        if !in_place {
            self.splices.truncate(before);
            self.put(node.span.clone(), write::inline(&CardValue::Map(new.clone())));
            return true;
        }
        let added = new
            .iter()
            .filter(|(key, _)| !entries.iter().any(|(own, _)| own.says(key)));
        let added: String = added
            .map(|(key, value)| format!(", {}: {}", write::inline(key), write::inline(value)))
            .collect();
        if let Some((_, last)) = entries.last()
            && !added.is_empty()
        {
            self.put(last.span.end..last.span.end, added);
        }
        true
    }

    /// `[a, b]`: as [`Self::flow_map`].
    fn flow_list(&mut self, node: &Node, items: &[Node], new: &[CardValue]) -> bool {
        let before = self.splices.len();
        let in_place = !items.is_empty()
            && new.len() >= items.len()
            && items
                .iter()
                .zip(new)
                .all(|(item, new)| !item.span.is_empty() && self.change(item, new, true));
        if !in_place {
            self.splices.truncate(before);
            self.put(node.span.clone(), write::inline(&CardValue::List(new.to_vec())));
            return true;
        }
        let added: String = new[items.len()..]
            .iter()
            .map(|item| format!(", {}", write::inline(item)))
            .collect();
        if let Some(last) = items.last()
            && !added.is_empty()
        {
            self.put(last.span.end..last.span.end, added);
        }
        true
    }

    fn map(&mut self, entries: &[(Node, Node)], new: &CardMap) -> bool {
        let stays = |entry: &(Node, Node)| new.get_value(&entry.0.value()).is_some();
        // What goes at the end needs something to stand behind.
        let (Some((last_key, last_value)), true) = (entries.last(), entries.iter().any(stays) || entries.len() == 1)
        else {
            return false;
        };
        let at_top = entries.iter().all(|(key, _)| self.column(key.span.start) == 0);
        for (at, (key, value)) in entries.iter().enumerate() {
            let is_last = !entries[at + 1..].iter().any(|(other, _)| other.says(&key.value()));
            let done = match new.get_value(&key.value()) {
                None => self.remove(entries, at),
                // Of a key that is there twice, the last one counts.
                Some(_) if !is_last => true,
                Some(new) if value.says(new) => true,
                Some(new) if self.grain == Grain::Entries && at_top => self.replace_entry(key, value, new),
                Some(new) => self.change(value, new, false) || self.replace_value(key, value, new),
            };
            if !done {
                return false;
            }
        }
        let indent = self.column(last_key.span.start);
        let line = match (self.is_open(last_value), entries) {
            // Another line behind it would give the last value a line break more: new keys go before it.
            (true, [.., (_, value), _]) => self.rest_of_line(self.content_end(value)).map(|(_, line)| line),
            (true, _) => Some(self.line_start(last_key.span.start)),
            (false, _) => self.rest_of_line(self.content_end(last_value)).map(|(_, line)| line),
        };
        let Some(line) = line else { return false };
        for (key, value) in new.iter() {
            if !entries.iter().any(|(own, _)| own.says(key)) {
                let entry = write::entry(key, value, indent, self.nl);
                self.put(line..line, format!("{}{entry}{}", " ".repeat(indent), self.nl));
            }
        }
        true
    }

    /// Takes a key out with its value and the line that it ends in. Comments above it stay.
    fn remove(&mut self, entries: &[(Node, Node)], at: usize) -> bool {
        let (key, value) = &entries[at];
        let start = self.line_start(key.span.start);
        if self.text[start..key.span.start].trim().is_empty() {
            let Some((_, end)) = self.rest_of_line(self.content_end(value)) else {
                return false;
            };
            self.put(start..end, String::new());
            return true;
        }
        // It is the first behind a dash: the next one takes its place.
        let Some((next, _)) = entries.get(at + 1) else {
            return false;
        };
        self.put(key.span.start..next.span.start, String::new());
        true
    }

    fn replace_entry(&mut self, key: &Node, value: &Node, new: &CardValue) -> bool {
        let start = self.line_start(key.span.start);
        let Some((_, end)) = self.rest_of_line(self.content_end(value)) else {
            return false;
        };
        let entry = write::entry(&key.value(), new, self.column(key.span.start), self.nl);
        self.put(start..end, format!("{entry}{}", self.nl));
        true
    }

    /// Writes what stands behind a key's colon anew. A comment at the end of the line stays.
    fn replace_value(&mut self, key: &Node, value: &Node, new: &CardValue) -> bool {
        let Some(colon) = colon_after(self.text, key.span.end) else {
            return false;
        };
        let end = self.content_end(value);
        let Some((comment, _)) = self.rest_of_line(end) else {
            return false;
        };
        let text = write::after_colon(new, self.column(key.span.start), self.nl);
        let line_end = end + self.text[end..].find(['\r', '\n']).unwrap_or(0);
        match text.find(self.nl) {
            Some(first) if !comment.is_empty() => {
                let (head, block) = text.split_at(first);
                self.put(colon..line_end, format!("{head} {comment}{block}"));
            }
            _ => self.put(colon..end, text),
        }
        true
    }

    fn list(&mut self, items: &[Node], new: &[CardValue]) -> bool {
        if items.is_empty() || new.is_empty() {
            return false;
        }
        let Some(dashes) = items.iter().map(|item| self.dash(item)).collect::<Option<Vec<usize>>>() else {
            return false;
        };
        let Some(steps) = steps(items, new) else { return false };
        // Where what comes next goes if it is new: behind the item before.
        let mut line = self.line_start(dashes[0]);
        let free = self.text[line..dashes[0]].trim().is_empty();
        let mut any_before = false;
        for step in steps {
            let done = match step {
                Step::Change(at, new) => {
                    let item = &items[at];
                    self.change(item, new, false) || self.replace_item(item, dashes[at], new)
                }
                Step::Remove(at) => self.remove_item(&items[at], dashes[at]),
                Step::Insert(_) if !free && !any_before => false,
                Step::Insert(new) => {
                    let indent = self.column(dashes[0]);
                    let item = write::item(new, indent + 2, self.nl);
                    self.put(line..line, format!("{}- {item}{}", " ".repeat(indent), self.nl));
                    true
                }
            };
            if !done {
                return false;
            }
            if let Step::Change(at, _) | Step::Remove(at) = step {
                let Some((_, end)) = self.rest_of_line(self.content_end(&items[at])) else {
                    return false;
                };
                line = end;
                any_before = true;
            }
        }
        true
    }

    fn replace_item(&mut self, item: &Node, dash: usize, new: &CardValue) -> bool {
        let end = self.content_end(item);
        let Some((comment, _)) = self.rest_of_line(end) else {
            return false;
        };
        let text = write::item(new, self.column(dash) + 2, self.nl);
        if !comment.is_empty() && text.contains(self.nl) {
            return false;
        }
        self.put(dash + 1..end.max(dash + 1), format!(" {text}"));
        true
    }

    fn remove_item(&mut self, item: &Node, dash: usize) -> bool {
        let start = self.line_start(dash);
        if !self.text[start..dash].trim().is_empty() {
            return false;
        }
        let Some((_, end)) = self.rest_of_line(self.content_end(item)) else {
            return false;
        };
        self.put(start..end, String::new());
        true
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind(['\r', '\n']).map_or(0, |newline| newline + 1)
    }

    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    /// The comment behind a place, and where the next line begins; nothing if more than a comment stands there.
    fn rest_of_line(&self, at: usize) -> Option<(&str, usize)> {
        let rest = &self.text[at..];
        let end = rest.find(['\r', '\n'])?;
        let next = at + end + if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        let comment = rest[..end].trim();
        let is_comment = comment.starts_with('#') && (rest.starts_with([' ', '\t']) || end == 0);
        (comment.is_empty() || is_comment).then_some((comment, next))
    }

    /// Where the text of a value ends, before the line break.
    fn content_end(&self, node: &Node) -> usize {
        match &node.kind {
            Kind::Scalar(ScalarStyle::Literal | ScalarStyle::Folded, value) => {
                let text = &self.text[node.span.clone()];
                let keeps = value.as_str().is_some_and(|value| value.ends_with("\n\n"));
                let trimmed = if keeps {
                    let text = text.strip_suffix('\n').unwrap_or(text);
                    text.strip_suffix('\r').unwrap_or(text)
                } else {
                    text.trim_end_matches([' ', '\t', '\r', '\n'])
                };
                node.span.start + trimmed.len()
            }
            Kind::List { flow: false, items } => items.last().map_or(node.span.end, |item| self.content_end(item)),
            Kind::Map {
                flow: false, entries, ..
            } => entries
                .last()
                .map_or(node.span.end, |(_, value)| self.content_end(value)),
            _ => node.span.end,
        }
    }

    /// Whether the last line of a value is the last of the text, and says something else if it is not: `|` and lines.
    fn is_open(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::Scalar(ScalarStyle::Literal | ScalarStyle::Folded, value) => {
                let before = &self.text[..node.span.start];
                let header = before
                    .rfind(['|', '>'])
                    .map_or("", |at| before[at..].lines().next().unwrap_or_default());
                let indicators = header.split([' ', '\t']).next().unwrap_or_default();
                node.span.end + self.nl.len() == self.text.len()
                    && !indicators.contains('-')
                    && value.as_str().is_some_and(|value| !value.ends_with('\n'))
            }
            Kind::List { flow: false, items } => items.last().is_some_and(|item| self.is_open(item)),
            Kind::Map {
                flow: false, entries, ..
            } => entries.last().is_some_and(|(_, value)| self.is_open(value)),
            _ => false,
        }
    }

    /// Where the dash of an item stands: on its line, or on one before with nothing but comments between.
    fn dash(&self, item: &Node) -> Option<usize> {
        let mut end = item.span.start;
        loop {
            let start = self.line_start(end);
            let line = &self.text[start..end];
            let is_dash = |at: usize| {
                (at == 0 || line[..at].ends_with([' ', '\t']))
                    && (at + 1 == line.len() || line[at + 1..].starts_with([' ', '\t']))
            };
            let line_is_comment = line.trim_start().starts_with('#');
            if !line_is_comment && let Some((at, _)) = line.rmatch_indices('-').find(|(at, _)| is_dash(*at)) {
                return Some(start + at);
            }
            if start == 0 {
                return None;
            }
            end = start - if self.text[..start].ends_with("\r\n") { 2 } else { 1 };
        }
    }
}

enum Step<'a> {
    /// This item becomes that value; it may be the same.
    Change(usize, &'a CardValue),
    Remove(usize),
    Insert(&'a CardValue),
}

/// How the old items become the new ones: what is the same stays, what stands between is changed in order.
fn steps<'a>(items: &[Node], new: &'a [CardValue]) -> Option<Vec<Step<'a>>> {
    let same = |i: usize, j: usize| items[i].says(&new[j]);
    let both = items.len().min(new.len());
    let head = (0..both).take_while(|at| same(*at, *at)).count();
    let tail = (1..=both - head)
        .take_while(|back| same(items.len() - back, new.len() - back))
        .count();
    let (old_end, new_end) = (items.len() - tail, new.len() - tail);
    let (rows, columns) = (old_end - head, new_end - head);
    if rows.checked_mul(columns).is_none_or(|cells| cells > COMPARISONS) {
        return None;
    }
    // How many of the items from (i, j) on can stay.
    let width = columns + 1;
    let mut kept = vec![0u32; (rows + 1) * width];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            kept[i * width + j] = if same(head + i, head + j) {
                kept[(i + 1) * width + j + 1] + 1
            } else {
                kept[(i + 1) * width + j].max(kept[i * width + j + 1])
            };
        }
    }
    let mut steps: Vec<Step<'a>> = (0..head).map(|at| Step::Change(at, &new[at])).collect();
    let (mut i, mut j) = (0, 0);
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let flush = |steps: &mut Vec<Step<'a>>, gone: &mut Vec<usize>, come: &mut Vec<usize>| {
        let pairs = gone.len().min(come.len());
        steps.extend((0..pairs).map(|at| Step::Change(gone[at], &new[come[at]])));
        steps.extend(gone[pairs..].iter().map(|at| Step::Remove(*at)));
        steps.extend(come[pairs..].iter().map(|at| Step::Insert(&new[*at])));
        gone.clear();
        come.clear();
    };
    while i < rows || j < columns {
        if i < rows && j < columns && same(head + i, head + j) {
            flush(&mut steps, &mut gone, &mut come);
            steps.push(Step::Change(head + i, &new[head + j]));
            (i, j) = (i + 1, j + 1);
        } else if j == columns || (i < rows && kept[(i + 1) * width + j] >= kept[i * width + j + 1]) {
            gone.push(head + i);
            i += 1;
        } else {
            come.push(head + j);
            j += 1;
        }
    }
    flush(&mut steps, &mut gone, &mut come);
    steps.extend((0..tail).map(|at| Step::Change(old_end + at, &new[new_end + at])));
    Some(steps)
}
