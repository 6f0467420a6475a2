//! What a call's argument may be given as.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{OneOrMany, ValidationError};

/// A value that can be given where a `T` is wanted: the `T`, text that is parsed into one, or an `Option` of either.
///
/// Every argument and setter of an operation takes `impl Argument<T>`, so `.revision("v1")`, `.revision(revision)` and
/// `.revision(None::<Revision>)` all work. `None` leaves the default.
pub trait Argument<T> {
    /// The value, or `None` where the default is wanted.
    ///
    /// # Errors
    ///
    /// When text was given that is no `T`.
    fn into_argument(self) -> Result<Option<T>, ValidationError>;
}

impl<T, A: Argument<T>> Argument<T> for Option<A> {
    fn into_argument(self) -> Result<Option<T>, ValidationError> {
        self.map_or(Ok(None), Argument::into_argument)
    }
}

/// Lets a type be given as itself; with `from`, also as what it can be made of without fail.
#[macro_export]
macro_rules! argument {
    ($($name:ty $(: from $($from:ty),+)?);+ $(;)?) => {
        $(
            impl $crate::Argument<$name> for $name {
                fn into_argument(self) -> Result<Option<$name>, $crate::ValidationError> {
                    Ok(Some(self))
                }
            }
            $($(
                impl $crate::Argument<$name> for $from {
                    fn into_argument(self) -> Result<Option<$name>, $crate::ValidationError> {
                        Ok(Some(self.into()))
                    }
                }
            )+)?
        )+
    };
}

argument! {
    bool; u16; u32; u64; usize; i32; i64; f64;
    serde_json::Value: from &str, String, u64, f64;
    serde_json::Map<String, serde_json::Value>;
    std::time::Duration;
    String: from &str, &String;
    PathBuf: from &str, &String, String, &Path, &PathBuf;
}

impl<T, I: Into<T>> Argument<OneOrMany<T>> for Vec<I> {
    fn into_argument(self) -> Result<Option<OneOrMany<T>>, ValidationError> {
        Ok(Some(self.into()))
    }
}

impl<T> Argument<Self> for Vec<T> {
    fn into_argument(self) -> Result<Option<Self>, ValidationError> {
        Ok(Some(self))
    }
}

impl<T, const N: usize> Argument<Vec<T>> for [T; N] {
    fn into_argument(self) -> Result<Option<Vec<T>>, ValidationError> {
        Ok(Some(self.into()))
    }
}

impl<T, I: Into<T>, const N: usize> Argument<OneOrMany<T>> for [I; N] {
    fn into_argument(self) -> Result<Option<OneOrMany<T>>, ValidationError> {
        Ok(Some(self.into()))
    }
}

impl<T, I: Into<T> + Clone> Argument<OneOrMany<T>> for &[I] {
    fn into_argument(self) -> Result<Option<OneOrMany<T>>, ValidationError> {
        Ok(Some(self.into()))
    }
}

impl<T> Argument<Self> for OneOrMany<T> {
    fn into_argument(self) -> Result<Option<Self>, ValidationError> {
        Ok(Some(self))
    }
}

impl<K, V> Argument<Self> for BTreeMap<K, V> {
    fn into_argument(self) -> Result<Option<Self>, ValidationError> {
        Ok(Some(self))
    }
}

impl<K: Ord, V, A: Into<K>, B: Into<V>, const N: usize> Argument<BTreeMap<K, V>> for [(A, B); N] {
    fn into_argument(self) -> Result<Option<BTreeMap<K, V>>, ValidationError> {
        Ok(Some(
            self.into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        ))
    }
}

impl Argument<OneOrMany<Self>> for String {
    fn into_argument(self) -> Result<Option<OneOrMany<Self>>, ValidationError> {
        Ok(Some(self.into()))
    }
}

impl Argument<OneOrMany<String>> for &str {
    fn into_argument(self) -> Result<Option<OneOrMany<String>>, ValidationError> {
        Ok(Some(self.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;

    fn take<T>(value: impl Argument<T>) -> Result<Option<T>, ValidationError> {
        value.into_argument()
    }

    #[test]
    fn text_options_and_literals_are_arguments() {
        assert_eq!(take::<Revision>("v1").unwrap().unwrap().as_str(), "v1");
        assert_eq!(take::<Revision>(None::<&str>).unwrap(), None);
        assert!(take::<Revision>("a b").is_err());
        assert_eq!(take::<u64>(10).unwrap(), Some(10));
        assert_eq!(take::<OneOrMany<String>>(["a", "b"]).unwrap(), Some(["a", "b"].into()));
        assert_eq!(take::<OneOrMany<String>>("a").unwrap(), Some("a".into()));
    }
}
