//! The JSON header: metadata, and for every tensor its type, shape and place.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};
use std::fmt;

/// What is kept of a header: a few numbers a tensor.
pub(super) struct Header {
    /// Half a sha256 of each name: enough to see one twice, and of constant size.
    pub(super) names: Vec<[u8; 16]>,
    /// Where each tensor's bytes begin and end.
    pub(super) spans: Vec<(u64, u64)>,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: Dtype,
    shape: Elements,
    data_offsets: (u64, u64),
}

impl Tensor {
    fn span(&self) -> Result<(u64, u64), String> {
        let (from, to) = self.data_offsets;
        let size = to.checked_sub(from).ok_or("offsets run backwards")?;
        let count = self.shape.0.ok_or("the shape is too large")?;
        match count.checked_mul(self.dtype.0) {
            Some(need) if need % 8 == 0 && need / 8 == size => Ok((from, to)),
            _ => Err(format!(
                "a shape of {count} elements of {} bits does not fit {size} bytes",
                self.dtype.0
            )),
        }
    }
}

/// The bits of one element.
struct Dtype(u64);

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = || D::Error::custom(format!("dtype {:.40?} does not exist", name));
        bits(&name).map(Dtype).ok_or_else(unknown)
    }
}

fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 8,
        "F8_E5M2FNUZ" | "F8_E4M3FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// How many elements a shape has; none where that is no number of 64 bits.
struct Elements(Option<u64>);

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of sizes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sizes: A) -> Result<Elements, A::Error> {
                let mut count = Some(1_u64);
                while let Some(size) = sizes.next_element::<u64>()? {
                    count = count.and_then(|count| count.checked_mul(size));
                }
                Ok(Elements(count))
            }
        }
        deserializer.deserialize_seq(Shape)
    }
}

/// Metadata: a map of texts, of which nothing is kept.
struct Texts;

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                while map.next_entry::<Text, Text>()?.is_some() {}
                Ok(Texts)
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// A text that is not kept.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, _: &str) -> Result<Text, E> {
                Ok(Text)
            }
        }
        deserializer.deserialize_str(Any)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Tensors)
    }
}

struct Tensors;

impl<'de> Visitor<'de> for Tensors {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let (mut names, mut spans) = (Vec::new(), Vec::new());
        while let Some(name) = map.next_key::<String>()? {
            let mut half = [0; 16];
            half.copy_from_slice(&Sha256::digest(name.as_bytes())[..16]);
            names.push(half);
            if name == "__metadata__" {
                map.next_value::<Option<Texts>>()?;
                continue;
            }
            let tensor: Tensor = map.next_value()?;
            spans.push(
                tensor
                    .span()
                    .map_err(|why| A::Error::custom(format!("{name:.80}: {why}")))?,
            );
        }
        Ok(Header { names, spans })
    }
}
