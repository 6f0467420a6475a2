//! What the headers of safetensors files say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorInfo {
    /// The kind of its numbers: `F32`, `BF16` and the like.
    pub dtype: String,
    /// Its dimensions.
    pub shape: Vec<u64>,
    /// Where its bytes begin and end, counted from the header's end.
    pub data_offsets: (u64, u64),
}

impl TensorInfo {
    /// How many numbers it has; 1 for a scalar.
    pub fn parameter_count(&self) -> u64 {
        self.shape
            .iter()
            .fold(1, |count, dimension| count.saturating_mul(*dimension))
    }
}

/// The header of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SafetensorsFileMetadata {
    /// Free text under free names; `format` is usual.
    pub metadata: BTreeMap<String, String>,
    /// The tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
    /// How many numbers there are of each kind.
    pub parameter_count: BTreeMap<String, u64>,
}

impl SafetensorsFileMetadata {
    /// Reads a header: a JSON object, bytes that are no UTF-8 ignored.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub fn parse(header: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(header).replace('\u{fffd}', "");
        let Members(members) =
            serde_json::from_str(&text).map_err(|err| format!("the header is no JSON object: {err}"))?;
        let mut metadata = BTreeMap::new();
        let mut tensors = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (name, value) in members {
            // Readers differ in which of the two they take.
            if !names.insert(name.clone()) {
                return Err(format!("the header has '{name}' twice"));
            }
            if name == "__metadata__" {
                metadata =
                    serde_json::from_value(value).map_err(|err| format!("'__metadata__' is no map of text: {err}"))?;
            } else {
                let tensor: TensorInfo =
                    serde_json::from_value(value).map_err(|err| format!("tensor '{name}' is incomplete: {err}"))?;
                if tensor.data_offsets.0 > tensor.data_offsets.1 {
                    return Err(format!("tensor '{name}' ends before its start"));
                }
                tensors.insert(name, tensor);
            }
        }
        let parameter_count = count(tensors.values());
        Ok(Self {
            metadata,
            tensors,
            parameter_count,
        })
    }
}

/// An object's members in order, one that is there twice included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The headers of all safetensors files of a repository.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SafetensorsRepoMetadata {
    /// What the index says of itself; nothing where there is no index.
    pub metadata: Option<Value>,
    /// Whether the tensors are spread over files by an index.
    pub sharded: bool,
    /// The file of each tensor.
    pub weight_map: BTreeMap<String, String>,
    /// The headers by file.
    pub files_metadata: BTreeMap<String, SafetensorsFileMetadata>,
    /// How many numbers there are of each kind.
    pub parameter_count: BTreeMap<String, u64>,
}

impl SafetensorsRepoMetadata {
    /// What the headers of files say together.
    pub fn new(
        metadata: Option<Value>,
        sharded: bool,
        weight_map: BTreeMap<String, String>,
        files_metadata: BTreeMap<String, SafetensorsFileMetadata>,
    ) -> Self {
        let parameter_count = count(files_metadata.values().flat_map(|file| file.tensors.values()));
        Self {
            metadata,
            sharded,
            weight_map,
            files_metadata,
            parameter_count,
        }
    }
}

fn count<'a>(tensors: impl Iterator<Item = &'a TensorInfo>) -> BTreeMap<String, u64> {
    let mut count: BTreeMap<String, u64> = BTreeMap::new();
    for tensor in tensors {
        let of_kind = count.entry(tensor.dtype.clone()).or_default();
        *of_kind = of_kind.saturating_add(tensor.parameter_count());
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_counted() {
        let header = br#"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
            "s":{"dtype":"F32","shape":[],"data_offsets":[24,28]}}"#;
        let file = SafetensorsFileMetadata::parse(header).unwrap();
        assert_eq!(file.parameter_count, BTreeMap::from([("F32".to_owned(), 7)]));
        assert_eq!(file.metadata["format"], "pt");
        assert!(SafetensorsFileMetadata::parse(b"[]").is_err());
        assert!(
            SafetensorsFileMetadata::parse(br#"{"w":{"dtype":"F32"}}"#)
                .unwrap_err()
                .contains("'w'")
        );
        let twice = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}}"#;
        assert!(SafetensorsFileMetadata::parse(twice).unwrap_err().contains("'w' twice"));
        let backwards = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#;
        assert!(SafetensorsFileMetadata::parse(backwards).unwrap_err().contains("'w'"));
        let huge = TensorInfo {
            dtype: "F8".into(),
            shape: vec![u64::MAX, 2],
            data_offsets: (0, 0),
        };
        assert_eq!(huge.parameter_count(), u64::MAX);
    }
}
