//! How replies are declared: lenient by construction.
//!
//! The real Hub's replies hold more fields than any document says, and miss some. `reply!` makes that the rule: only
//! what is marked as required must be there, null counts as absent, and what is not known is ignored or kept.

/// Declares structs of replies.
///
/// - `name: T` must be there.
/// - `name?: T` is an `Option<T>`; absent and null are `None`.
/// - `name = T` is `T::default()` when absent or null.
///
/// In the Hub's JSON a field has its name in camelCase, unless `as "wireName"` (with further names to accept behind
/// it) stands in front of the type. A last field `..` keeps all unknown fields in `other`.
macro_rules! reply {
    ($($(#[$meta:meta])* $name:ident { $($body:tt)* })+) => {
        $($crate::model::reply! { @fields [$(#[$meta])*] $name [] [] [] $($body)* })+
    };

    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] [$($fields:ident)*] []) => {
        $($meta)*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $name { $($done)* }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] [$($fields:ident)*] [$(($wire:literal $alias:literal))+]) => {
        $($meta)*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $name { $($done)* }

        const _: () = {
            #[derive(serde::Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Wire { $($done)* }

            /// Not generic: it is compiled here and once.
            fn read(mut members: serde_json::Map<String, serde_json::Value>) -> serde_json::Result<$name> {
                $crate::model::give_one_name_each(&mut members, &[$(($wire, $alias)),+]);
                let Wire { $($fields),* } = serde_json::from_value(members.into())?;
                Ok($name { $($fields),* })
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    read(serde::Deserialize::deserialize(deserializer)?).map_err(serde::de::Error::custom)
                }
            }
        };
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] [$($fields:ident)*] [$($names:tt)*] ..) => {
        $crate::model::reply! { @fields [$($meta)*] $name [
            $($done)*
            /// All other fields, as the Hub sent them.
            #[serde(flatten)]
            pub other: serde_json::Map<String, serde_json::Value>,
        ] [$($fields)* other] [$($names)*] }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] [$($fields:ident)*] [$($names:tt)*]
        $(#[$doc:meta])* $field:ident $(as $wire:literal $(| $alias:literal)*)? : $type:ty, $($rest:tt)*) => {
        $crate::model::reply! { @fields [$($meta)*] $name [
            $($done)*
            $(#[$doc])* $(#[serde(rename = $wire)])?
            pub $field: $type,
        ] [$($fields)* $field] [$($names)* $($(($wire $alias))*)?] $($rest)* }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] [$($fields:ident)*] [$($names:tt)*]
        $(#[$doc:meta])* $field:ident $(as $wire:literal $(| $alias:literal)*)? ?: $type:ty, $($rest:tt)*) => {
        $crate::model::reply! { @fields [$($meta)*] $name [
            $($done)*
            $(#[$doc])* $(#[serde(rename = $wire)])?
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,
        ] [$($fields)* $field] [$($names)* $($(($wire $alias))*)?] $($rest)* }
    };
    (@fields [$($meta:tt)*] $name:ident [$($done:tt)*] [$($fields:ident)*] [$($names:tt)*]
        $(#[$doc:meta])* $field:ident $(as $wire:literal $(| $alias:literal)*)? = $type:ty, $($rest:tt)*) => {
        $crate::model::reply! { @fields [$($meta)*] $name [
            $($done)*
            $(#[$doc])* $(#[serde(rename = $wire)])?
            #[serde(default, deserialize_with = "crate::model::null_is_default")]
            pub $field: $type,
        ] [$($fields)* $field] [$($names)* $($(($wire $alias))*)?] $($rest)* }
    };
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

/// Gives each member of a reply the one of its names that we read (the first of a pair), also where the Hub sends more
/// than one of them at a time: the first that has a value counts.
pub(crate) fn give_one_name_each(members: &mut serde_json::Map<String, serde_json::Value>, names: &[(&str, &str)]) {
    for (name, other) in names {
        let Some(value) = members.remove(*other) else { continue };
        if members.get(*name).is_none_or(serde_json::Value::is_null) {
            members.insert((*name).to_owned(), value);
        }
    }
}

/// Reads a field's value; null is the default.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads an optional value; what is no such value counts as absent (an empty object for one that was left out).
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = <serde_json::Value as serde::Deserialize>::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
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
