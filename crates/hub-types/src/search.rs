//! Values of the `search` area: what listings are filtered by.

use serde::{Deserialize, Deserializer};

use crate::{Argument, ValidationError};

/// Which benchmark a dataset belongs to: a name, or `true` for the official ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Benchmark(String);

impl Benchmark {
    /// The official benchmarks.
    pub fn official() -> Self {
        Self("official".to_owned())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Argument<Self> for Benchmark {
    fn into_argument(self) -> Result<Option<Self>, ValidationError> {
        Ok(Some(self))
    }
}

impl Argument<Benchmark> for &str {
    fn into_argument(self) -> Result<Option<Benchmark>, ValidationError> {
        Ok(Some(Benchmark(self.to_owned())))
    }
}

impl Argument<Benchmark> for bool {
    fn into_argument(self) -> Result<Option<Benchmark>, ValidationError> {
        Ok(self.then(Benchmark::official))
    }
}

impl<'de> Deserialize<'de> for Benchmark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Flag(bool),
            Name(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Flag(true) => Ok(Self::official()),
            Either::Flag(false) => Err(serde::de::Error::custom("must be a name or true")),
            Either::Name(name) => Ok(Self(name)),
        }
    }
}

/// Bounds of a model's emissions in grams of CO2 equivalent, as its card states them; both count as inside.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(from = "(Option<f64>, Option<f64>)")]
pub struct EmissionsThresholds {
    /// The least; no bound if absent.
    pub min: Option<f64>,
    /// The most; no bound if absent.
    pub max: Option<f64>,
}

impl EmissionsThresholds {
    /// Whether a card's metadata state emissions within the bounds. A card that states none does not.
    ///
    /// As the Python client: the value is `co2_eq_emissions`, or its `emissions` if it is a mapping, and of a text the
    /// first number in it.
    pub fn contain(&self, card_data: &serde_json::Value) -> bool {
        let stated = &card_data["co2_eq_emissions"];
        let stated = if stated.is_object() {
            &stated["emissions"]
        } else {
            stated
        };
        let grams = match stated {
            serde_json::Value::Number(number) => number.as_f64().filter(|grams| *grams != 0.0),
            serde_json::Value::String(text) => first_number(text),
            _ => None,
        };
        grams.is_some_and(|grams| self.min.is_none_or(|min| min <= grams) && self.max.is_none_or(|max| grams <= max))
    }
}

/// The first run of digits, with its fraction if it has one.
fn first_number(text: &str) -> Option<f64> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = &text[start..];
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(rest);
    if rest[end..].starts_with('.') {
        let fraction = digits(&rest[end + 1..]);
        if fraction > 0 {
            end += 1 + fraction;
        }
    }
    rest[..end].parse().ok()
}

impl From<(Option<f64>, Option<f64>)> for EmissionsThresholds {
    fn from((min, max): (Option<f64>, Option<f64>)) -> Self {
        Self { min, max }
    }
}

impl From<(f64, f64)> for EmissionsThresholds {
    fn from((min, max): (f64, f64)) -> Self {
        Self {
            min: Some(min),
            max: Some(max),
        }
    }
}

crate::argument!(EmissionsThresholds: from (f64, f64), (Option<f64>, Option<f64>));

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn emissions_are_read_as_the_python_client_reads_them() {
        let bounds: EmissionsThresholds = serde_json::from_value(json!([10, null])).unwrap();
        for (card, inside) in [
            (json!({"co2_eq_emissions": 10}), true),
            (json!({"co2_eq_emissions": 9.99}), false),
            (json!({"co2_eq_emissions": {"emissions": "about 12.5 g"}}), true),
            (json!({"co2_eq_emissions": "1.25"}), false),
            (json!({"co2_eq_emissions": "7. and 80"}), false),
            (json!({"co2_eq_emissions": 0}), false),
            (json!({"co2_eq_emissions": "none"}), false),
            (json!({}), false),
            (json!(null), false),
        ] {
            assert_eq!(bounds.contain(&card), inside, "{card}");
        }
        assert!(!EmissionsThresholds::from((1.0, 5.0)).contain(&json!({"co2_eq_emissions": 6})));
    }

    #[test]
    fn a_benchmark_is_true_or_a_name() {
        assert_eq!(
            serde_json::from_value::<Benchmark>(json!(true)).unwrap(),
            Benchmark::official()
        );
        assert_eq!(serde_json::from_value::<Benchmark>(json!("x")).unwrap().as_str(), "x");
        assert!(serde_json::from_value::<Benchmark>(json!(false)).is_err());
    }
}
