//! The blocks that tensors of each type consist of, from `ggml.h` and `ggml-common.h`.

/// What is known of a tensor type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// So many elements lie in so many bytes.
    Of(u64, u64),
    /// No file has it: it was taken back, is never stored, or is far from every number in use.
    None,
    /// It may be younger than this table.
    Newer,
}

/// The first number that is not in use yet, and one that will not be for long.
const NEWER: std::ops::Range<u32> = 42..64;

/// The block of the tensor type.
pub(super) fn block(kind: u32) -> Block {
    let (elements, bytes) = match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        39 => (32, 17),
        40 => (64, 36),
        41 => (128, 18),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        kind if NEWER.contains(&kind) => return Block::Newer,
        // 4 and 5 (Q4_2, Q4_3), 31 to 33 and 36 to 38 (repacked) were taken back; 9 (Q8_1) is for
        // sums on the way and never stored.
        _ => return Block::None,
    };
    Block::Of(elements, bytes)
}
