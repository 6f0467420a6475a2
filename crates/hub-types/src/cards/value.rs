//! What a card's metadata is made of.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// A value in a card's metadata.
///
/// YAML has more kinds than JSON: dates, keys that are no strings, numbers that are none, and an order of keys. All of
/// them are kept, so that what is read can be written again.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum CardValue {
    /// Nothing: `null`, `~` or an empty place.
    #[default]
    Null,
    /// `true` or `false`; in cards also `yes`, `no`, `on` and `off`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A date or a time, as it is written: `2024-01-02`.
    Timestamp(String),
    /// Values in a row.
    List(Vec<Self>),
    /// Values by key.
    Map(CardMap),
}

impl CardValue {
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&CardMap> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value under a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// Whether the Python client counts both as equal: `1`, `1.0` and `true` are.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            (Self::Map(a), Self::Map(b)) => {
                let same = |(key, value): &(Self, Self)| b.get_value(key).is_some_and(|other| value.equals(other));
                a.len() == b.len() && a.entries.iter().all(same)
            }
            (a, b) => match (a.as_number(), b.as_number()) {
                (Some(a), Some(b)) => a == b,
                _ => a == b,
            },
        }
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            value => value.as_f64(),
        }
    }

    /// Whether both are written in the same way: as equality, but a number that is none is itself.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Self::Map(a), Self::Map(b)) => {
                // In the same order mostly.
                let same = |(at, (key, value)): (usize, &(Self, Self))| {
                    let beside = b
                        .entries
                        .get(at)
                        .filter(|(other, _)| other.same(key))
                        .map(|(_, value)| value);
                    beside
                        .or_else(|| b.get_value(key))
                        .is_some_and(|other| value.same(other))
                };
                a.len() == b.len() && a.entries.iter().enumerate().all(same)
            }
            (a, b) => a == b,
        }
    }

    /// Without nulls, however deep.
    pub(super) fn without_nulls(self) -> Self {
        match self {
            Self::List(items) => {
                let items = items.into_iter().filter(|item| !item.is_null());
                Self::List(items.map(Self::without_nulls).collect())
            }
            Self::Map(map) => {
                let entries = map
                    .entries
                    .into_iter()
                    .filter(|(key, value)| !key.is_null() && !value.is_null());
                let entries = entries.map(|(key, value)| (key, value.without_nulls())).collect();
                Self::Map(CardMap { entries })
            }
            value => value,
        }
    }
}

/// Values by key, in the order in which they are written. Two maps are equal in whatever order.
#[derive(Debug, Clone, Default)]
pub struct CardMap {
    pub(super) entries: Vec<(CardValue, CardValue)>,
}

impl CardMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&CardValue> {
        let mut entries = self.entries.iter();
        entries
            .find(|(own, _)| own.as_str() == Some(key))
            .map(|(_, value)| value)
    }

    /// The value under a key of any kind.
    pub fn get_value(&self, key: &CardValue) -> Option<&CardValue> {
        let mut entries = self.entries.iter();
        entries.find(|(own, _)| own.same(key)).map(|(_, value)| value)
    }

    /// Whether it has this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Puts a value under a key; a new key comes last. Gives what was there.
    pub fn insert(&mut self, key: impl Into<CardValue>, value: impl Into<CardValue>) -> Option<CardValue> {
        let (key, value) = (key.into(), value.into());
        match self.entries.iter_mut().find(|(own, _)| own.same(&key)) {
            Some((_, own)) => Some(std::mem::replace(own, value)),
            None => {
                self.entries.push((key, value));
                None
            }
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<CardValue> {
        let at = self.entries.iter().position(|(own, _)| own.as_str() == Some(key))?;
        Some(self.entries.remove(at).1)
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&CardValue, &CardValue)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut CardValue> {
        let mut entries = self.entries.iter_mut();
        entries
            .find(|(own, _)| own.as_str() == Some(key))
            .map(|(_, value)| value)
    }
}

impl PartialEq for CardMap {
    fn eq(&self, other: &Self) -> bool {
        let same = |(key, value): &(CardValue, CardValue)| other.get_value(key).is_some_and(|own| own == value);
        self.len() == other.len() && self.entries.iter().all(same)
    }
}

impl<K: Into<CardValue>, V: Into<CardValue>> FromIterator<(K, V)> for CardMap {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        // Where each text stands: a card from elsewhere may have any number of keys.
        let mut places: HashMap<String, usize> = HashMap::new();
        for (key, value) in entries {
            let (key, value) = (key.into(), value.into());
            let Some(text) = key.as_str() else {
                map.insert(key, value);
                continue;
            };
            match places.get(text) {
                Some(place) => map.entries[*place].1 = value,
                None => {
                    places.insert(text.to_owned(), map.len());
                    map.entries.push((key, value));
                }
            }
        }
        map
    }
}

impl<K: Into<CardValue>, V: Into<CardValue>, const N: usize> From<[(K, V); N]> for CardMap {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl From<serde_json::Map<String, Value>> for CardMap {
    fn from(map: serde_json::Map<String, Value>) -> Self {
        map.into_iter().collect()
    }
}

impl IntoIterator for CardMap {
    type Item = (CardValue, CardValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

crate::argument! {
    CardMap: from serde_json::Map<String, Value>;
    CardValue: from bool, i64, f64, &str, String;
}

impl crate::Argument<CardMap> for &CardMap {
    fn into_argument(self) -> Result<Option<CardMap>, crate::ValidationError> {
        Ok(Some(self.clone()))
    }
}

impl<K: Into<CardValue>, V: Into<CardValue>, const N: usize> crate::Argument<CardMap> for [(K, V); N] {
    fn into_argument(self) -> Result<Option<CardMap>, crate::ValidationError> {
        Ok(Some(self.into()))
    }
}

macro_rules! from_number {
    ($variant:ident: $($type:ty),+) => {
        $(impl From<$type> for CardValue {
            fn from(number: $type) -> Self {
                Self::$variant(number.into())
            }
        })+
    };
}

from_number!(Integer: i32, i64, i128, u8, u16, u32, u64);
from_number!(Float: f32, f64);
from_number!(Bool: bool);
from_number!(String: &str, &String, String);
from_number!(Map: CardMap, serde_json::Map<String, Value>);

impl From<usize> for CardValue {
    fn from(number: usize) -> Self {
        Self::Integer(number as i128)
    }
}

impl<T: Into<Self>> From<Vec<T>> for CardValue {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for CardValue {
    fn from(items: [T; N]) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for CardValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<Value> for CardValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => match number.as_i128() {
                Some(number) => Self::Integer(number),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::String(text),
            Value::Array(items) => items.into(),
            Value::Object(map) => Self::Map(map.into()),
        }
    }
}

/// As the Hub's JSON has it: dates are text, numbers that are none are null, and keys are text.
impl Serialize for CardValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => serializer.serialize_i64(number),
                (_, Ok(number)) => serializer.serialize_u64(number),
                _ => serializer.serialize_f64(*number as f64),
            },
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::String(text) | Self::Timestamp(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl Serialize for CardMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in &self.entries {
            match key {
                CardValue::String(key) | CardValue::Timestamp(key) => map.serialize_entry(key, value)?,
                key => map.serialize_entry(&super::write::inline(key), value)?,
            }
        }
        map.end()
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = CardValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a card's metadata")
    }

    fn visit_unit<E>(self) -> Result<CardValue, E> {
        Ok(CardValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<CardValue, E> {
        Ok(CardValue::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<CardValue, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<CardValue, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<CardValue, E> {
        Ok(CardValue::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<CardValue, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<CardValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<CardValue>()? {
            items.push(item);
        }
        Ok(CardValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<CardValue, A::Error> {
        let mut map = CardMap::new();
        while let Some((key, value)) = access.next_entry::<CardValue, CardValue>()? {
            map.insert(key, value);
        }
        Ok(CardValue::Map(map))
    }
}

impl<'de> Deserialize<'de> for CardValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for CardMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_map(ValueVisitor)? {
            CardValue::Map(map) => Ok(map),
            _ => Err(serde::de::Error::custom("expected a map")),
        }
    }
}
