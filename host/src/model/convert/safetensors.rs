//! The head of a safetensors file: which tensors there are, of what shape, where.
//!
//! Eight bytes give the length of a JSON object, which names each tensor's type,
//! shape and place in what follows. Nothing of it is believed: every number is
//! checked against the file's real size before anything is allocated or read.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use serde::Deserialize;

/// Longest head that is read; that of a model with ten thousand tensors has one.
pub const MAX_HEADER_BYTES: u64 = 2 << 20;
/// No model has more dimensions in a tensor.
const MAX_DIMENSIONS: usize = 8;
/// Longest name of a tensor; llama.cpp allows its own 63.
const MAX_NAME_BYTES: usize = 256;
/// Longest piece of the parser's words in a message: they repeat what it met.
const MAX_DETAIL: usize = 200;
/// Bytes before the JSON text.
const LENGTH_BYTES: u64 = 8;
/// What the JSON text may hold besides tensors.
const METADATA: &str = "__metadata__";

/// A head that is not believed.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    #[error("it has {0} bytes, and the length of its head alone takes {LENGTH_BYTES}")]
    TooShort(u64),
    #[error(
        "its head is said to have {said} bytes, of {left} that follow and {MAX_HEADER_BYTES} allowed"
    )]
    Length { said: u64, left: u64 },
    #[error("its head is no table of tensors: {0}")]
    Syntax(String),
    #[error("tensor {name:?} {what}")]
    Tensor { name: String, what: String },
    #[error("its tensors take {taken} of the {left} bytes behind the head")]
    Rest { taken: u64, left: u64 },
}

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Kind {
    fn bytes(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// One tensor, checked: its place is inside the file and as long as its shape says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    pub kind: Kind,
    /// The slowest dimension first.
    pub shape: Vec<u64>,
    /// From the beginning of the file.
    pub place: Range<u64>,
}

/// All tensors by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    pub tensors: BTreeMap<String, Tensor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor {
    dtype: Kind,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Header {
    /// Reads and checks the head of a file.
    ///
    /// # Errors
    /// [`HeaderError`], for any file that is not whole.
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, HeaderError> {
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let left = size.checked_sub(LENGTH_BYTES).ok_or(HeaderError::TooShort(size))?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let said = u64::from_le_bytes(length);
        if said > left || said > MAX_HEADER_BYTES {
            return Err(HeaderError::Length { said, left });
        }
        let mut text = Vec::new();
        file.take(said).read_to_end(&mut text)?;
        if text.len() as u64 != said {
            return Err(HeaderError::Length { said, left: text.len() as u64 });
        }
        Self::parse(&text, LENGTH_BYTES + said, left - said)
    }

    /// `data` bytes from `begin` on are the tensors'.
    fn parse(text: &[u8], begin: u64, data: u64) -> Result<Self, HeaderError> {
        let detail =
            |error: serde_json::Error| error.to_string().chars().take(MAX_DETAIL).collect();
        let syntax = |error| HeaderError::Syntax(detail(error));
        let raw: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(text).map_err(syntax)?;
        let mut tensors = BTreeMap::new();
        for (name, value) in raw {
            if name == METADATA {
                continue;
            }
            if name.len() > MAX_NAME_BYTES {
                let what = format!("a tensor's name has {} bytes", name.len());
                return Err(HeaderError::Syntax(what));
            }
            let refused = |what: String| HeaderError::Tensor { name: name.clone(), what };
            let tensor = RawTensor::deserialize(value)
                .map_err(|error| {
                    let detail: String = detail(error);
                    refused(format!("is described by no tensor's keys: {detail}"))
                })
                .and_then(|raw| checked(raw, begin, data).map_err(refused))?;
            tensors.insert(name, tensor);
        }
        covers(&tensors, begin, data)?;
        Ok(Self { tensors })
    }
}

fn checked(raw: RawTensor, begin: u64, data: u64) -> Result<Tensor, String> {
    let (from, to) = raw.data_offsets;
    if from > to || to > data {
        return Err(format!("lies at {from} to {to} of {data} bytes"));
    }
    if raw.shape.len() > MAX_DIMENSIONS {
        return Err(format!("has {} dimensions, at most {MAX_DIMENSIONS} are", raw.shape.len()));
    }
    let bytes =
        raw.shape.iter().try_fold(raw.dtype.bytes(), |bytes, length| bytes.checked_mul(*length));
    if bytes != Some(to - from) {
        return Err(format!("has {} bytes, which its shape {:?} does not", to - from, raw.shape));
    }
    // Cannot overflow: both are within the file.
    Ok(Tensor { kind: raw.dtype, shape: raw.shape, place: begin + from..begin + to })
}

/// Tensors lie one behind the other, without gaps, to the end: of two that share
/// bytes, or of bytes that are nobody's, one would be something else than it says.
fn covers(tensors: &BTreeMap<String, Tensor>, begin: u64, data: u64) -> Result<(), HeaderError> {
    let mut places: Vec<(&Range<u64>, &String)> =
        tensors.iter().map(|(name, tensor)| (&tensor.place, name)).collect();
    places.sort_by_key(|(place, name)| (place.start, place.end, *name));
    let mut end = begin;
    for (place, name) in places {
        if place.start != end {
            let what = format!("begins at {}, where {end} was due", place.start);
            return Err(HeaderError::Tensor { name: name.clone(), what });
        }
        end = place.end;
    }
    if end - begin == data {
        Ok(())
    } else {
        Err(HeaderError::Rest { taken: end - begin, left: data })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn file(head: &str, data: usize) -> Vec<u8> {
        let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
        bytes.extend(head.as_bytes());
        bytes.extend(vec![0; data]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
        Header::read(&mut Cursor::new(bytes))
    }

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;

    #[test]
    fn tensors_are_found_with_shape_and_place() {
        let header = read(&file(TWO, 32)).unwrap();
        let begin = 8 + TWO.len() as u64;
        let b = &header.tensors["b"];
        assert_eq!((b.kind, b.shape.as_slice()), (Kind::F32, [2, 3].as_slice()));
        assert_eq!(b.place, begin + 8..begin + 32);
        assert_eq!(header.tensors.len(), 2);
        // A number without dimensions, and a tensor without numbers.
        let odd = r#"{"e":{"dtype":"U8","shape":[0,5],"data_offsets":[1,1]},"s":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#;
        assert_eq!(read(&file(odd, 1)).unwrap().tensors.len(), 2);
    }

    #[test]
    fn each_damage_is_told() {
        let one = |shape: &str, from: u64, to: u64| {
            format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
        };
        let cases = [
            (b"short".to_vec(), "it has 5 bytes"),
            (u64::MAX.to_le_bytes().to_vec(), "18446744073709551615 bytes"),
            ([3_u64.to_le_bytes().as_slice(), b"{}"].concat(), "of 2 that follow"),
            (file("[]", 0), "no table of tensors"),
            (file("{\"a\":1}", 0), "\"a\" is described by no tensor's keys"),
            (file(&TWO.replace("F32", "F31"), 32), "F31"),
            (file(&TWO.replace("\"shape\":[1]", "\"shape\":[1],\"x\":1"), 32), "unknown field `x`"),
            (file(TWO, 31), "lies at 8 to 32 of 31"),
            (file(TWO, 33), "take 32 of the 33"),
            (file(&one("[1]", 4, 0), 4), "lies at 4 to 0"),
            (file(&one("[2]", 0, 4), 4), "which its shape [2] does not"),
            (file(&one("[4294967296,4294967296]", 0, 4), 4), "does not"),
            (file(&one("[1,1,1,1,1,1,1,1,1]", 0, 4), 4), "9 dimensions"),
            (file(&one("[1]", 4, 8), 8), "begins at"),
            (file(&one("[-1]", 0, 4), 4), "is described by"),
            (file(&TWO.replace("\"a\"", &format!("\"{}\"", "a".repeat(300))), 32), "300 bytes"),
        ];
        for (bytes, reason) in cases {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} / {reason}");
        }
    }

    proptest! {
        /// No bytes make it panic, and what is accepted lies inside the file.
        #[test]
        fn a_damaged_head_is_refused_or_harmless(
            at in 0_usize..200,
            byte in any::<u8>(),
            cut in 0_usize..220,
        ) {
            let mut bytes = file(TWO, 32);
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
            bytes.truncate(cut.max(1));
            if let Ok(header) = read(&bytes) {
                for tensor in header.tensors.values() {
                    prop_assert!(tensor.place.end <= bytes.len() as u64);
                }
            }
        }
    }
}
