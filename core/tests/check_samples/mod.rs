//! Small models built byte by byte, so that each test knows what it breaks.
#![allow(
    dead_code,
    unused_imports,
    reason = "every test file uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod archive;
mod dead_mount;
mod folder;

pub(crate) use archive::{TorchZip, torch_zip};
pub(crate) use dead_mount::DeadMount;
pub(crate) use folder::{
    Folder, check_model, codes, fine, forget_peak_memory, only, peak_memory_kb, sha256,
};

use std::io::{Read, Write};
use std::ops::Range;

/// A file of an archive: name, content, whether it is deflated.
type Entry<'a> = (&'a str, &'a [u8], bool);

/// What `torch.jit.save` writes, in small.
pub(crate) fn torchscript() -> Vec<u8> {
    let code = b"class Module(Module):\n  def forward(self, x):\n    return x\n".repeat(3);
    zip(&[
        ("m/data.pkl", b"\x80\x02ctorch\nModule\n.", false),
        ("m/code/__torch__.py", &code, true),
        ("m/constants.pkl", b"\x80\x02).", false),
        ("m/data/0", &[0x3f; 64], false),
        ("m/version", b"3\n", false),
        ("m/byteorder", b"little", false),
    ])
}

/// What `torch.save` writes, in small.
pub(crate) fn torch_save() -> Vec<u8> {
    zip(&[
        ("w/data.pkl", b"\x80\x02}.", false),
        ("w/data/0", &[0x40; 32], false),
        ("w/version", b"3\n", false),
    ])
}

/// A zip archive of these files.
pub(crate) fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, plain, deflate) in entries {
        let stored = if *deflate {
            deflated(plain)
        } else {
            plain.to_vec()
        };
        let offset = u32::try_from(out.len()).unwrap();
        let mut header = Vec::new();
        push(&mut header, &[20, 0, u16::from(*deflate) * 8, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(plain);
        for number in [crc.sum(), len(&stored), len(plain)] {
            header.extend(number.to_le_bytes());
        }
        push(&mut header, &[u16::try_from(name.len()).unwrap(), 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&header);
        out.extend(name.as_bytes());
        out.extend(&stored);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&header);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = len(&out);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    push(&mut out, &[u16::try_from(entries.len()).unwrap(); 2]);
    out.extend(len(&directory).to_le_bytes());
    out.extend(start.to_le_bytes());
    push(&mut out, &[0]);
    out
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// What a deflated record unfolds to; `None` where it does not.
pub(crate) fn inflated(stored: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(stored)
        .read_to_end(&mut plain)
        .ok()?;
    Some(plain)
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

fn push(out: &mut Vec<u8>, numbers: &[u16]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// Where the content of each file of an archive lies.
pub(crate) fn records(archive: &[u8]) -> Vec<Range<usize>> {
    let number = |at: usize, size: usize| {
        archive[at..at + size]
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let mut at = 0;
    let mut records = Vec::new();
    while archive[at..].starts_with(b"PK\x03\x04") {
        let start = at + 30 + number(at + 26, 2) + number(at + 28, 2);
        let end = start + number(at + 18, 4);
        records.push(start..end);
        at = end;
    }
    records
}

/// Two tensors and metadata.
pub(crate) fn safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"F16","shape":[2,2],"data_offsets":[24,32]},
        "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}  "#;
    safetensors_with(header, &[1; 32])
}

/// Any header, any data.
pub(crate) fn safetensors_with(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// A model of two nodes and one weight.
pub(crate) fn onnx() -> Vec<u8> {
    let node = field(
        1,
        &[field(1, b"x"), field(2, b"y"), field(4, b"Relu")].concat(),
    );
    let weight = field(
        5,
        &[vec![0x08, 4, 0x10, 1], field(9, &[0; 16]), field(8, b"w")].concat(),
    );
    let graph = [node.clone(), node, field(2, b"graph"), weight].concat();
    let opset = field(8, &[0x10, 17]);
    [vec![0x08, 8], field(2, b"test"), field(7, &graph), opset].concat()
}

/// A model whose graph has these parts.
pub(crate) fn onnx_with(graph: &[Vec<u8>]) -> Vec<u8> {
    let opset = field(8, &[0x10, 17]);
    [vec![0x08, 8], field(7, &graph.concat()), opset].concat()
}

/// A float tensor of 2 x 3 whose bytes lie elsewhere.
pub(crate) fn onnx_external(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut tensor = vec![0x08, 2, 0x08, 3, 0x10, 1];
    for (key, value) in entries {
        let entry = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
        tensor.extend(field(13, &entry));
    }
    tensor.extend([0x70, 1]);
    tensor
}

/// A length-delimited protobuf field.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = match number {
        0..16 => vec![number << 3 | 2],
        _ => vec![(number << 3 & 0x7f) | 0x80 | 2, number >> 4],
    };
    let mut size = bytes.len();
    while size >= 0x80 {
        out.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
        size >>= 7;
    }
    out.push(u8::try_from(size).unwrap());
    out.extend(bytes);
    out
}

/// Two tensors, one of them quantised, and four values.
pub(crate) fn gguf() -> Vec<u8> {
    let mut out = b"GGUF\x03\x00\x00\x00".to_vec();
    out.extend(2_u64.to_le_bytes());
    out.extend(4_u64.to_le_bytes());
    text(&mut out, "general.architecture");
    out.extend(8_u32.to_le_bytes());
    text(&mut out, "llama");
    text(&mut out, "general.alignment");
    out.extend([4_u32, 64].iter().flat_map(|n| n.to_le_bytes()));
    text(&mut out, "tokens");
    out.extend([9_u32, 8].iter().flat_map(|n| n.to_le_bytes()));
    out.extend(2_u64.to_le_bytes());
    text(&mut out, "<s>");
    text(&mut out, "</s>");
    text(&mut out, "scale");
    out.extend(6_u32.to_le_bytes());
    out.extend(1_f32.to_le_bytes());
    tensor(&mut out, "a", &[4, 2], 0, 0);
    tensor(&mut out, "b", &[64], 8, 64);
    out.resize(out.len().next_multiple_of(64), 0);
    // Tensor a: 32 bytes, filled up to 64; tensor b: two blocks of 34 bytes.
    out.extend([1; 64 + 68]);
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn tensor(out: &mut Vec<u8>, name: &str, shape: &[u64], kind: u32, offset: u64) {
    text(out, name);
    out.extend(len(&vec![0; shape.len()]).to_le_bytes());
    out.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
    out.extend(kind.to_le_bytes());
    out.extend(offset.to_le_bytes());
}
