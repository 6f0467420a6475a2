//! The header of a GGUF file: what a quantised model says of itself.
//!
//! The format is that of the ggml project (`docs/gguf.md` there), versions 1 to 3, of either byte order. A header comes
//! from a file that others made: no length in it is believed before the bytes are there.

use std::collections::BTreeMap;

use crate::ValidationError;

/// How deeply arrays may lie in arrays.
const DEEPEST: usize = 4;
/// A tensor has at most so many dimensions.
const MOST_DIMENSIONS: u32 = 8;
const DEFAULT_ALIGNMENT: u64 = 32;

/// A value of a header.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GgufValue {
    /// A whole number without a sign.
    Unsigned(u64),
    /// A whole number with a sign.
    Signed(i64),
    /// A number with a fraction.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// Text. What is not UTF-8 in it is replaced.
    Text(String),
    /// Several of one kind.
    Array(Vec<Self>),
    /// An array that was passed over, by how many elements it has.
    LongArray(u64),
}

impl GgufValue {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// A tensor of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GgufTensor {
    /// Its name.
    pub name: String,
    /// Its dimensions, the innermost first.
    pub dimensions: Vec<u64>,
    /// The number of its type, as ggml has it.
    pub type_id: u32,
    /// Where it begins, in bytes from the start of the data.
    pub offset: u64,
}

impl GgufTensor {
    /// The name of its type, such as `Q4_K`; `None` for one that this version does not know.
    pub fn type_name(&self) -> Option<&'static str> {
        type_name(self.type_id)
    }

    /// How many parameters it holds; at most what a number can be.
    pub fn parameters(&self) -> u64 {
        self.dimensions
            .iter()
            .fold(1, |all, length| all.saturating_mul(*length))
    }
}

/// The names of the types of tensors, by their numbers.
fn type_name(id: u32) -> Option<&'static str> {
    Some(match id {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return None,
    })
}

/// The header of a GGUF file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GgufMetadata {
    /// The version of the format, 1 to 3.
    pub version: u32,
    /// Whether its numbers have their highest byte first.
    pub big_endian: bool,
    /// What the model says of itself, by keys like `general.architecture`.
    pub metadata: BTreeMap<String, GgufValue>,
    /// The tensors, in the file's order.
    pub tensors: Vec<GgufTensor>,
    /// Where the tensors' data begins, in bytes from the file's start.
    pub data_offset: u64,
}

impl GgufMetadata {
    /// `general.architecture`, such as `llama`.
    pub fn architecture(&self) -> Option<&str> {
        self.metadata.get("general.architecture")?.as_str()
    }

    /// How many parameters all tensors hold.
    pub fn parameters(&self) -> u64 {
        self.tensors
            .iter()
            .fold(0, |all, tensor| all.saturating_add(tensor.parameters()))
    }

    /// Reads a header from a file's first bytes. Arrays of more than `longest_array` elements, as tokenizers have them,
    /// are passed over.
    ///
    /// # Errors
    ///
    /// [`GgufError::Incomplete`] when the header goes on behind these bytes; [`GgufError::Invalid`] for what is no GGUF
    /// file.
    pub fn parse(bytes: &[u8], longest_array: u64) -> Result<Self, GgufError> {
        if bytes.len() >= 4 && &bytes[..4] != b"GGUF" {
            return Err(invalid("its first four bytes", "must be 'GGUF'"));
        }
        let mut input = Input {
            bytes,
            at: 4.min(bytes.len()),
            big_endian: false,
            short: false,
            longest_array,
        };
        let mut version = input.u32()?;
        if version & 0xffff == 0 {
            // The version is a small number: seen from the wrong end, it is a large one.
            version = version.swap_bytes();
            input.big_endian = true;
        }
        if !(1..=3).contains(&version) {
            return Err(invalid(&format!("version {version}"), "must be 1, 2 or 3"));
        }
        // Version 1 has lengths of four bytes.
        input.short = version == 1;
        let (tensor_count, pair_count) = (input.length()?, input.length()?);
        let mut metadata = BTreeMap::new();
        for _ in 0..pair_count {
            let key = input.text()?;
            let kind = input.u32()?;
            let value = input.value(kind, 0)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(invalid(&format!("the key '{key}'"), "must stand once"));
            }
        }
        let mut tensors = Vec::new();
        for _ in 0..tensor_count {
            let name = input.text()?;
            let count = input.u32()?;
            if count > MOST_DIMENSIONS {
                let what = format!("the tensor '{name}' of {count} dimensions");
                return Err(invalid(&what, "must have at most 8"));
            }
            let mut dimensions = Vec::new();
            for _ in 0..count {
                dimensions.push(input.length()?);
            }
            tensors.push(GgufTensor {
                name,
                dimensions,
                type_id: input.u32()?,
                offset: input.u64()?,
            });
        }
        let alignment = metadata
            .get("general.alignment")
            .map_or(Some(DEFAULT_ALIGNMENT), GgufValue::as_u64)
            .filter(|alignment| alignment.is_power_of_two())
            .ok_or_else(|| invalid("general.alignment", "must be a power of two"))?;
        Ok(Self {
            version,
            big_endian: input.big_endian,
            metadata,
            tensors,
            data_offset: (input.at as u64).next_multiple_of(alignment),
        })
    }
}

/// Why a header could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// It goes on behind the bytes that are there.
    #[error("the header goes on: at least {needed} bytes are needed")]
    Incomplete {
        /// How many bytes are needed at the least, from the file's start.
        needed: u64,
    },
    /// It is no header of a GGUF file.
    #[error(transparent)]
    Invalid(#[from] ValidationError),
}

fn invalid(what: &str, rule: &'static str) -> GgufError {
    ValidationError::new("GGUF header", what, rule).into()
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
    short: bool,
    longest_array: u64,
}

impl<'a> Input<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], GgufError> {
        let needed = (self.at as u64).saturating_add(length);
        let end = usize::try_from(needed).ok().filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(GgufError::Incomplete { needed })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64)?);
        if self.big_endian {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn length(&mut self) -> Result<u64, GgufError> {
        if self.short {
            self.u32().map(u64::from)
        } else {
            self.u64()
        }
    }

    fn text(&mut self) -> Result<String, GgufError> {
        let length = self.length()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<GgufValue, GgufError> {
        Ok(match kind {
            0 => GgufValue::Unsigned(self.array::<1>()?[0].into()),
            1 => GgufValue::Signed(i8::from_le_bytes(self.array()?).into()),
            2 => GgufValue::Unsigned(u16::from_le_bytes(self.array()?).into()),
            3 => GgufValue::Signed(i16::from_le_bytes(self.array()?).into()),
            4 => GgufValue::Unsigned(self.u32()?.into()),
            5 => GgufValue::Signed(i32::from_le_bytes(self.array()?).into()),
            6 => GgufValue::Float(f32::from_le_bytes(self.array()?).into()),
            7 => match self.array::<1>()? {
                [0] => GgufValue::Bool(false),
                [1] => GgufValue::Bool(true),
                [other] => return Err(invalid(&format!("the boolean {other}"), "must be 0 or 1")),
            },
            8 => GgufValue::Text(self.text()?),
            9 => {
                let kind = self.u32()?;
                let count = self.length()?;
                if depth >= DEEPEST {
                    return Err(invalid("an array", "must not lie in more than four others"));
                }
                let keeps = count <= self.longest_array;
                let mut values = Vec::new();
                for _ in 0..count {
                    // Each element takes a byte at the least, so that this ends with the bytes.
                    let value = self.value(kind, depth + 1)?;
                    if keeps {
                        values.push(value);
                    }
                }
                match keeps {
                    true => GgufValue::Array(values),
                    false => GgufValue::LongArray(count),
                }
            }
            10 => GgufValue::Unsigned(self.u64()?),
            11 => GgufValue::Signed(i64::from_le_bytes(self.array()?)),
            12 => GgufValue::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(invalid(&format!("the value type {other}"), "must be 0 to 12")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a header as the format says it.
    struct Output {
        bytes: Vec<u8>,
        version: u32,
        big: bool,
    }

    impl Output {
        fn put(&mut self, mut bytes: Vec<u8>) {
            if self.big {
                bytes.reverse();
            }
            self.bytes.append(&mut bytes);
        }

        fn u32(&mut self, number: u32) {
            self.put(number.to_le_bytes().to_vec());
        }

        fn u64(&mut self, number: u64) {
            self.put(number.to_le_bytes().to_vec());
        }

        fn length(&mut self, number: u64) {
            match self.version {
                1 => self.u32(number as u32),
                _ => self.u64(number),
            }
        }

        fn text(&mut self, text: &str) {
            self.length(text.len() as u64);
            self.bytes.extend_from_slice(text.as_bytes());
        }
    }

    fn header(version: u32, big: bool) -> Vec<u8> {
        let mut out = Output {
            bytes: b"GGUF".to_vec(),
            version,
            big,
        };
        out.u32(version);
        out.length(1);
        out.length(4);
        out.text("general.architecture");
        out.u32(8);
        out.text("llama");
        out.text("llama.context_length");
        out.u32(4);
        out.u32(4096);
        out.text("tokenizer.tokens");
        out.u32(9);
        out.u32(8);
        out.length(3);
        for token in ["a", "b", "ü"] {
            out.text(token);
        }
        out.text("general.scale");
        out.u32(6);
        out.put(0.5_f32.to_le_bytes().to_vec());
        out.text("output.weight");
        out.u32(2);
        out.length(4096);
        out.length(32000);
        out.u32(12);
        out.u64(64);
        out.bytes
    }

    #[test]
    fn every_version_is_read_in_either_byte_order() {
        for (version, big) in [(1, false), (2, false), (3, false), (3, true)] {
            let bytes = header(version, big);
            let found = GgufMetadata::parse(&bytes, 100).unwrap();
            assert_eq!((found.version, found.big_endian), (version, big));
            assert_eq!(found.architecture(), Some("llama"));
            assert_eq!(found.metadata["llama.context_length"].as_u64(), Some(4096));
            assert_eq!(found.metadata["general.scale"], GgufValue::Float(0.5));
            let tokens = ["a", "b", "ü"].map(|token| GgufValue::Text(token.to_owned()));
            assert_eq!(found.metadata["tokenizer.tokens"], GgufValue::Array(tokens.to_vec()));
            let tensor = &found.tensors[0];
            assert_eq!((tensor.type_name(), tensor.offset), (Some("Q4_K"), 64));
            assert_eq!(found.parameters(), 4096 * 32000);
            assert_eq!(found.data_offset % 32, 0);
            assert!(found.data_offset >= bytes.len() as u64);
        }
    }

    #[test]
    fn long_arrays_are_passed_over() {
        let found = GgufMetadata::parse(&header(3, false), 2).unwrap();
        assert_eq!(found.metadata["tokenizer.tokens"], GgufValue::LongArray(3));
        assert_eq!(found.tensors.len(), 1);
    }

    #[test]
    fn a_header_cut_anywhere_asks_for_more() {
        let bytes = header(3, false);
        for cut in 0..bytes.len() {
            match GgufMetadata::parse(&bytes[..cut], 100) {
                Err(GgufError::Incomplete { needed }) => assert!(needed > cut as u64, "{cut}"),
                other => panic!("{cut}: {other:?}"),
            }
        }
    }

    #[test]
    fn lengths_that_lie_take_no_memory() {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend_from_slice(&3_u32.to_le_bytes());
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        let found = GgufMetadata::parse(&bytes, u64::MAX);
        assert_eq!(found, Err(GgufError::Incomplete { needed: u64::MAX }));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in [&b"PK\x03\x04...."[..], b"GGUF\x09\0\0\0\0\0\0\0"] {
            assert!(
                matches!(GgufMetadata::parse(bad, 1), Err(GgufError::Invalid(_))),
                "{bad:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut all = b"GGUF\x03\0\0\0".to_vec();
            all.extend_from_slice(&bytes);
            let _ = GgufMetadata::parse(&all, 10);
        }
    }
}
