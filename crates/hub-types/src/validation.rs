//! The one error of this crate: a value that cannot be right, and the rule that it breaks.

use std::convert::Infallible;

/// A value that was refused before anything was sent or written.
///
/// Displayed as `invalid <what> '<value>': <rule>`. Secrets never get in here: a refused [`Token`](crate::Token)
/// carries no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what}{}: {rule}", shown(.value))]
pub struct ValidationError {
    what: &'static str,
    value: Option<Box<str>>,
    rule: Box<str>,
}

impl ValidationError {
    /// An error about `value`, which is no valid `what` (`"repo id"`, `"revision"`) because of `rule`.
    pub fn new(what: &'static str, value: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            what,
            value: Some(value.into().into()),
            rule: rule.into().into(),
        }
    }

    /// An error about a value that must not be shown.
    pub fn secret(what: &'static str, rule: impl Into<String>) -> Self {
        Self {
            what,
            value: None,
            rule: rule.into().into(),
        }
    }

    /// What the value was meant to be: `repo id`, `revision`, `path in repo`.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The refused value, unless it is a secret.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The rule that the value breaks.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl From<Infallible> for ValidationError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A refused value may hold anything: control characters would let it draw on the terminal that shows the error.
fn shown(value: &Option<Box<str>>) -> String {
    match value {
        None => String::new(),
        Some(value) => {
            let clean: String = value
                .chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .take(300)
                .collect();
            format!(" '{clean}'")
        }
    }
}

/// `FromStr`, `Display`, serde and the conversions that arguments need, for a type that wraps a checked string.
///
/// The type has `fn parse(&str) -> Result<Self, ValidationError>` and `fn as_str(&self) -> &str`.
macro_rules! string_type {
    ($name:ident) => {
        impl std::str::FromStr for $name {
            type Err = $crate::ValidationError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::ValidationError;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ValidationError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = $crate::ValidationError;

            fn try_from(text: &String) -> Result<Self, Self::Error> {
                Self::parse(text)
            }
        }

        impl $crate::Argument<$name> for $name {
            fn into_argument(self) -> Result<Option<$name>, $crate::ValidationError> {
                Ok(Some(self))
            }
        }

        impl $crate::Argument<$name> for &$name {
            fn into_argument(self) -> Result<Option<$name>, $crate::ValidationError> {
                Ok(Some(self.clone()))
            }
        }

        impl $crate::Argument<$name> for &str {
            fn into_argument(self) -> Result<Option<$name>, $crate::ValidationError> {
                $name::parse(self).map(Some)
            }
        }

        impl $crate::Argument<$name> for String {
            fn into_argument(self) -> Result<Option<$name>, $crate::ValidationError> {
                $name::parse(&self).map(Some)
            }
        }

        impl $crate::Argument<$name> for &String {
            fn into_argument(self) -> Result<Option<$name>, $crate::ValidationError> {
                $name::parse(self).map(Some)
            }
        }

        impl From<&$name> for $name {
            fn from(value: &$name) -> Self {
                value.clone()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use string_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_value_and_the_rule() {
        let err = ValidationError::new("repo id", "a\u{1b}[31m", "use letters");
        assert_eq!(err.to_string(), "invalid repo id 'a\u{fffd}[31m': use letters");
        assert_eq!(
            ValidationError::secret("token", "is empty").to_string(),
            "invalid token: is empty"
        );
    }
}
