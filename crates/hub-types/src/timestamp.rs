//! A moment, as the Hub writes it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC, written `2025-11-02T09:15:30.000Z` with any number of fractional digits.
///
/// A thin wrapper around [`jiff::Timestamp`], which `.0` gives, so that its text has the Hub's milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub jiff::Timestamp);

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = crate::ValidationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| crate::ValidationError::new("timestamp", text, "must be like 2025-11-02T09:15:30.000Z"))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(moment: jiff::Timestamp) -> Self {
        Self(moment)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_number_of_digits_and_writes_three() {
        for text in [
            "2025-11-02T09:15:30Z",
            "2025-11-02T09:15:30.1Z",
            "2025-11-02T09:15:30.123456789Z",
        ] {
            let moment: Timestamp = serde_json::from_value(text.into()).unwrap();
            assert!(moment.to_string().starts_with("2025-11-02T09:15:30."), "{moment}");
            assert_eq!(moment.to_string().len(), "2025-11-02T09:15:30.000Z".len());
        }
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
