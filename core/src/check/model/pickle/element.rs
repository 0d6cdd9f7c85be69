//! The types of storages, by their names in a pickle.

/// The bytes of one element of a storage type. The names are those of `torch/storage.py` and of
/// `c10/core/ScalarType.h`; types of less than a byte are stored one a byte or packed by their
/// own type, and count in bytes.
pub(super) fn element(name: &str) -> Option<u8> {
    let name = name.strip_suffix("Storage")?;
    if name.starts_with("Float8_") || name.starts_with("Float4_") {
        return Some(1);
    }
    Some(match name {
        "Double" | "Long" | "ComplexFloat" | "UInt64" => 8,
        "Float" | "Int" | "QInt32" | "UInt32" | "ComplexHalf" => 4,
        "Half" | "BFloat16" | "Short" | "UInt16" | "Bits16" => 2,
        "Char" | "Byte" | "Bool" | "QInt8" | "QUInt8" | "Untyped" => 1,
        "QUInt4x2" | "QUInt2x4" | "Bits8" | "Bits4x2" | "Bits2x4" | "Bits1x8" => 1,
        "Int1" | "Int2" | "Int3" | "Int4" | "Int5" | "Int6" | "Int7" => 1,
        "UInt1" | "UInt2" | "UInt3" | "UInt4" | "UInt5" | "UInt6" | "UInt7" => 1,
        "ComplexDouble" => 16,
        _ => return None,
    })
}
