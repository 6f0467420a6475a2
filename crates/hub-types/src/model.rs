//! How replies are declared: lenient by construction.
//!
//! The real Hub's replies hold more fields than any document says, and miss some. `reply!` makes that the rule: only
//! what is marked as required must be there, null counts as absent, and what is not known is ignored or kept.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Declares structs of replies.
///
/// - `name: T` must be there.
/// - `name?: T` is an `Option<T>`; absent and null are `None`.
/// - `name = T` is `T::default()` when absent or null.
///
/// In the Hub's JSON a field has its name in camelCase, unless `as "wireName"` (with further names to accept behind
/// it) stands in front of the type. `=> Lenient` behind the type has the value read as [`Lenient`] (or another wrapper
/// of an `Option`). A last field `..` keeps all unknown fields in `other`.
///
/// How they are read and written is not derived: serde's own code is several times as much for each field, and there
/// are some hundreds of them. All that does not depend on a struct is in functions that they share.
macro_rules! reply {
    ($($(#[$meta:meta])* $name:ident { $($body:tt)* })+) => {
        $($crate::model::reply! { @fields [$(#[$meta])*] $name [] $($body)* })+
    };

    // Brings every field into one form: docs, name, names on the wire, type, the item's type, how it is read, finished and
    // written.
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*]) => {
        $crate::model::reply! { @emit [$($meta)*] $name [$($done)*] [] }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] ..) => {
        $crate::model::reply! { @emit [$($meta)*] $name [$($done)*] [other] }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*]
        $(#[$doc:meta])* $field:ident $(as $wire:literal $(| $alias:literal)*)? : $type:ty $(=> $via:ident)?, $($rest:tt)*) => {
        $crate::model::reply! { @fields [$($meta)*] $name [
            $($done)*
            { [$(#[$doc])*] $field [$($wire)?] [$($($alias)*)?] [$type] [$type] [$($via)?] required always }
        ] $($rest)* }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*]
        $(#[$doc:meta])* $field:ident $(as $wire:literal $(| $alias:literal)*)? ?: $type:ty $(=> $via:ident)?, $($rest:tt)*) => {
        $crate::model::reply! { @fields [$($meta)*] $name [
            $($done)*
            { [$(#[$doc])*] $field [$($wire)?] [$($($alias)*)?] [Option<$type>] [$type] [$($via)?] optional if_some }
        ] $($rest)* }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*]
        $(#[$doc:meta])* $field:ident $(as $wire:literal $(| $alias:literal)*)? = $type:ty $(=> $via:ident)?, $($rest:tt)*) => {
        $crate::model::reply! { @fields [$($meta)*] $name [
            $($done)*
            { [$(#[$doc])*] $field [$($wire)?] [$($($alias)*)?] [$type] [$type] [$($via)?] or_default always }
        ] $($rest)* }
    };

    (@emit [$($meta:tt)*] $name:ident [$({
        [$($doc:tt)*] $field:ident [$($wire:literal)?] [$($alias:literal)*] [$type:ty] [$item:ty] [$($via:ident)?]
        $finish:ident $write:ident
    })*] [$($other:ident)?]) => {
        $($meta)*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($($doc)* pub $field: $type,)*
            $(
                /// All other fields, as the Hub sent them.
                pub $other: serde_json::Map<String, serde_json::Value>,
            )?
        }

        const _: () = {
            #[allow(non_camel_case_types, reason = "a field's own name")]
            #[derive(Clone, Copy)]
            enum At { $($field),* }

            /// The names on the wire: first the one of each field that we write, then all others.
            const NAMES: &[$crate::model::Name] =
                &[$($crate::model::reply!(@name $field $($wire)?),)* $($($crate::model::Name::Wire($alias),)*)*];
            /// The fields that they stand for.
            const FIELDS: &[At] = &[$(At::$field,)* $($({ let _ = $alias; At::$field },)*)*];

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_map(Members)
                }
            }

            struct Members;

            impl<'de> serde::de::Visitor<'de> for Members {
                type Value = $name;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!("the members of ", stringify!($name)))
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                    $(let mut $field: Option<$item> = None;)*
                    $(let mut $other = serde_json::Map::new();)?
                    while let Some(name) = $crate::model::next_name(&mut map, NAMES, $crate::model::reply!(@other $($other)?))? {
                        match FIELDS[name] {
                            $(At::$field => {
                                let is_first = name == At::$field as usize;
                                $crate::model::reply!(@read map $field is_first $(, $via)?)
                            })*
                        }
                    }
                    Ok($name {
                        $($field: $crate::model::reply!(@$finish $field NAMES At),)*
                        $($other,)?
                    })
                }
            }

            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let mut map = serializer.serialize_map(None)?;
                    $($crate::model::$write(&mut map, NAMES[At::$field as usize], &self.$field)?;)*
                    $($crate::model::all(&mut map, &self.$other)?;)?
                    serde::ser::SerializeMap::end(map)
                }
            }
        };
    };
    (@name $field:ident) => { $crate::model::Name::Field(stringify!($field)) };
    (@name $field:ident $wire:literal) => { $crate::model::Name::Wire($wire) };
    (@read $map:ident $field:ident $first:ident) => { $crate::model::read(&mut $map, &mut $field, $first)? };
    (@read $map:ident $field:ident $first:ident, $via:ident) => {
        $crate::model::fill(&mut $field, serde::de::MapAccess::next_value::<$via<_>>(&mut $map)?.0, $first)
    };
    (@required $field:ident $names:ident $at:ident) => {
        $crate::model::required($field, $names[$at::$field as usize])?
    };
    (@optional $field:ident $names:ident $at:ident) => { $field };
    (@or_default $field:ident $names:ident $at:ident) => { $field.unwrap_or_default() };
    (@other) => { None };
    (@other $other:ident) => { Some(&mut $other) };
}

/// Declares enums of words that the Hub may add to: an unknown one is kept as `Other`.
macro_rules! open_enum {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ })+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[doc = concat!("`", $word, "`.")] $variant,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// Every word that this version knows.
            pub const KNOWN: &[&'static str] = &[$($word),+];

            /// The word, as the Hub writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Ok(Self::from(word))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from(<std::borrow::Cow<'de, str>>::deserialize(deserializer)?.as_ref()))
            }
        }

        $crate::argument!($name: from &str, String);
    )+ };
}

pub(crate) use {open_enum, reply};

/// A field's name on the wire.
#[derive(Clone, Copy)]
pub(crate) enum Name {
    /// The field's own name, in camelCase there.
    Field(&'static str),
    /// Just this.
    Wire(&'static str),
}

impl Name {
    /// Whether it begins like this: most names differ here.
    #[inline]
    fn begins(self, first: Option<&u8>) -> bool {
        let (Self::Field(name) | Self::Wire(name)) = self;
        name.as_bytes().first() == first
    }

    fn is(self, name: &[u8]) -> bool {
        match self {
            Self::Wire(wire) => wire.as_bytes() == name,
            Self::Field(field) => {
                let field = field.as_bytes();
                let mut at = 0;
                for &byte in name {
                    let mut wanted = field.get(at).copied();
                    if wanted == Some(b'_') {
                        at += 1;
                        wanted = field.get(at).map(u8::to_ascii_uppercase);
                    }
                    if wanted != Some(byte) {
                        return false;
                    }
                    at += 1;
                }
                at == field.len()
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(wire) => f.write_str(wire),
            Self::Field(field) => {
                let mut parts = field.split('_');
                f.write_str(parts.next().unwrap_or_default())?;
                for part in parts {
                    let (first, rest) = part.split_at(part.len().min(1));
                    write!(f, "{}{rest}", first.to_ascii_uppercase())?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The place of the next member's name among those that are known. What is not known is kept in `other`, or passed over.
pub(crate) fn next_name<'de, A: MapAccess<'de>>(
    map: &mut A,
    names: &'static [Name],
    mut other: Option<&mut Map<String, Value>>,
) -> Result<Option<usize>, A::Error> {
    loop {
        let keep = other.is_some();
        match map.next_key_seed(Known { names, keep })? {
            None => return Ok(None),
            Some(Found::At(place)) => return Ok(Some(place)),
            Some(Found::Unknown(name)) => match &mut other {
                Some(other) => {
                    other.insert(name, map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            },
        }
    }
}

/// Reads a member's name; an unknown one is kept on request.
struct Known {
    names: &'static [Name],
    keep: bool,
}

enum Found {
    At(usize),
    Unknown(String),
}

impl<'de> DeserializeSeed<'de> for Known {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Known {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Found, E> {
        let bytes = name.as_bytes();
        let first = bytes.first();
        let found = |known: &Name| known.begins(first) && known.is(bytes);
        Ok(match self.names.iter().position(found) {
            Some(place) => Found::At(place),
            None if self.keep => Found::Unknown(name.to_owned()),
            None => Found::Unknown(String::new()),
        })
    }
}

/// Reads a field's value. Null is none.
pub(crate) fn read<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    field: &mut Option<T>,
    is_first: bool,
) -> Result<(), A::Error> {
    fill(field, map.next_value()?, is_first);
    Ok(())
}

/// Keeps a field's value. The Hub sends some facts twice: what stands under the name that comes first in the
/// declaration counts, unless it is null.
pub(crate) fn fill<T>(field: &mut Option<T>, value: Option<T>, is_first: bool) {
    if value.is_some() && (is_first || field.is_none()) {
        *field = value;
    }
}

/// The value of a field that must be there.
pub(crate) fn required<T, E: serde::de::Error>(value: Option<T>, name: Name) -> Result<T, E> {
    value.ok_or_else(|| E::custom(format_args!("missing field `{name}`")))
}

/// Writes a member.
pub(crate) fn always<M: SerializeMap, T: Serialize>(map: &mut M, name: Name, value: &T) -> Result<(), M::Error> {
    map.serialize_entry(&name, value)
}

/// Writes a member that has a value.
pub(crate) fn if_some<M: SerializeMap, T: Serialize>(
    map: &mut M,
    name: Name,
    value: &Option<T>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(&name, value),
        None => Ok(()),
    }
}

/// Writes all members of `other`.
pub(crate) fn all<M: SerializeMap>(map: &mut M, other: &Map<String, Value>) -> Result<(), M::Error> {
    other
        .iter()
        .try_for_each(|(name, value)| map.serialize_entry(name, value))
}

/// Reads a field's value; null is the default. For what serde derives.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a value; what is no such value counts as absent (an empty object for one that was left out).
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(serde_json::from_value(value).ok()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macros declare public types")]

    reply! {
        /// For the test.
        Sample {
            /// Required.
            id: String,
            /// Optional.
            pretty_name?: String,
            /// Two names.
            library_name as "library_name" | "libraryName" ?: String,
            /// A list.
            tags = Vec<String>,
            ..
        }
    }

    open_enum! {
        /// For the test.
        Stage {
            /// Up.
            Running = "RUNNING",
        }
    }

    #[test]
    fn replies_are_lenient() {
        let full: Sample =
            serde_json::from_str(r#"{"id":"a","prettyName":"A","libraryName":"x","tags":["t"],"new":[1]}"#).unwrap();
        assert_eq!(full.pretty_name.as_deref(), Some("A"));
        assert_eq!(full.library_name.as_deref(), Some("x"));
        assert_eq!(full.other["new"], serde_json::json!([1]));
        let nulls: Sample =
            serde_json::from_str(r#"{"id":"a","prettyName":null,"library_name":null,"tags":null}"#).unwrap();
        let bare: Sample = serde_json::from_str(r#"{"id":"a"}"#).unwrap();
        assert_eq!(nulls, bare);
        assert!(serde_json::from_str::<Sample>("{}").is_err());
        // The Hub sends some facts twice.
        for twice in [
            r#"{"id":"a","library_name":"x","libraryName":"y"}"#,
            r#"{"id":"a","library_name":null,"libraryName":"x"}"#,
        ] {
            let twice: Sample = serde_json::from_str(twice).unwrap();
            assert_eq!((twice.library_name.as_deref(), twice.other.len()), (Some("x"), 0));
        }
    }

    #[test]
    fn unknown_words_are_kept() {
        for word in ["RUNNING", "DREAMING"] {
            let stage: Stage = serde_json::from_value(word.into()).unwrap();
            assert_eq!(serde_json::to_value(&stage).unwrap(), word);
        }
        assert_eq!(Stage::from("RUNNING"), Stage::Running);
    }
}
