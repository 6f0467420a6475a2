//! Cards: the README of a repository, its metadata, and the results in it.
//!
//! ```
//! use hub_types::cards::Card;
//!
//! let mut card: Card = "---\nlicense: mit # checked\nlanguage: [en]\n---\n# Demo\n".parse()?;
//! assert_eq!(card.license(), Some("mit"));
//! card.append("tags", "vision")?;
//! card.append("language", "no")?;
//! assert_eq!(
//!     card.content(),
//!     "---\nlicense: mit # checked\nlanguage: [en, 'no']\ntags:\n- vision\n---\n# Demo\n"
//! );
//! # Ok::<(), hub_types::ValidationError>(())
//! ```
//!
//! Metadata is YAML 1.1, since the Python client reads and writes that: `no` is false, `010` is 8. What is written here
//! is read as the same by readers of 1.1 and of 1.2.
//!
//! Invariants:
//!
//! - A change writes the places that it is about. Comments, order, quotes, unknown keys and line breaks elsewhere stay,
//!   byte for byte.
//! - What was written has been read again, and says what was meant.

mod block;
mod edit;
mod eval;
mod fields;
mod merge;
mod scalar;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod write;

pub use eval::{EvalResult, EvalResultEntry, ModelIndex, metadata_eval_result};
pub use eval::{eval_result_entries_to_yaml, parse_eval_result_entries};
pub use template::{DATASET_TEMPLATE, MODEL_TEMPLATE, render};
pub use value::{CardMap, CardValue};

use std::fmt;
use std::str::FromStr;

use block::Block;

use crate::ValidationError;
use crate::model::reply;

/// The name of the file that a card is.
pub const CARD_NAME: &str = "README.md";

reply! {
    /// What the Hub has to say about a part of a card.
    CardRemark {
        /// The sentence.
        message: String,
        ..
    }

    /// What the Hub thinks of a card's metadata.
    CardReport {
        /// What makes it refuse the card.
        errors = Vec<CardRemark>,
        /// What it takes nonetheless.
        warnings = Vec<CardRemark>,
    }
}

impl CardReport {
    /// Whether the Hub takes the card.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

/// A README: a text, and in front of it metadata in YAML between two lines of three dashes.
///
/// The file is kept as it is. A byte order mark at its start is no part of the metadata, but stays.
///
/// Python: `RepoCard`, `ModelCard`, `DatasetCard`, `SpaceCard`, and their `data`.
#[doc(alias("RepoCard", "ModelCard", "DatasetCard", "SpaceCard"))]
#[doc(alias("CardData", "ModelCardData", "DatasetCardData", "SpaceCardData"))]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Card {
    content: String,
    block: Option<Block>,
    data: CardMap,
}

impl Card {
    /// Reads a README. One without metadata has none, and all of it is text.
    ///
    /// The metadata is found as the Hub finds it: nothing but blanks before the first line of dashes, no blank behind
    /// its dashes, and at least a line break between it and the closing line. Of a key that stands there twice, the last
    /// value counts.
    ///
    /// # Errors
    ///
    /// When the metadata is no YAML, or no map of keys and values. The error names the line in the file.
    pub fn parse(content: impl Into<String>) -> Result<Self, ValidationError> {
        let content = content.into();
        let mark = content.len() - without_mark(&content).len();
        let Some(mut block) = block::find(&content[mark..]) else {
            return Ok(Self {
                content,
                block: None,
                data: CardMap::new(),
            });
        };
        block.opener += mark;
        block.yaml = block.yaml.start + mark..block.yaml.end + mark;
        block.body += mark;
        let yaml = &content[block.yaml.clone()];
        let refuse = |line: usize, rule: &str| {
            let before = tree::line_breaks(&content[..block.yaml.start]);
            let shown = yaml.lines().nth(line - 1).unwrap_or_default();
            ValidationError::new(
                "card metadata",
                shown.trim_end(),
                format!("line {}: {rule}", before + line),
            )
        };
        let data = match tree::parse(yaml).map_err(|fault| refuse(fault.line, &fault.rule))? {
            None => CardMap::new(),
            Some(root) => match root.value() {
                CardValue::Map(map) => map,
                CardValue::Null => CardMap::new(),
                _ => return Err(refuse(1, "the metadata must be a map of keys and values")),
            },
        };
        Ok(Self {
            content,
            block: Some(block),
            data,
        })
    }

    /// A card of metadata and a text.
    ///
    /// # Errors
    ///
    /// When the metadata has a list or a map for a key.
    pub fn new(data: &CardMap, text: &str) -> Result<Self, ValidationError> {
        let mut card = Self::parse(format!("---\n{{}}\n---\n{text}"))?;
        card.set_data(data)?;
        Ok(card)
    }

    /// A card made of a template; see [`render`]. The template finds the metadata as YAML under `card_data`, each of its
    /// keys under its own name, and `values`, which count more.
    ///
    /// # Errors
    ///
    /// When the template is wrong, or what comes of it is no card.
    pub fn from_template(template: &str, data: &CardMap, values: &CardMap) -> Result<Self, ValidationError> {
        let mut all = data.clone();
        for (key, value) in values.iter() {
            all.insert(key.clone(), value.clone());
        }
        all.insert("card_data", to_yaml(data));
        Self::parse(render(template, &all)?)
    }

    /// The whole file.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The whole file.
    pub fn into_content(self) -> String {
        self.content
    }

    /// What follows the metadata.
    pub fn text(&self) -> &str {
        match &self.block {
            Some(block) => &self.content[block.body..],
            None => without_mark(&self.content),
        }
    }

    /// Whether there is a block of metadata, be it empty.
    pub fn has_metadata(&self) -> bool {
        self.block.is_some()
    }

    /// The metadata, as the Python client reads it.
    pub fn data(&self) -> &CardMap {
        &self.data
    }

    /// The value of a key. Null counts as absent.
    pub fn get(&self, key: &str) -> Option<&CardValue> {
        self.data.get(key).filter(|value| !value.is_null())
    }

    /// Sets a key. A new one comes last; null takes the key out.
    ///
    /// # Errors
    ///
    /// When the value has a list or a map for a key.
    pub fn set(&mut self, key: &str, value: impl Into<CardValue>) -> Result<(), ValidationError> {
        let value = value.into();
        let mut data = self.data.clone();
        if value.is_null() {
            data.remove(key);
        } else {
            data.insert(key, value);
        }
        self.set_data(&data)
    }

    /// Takes a key out and gives its value.
    ///
    /// # Errors
    ///
    /// As [`Card::set`].
    pub fn remove(&mut self, key: &str) -> Result<Option<CardValue>, ValidationError> {
        let mut data = self.data.clone();
        let removed = data.remove(key);
        self.set_data(&data)?;
        Ok(removed)
    }

    /// Adds a value to the list under a key, unless it is in it. What is there and is no list becomes the first of one.
    ///
    /// # Errors
    ///
    /// As [`Card::set`].
    pub fn append(&mut self, key: &str, value: impl Into<CardValue>) -> Result<(), ValidationError> {
        let value = value.into();
        let mut items = match self.get(key) {
            Some(CardValue::List(items)) => items.clone(),
            Some(other) => vec![other.clone()],
            None => Vec::new(),
        };
        if items.contains(&value) {
            return Ok(());
        }
        items.push(value);
        self.set(key, items)
    }

    /// Makes this the metadata. Only the places that differ are written.
    ///
    /// # Errors
    ///
    /// As [`Card::set`].
    pub fn set_data(&mut self, data: &CardMap) -> Result<(), ValidationError> {
        if CardValue::Map(data.clone()).same(&CardValue::Map(self.data.clone())) {
            return Ok(());
        }
        let nl = block::line_break(&self.content);
        let changed = match &self.block {
            Some(block) => {
                let yaml = edit::rewrite(&self.content[block.yaml.clone()], data, nl);
                let (before, after) = (&self.content[..block.yaml.start], &self.content[block.yaml.end..]);
                // An empty block may share the one line break between its two lines.
                if block.yaml.is_empty() {
                    let (before, body) = (&self.content[..block.opener], self.text());
                    format!("{before}---{nl}{yaml}{nl}---{}{body}", after_closer(nl))
                } else {
                    format!("{before}{yaml}{after}")
                }
            }
            None => {
                let text = self.text();
                let mark = &self.content[..self.content.len() - text.len()];
                format!("{mark}---{nl}{}{nl}---{}{text}", edit::anew(data, nl), after_closer(nl))
            }
        };
        let card = Self::parse(changed)?;
        if !CardValue::Map(card.data.clone()).same(&CardValue::Map(data.clone())) || card.text() != self.text() {
            let rule = "cannot be written so that it is read as the same";
            return Err(ValidationError::new(
                "card metadata",
                write::inline(&CardValue::Map(data.clone())),
                rule,
            ));
        }
        *self = card;
        Ok(())
    }

    /// Makes this the text behind the metadata, which stays as it is.
    pub fn set_text(&mut self, text: &str) {
        match &self.block {
            Some(block) => {
                self.content.truncate(block.body);
                // A file may end with its closing line.
                if !self.content.ends_with(['\n', '\r']) {
                    self.content.push_str(after_closer(block::line_break(&self.content)));
                }
                self.content.push_str(text);
            }
            None => {
                let mark = self.content.len() - without_mark(&self.content).len();
                self.content.truncate(mark);
                self.content.push_str(text);
            }
        }
        let block = block::find(without_mark(&self.content));
        let mark = self.content.len() - without_mark(&self.content).len();
        self.block = block.map(|block| Block {
            opener: block.opener + mark,
            yaml: block.yaml.start + mark..block.yaml.end + mark,
            body: block.body + mark,
        });
    }
}

/// A lone CR does not end the closing line, even where it ends all others.
fn after_closer(nl: &str) -> &str {
    if nl == "\r" { "\n" } else { nl }
}

fn without_mark(content: &str) -> &str {
    content.strip_prefix('\u{feff}').unwrap_or(content)
}

/// Metadata as YAML, without a line break at its end: what stands between the lines of dashes. An empty map is `{}`.
#[doc(alias = "yaml_dump")]
pub fn to_yaml(data: &CardMap) -> String {
    edit::anew(data, "\n")
}

/// Reads YAML as the Python client does.
///
/// # Errors
///
/// When it is none. The error names the line.
pub fn from_yaml(text: &str) -> Result<CardValue, ValidationError> {
    match tree::parse(text) {
        Ok(root) => Ok(root.map_or(CardValue::Null, |root| root.value())),
        Err(fault) => {
            let shown = text.lines().nth(fault.line - 1).unwrap_or_default();
            Err(ValidationError::new(
                "YAML",
                shown,
                format!("line {}: {}", fault.line, fault.rule),
            ))
        }
    }
}

/// The whole file.
impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.content)
    }
}

impl FromStr for Card {
    type Err = ValidationError;

    fn from_str(content: &str) -> Result<Self, Self::Err> {
        Self::parse(content)
    }
}

crate::argument!(Card);

impl crate::Argument<Card> for &Card {
    fn into_argument(self) -> Result<Option<Card>, ValidationError> {
        Ok(Some(self.clone()))
    }
}

/// As data, a card is the text of the file.
impl serde::Serialize for Card {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.content)
    }
}

impl<'de> serde::Deserialize<'de> for Card {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let content = <String as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(content).map_err(serde::de::Error::custom)
    }
}
