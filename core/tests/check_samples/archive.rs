//! An archive as torch 2.11 writes it, to the byte: sizes behind the content, aligned records, a
//! zip64 end. And where in it a flipped bit means nothing.

use super::{deflated, len, push};
use std::ops::Range;

/// The bytes, where each record's content lies, and what nobody reads.
pub(crate) struct TorchZip {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content: Vec<Range<usize>>,
    pub(crate) quiet: Vec<(Range<usize>, &'static str)>,
}

const VERSIONS: &str = "versions of writing and reading programs; torch writes 0";
const TIME: &str = "a time stamp; torch writes 0";
const FILLER: &str = "which extra field it is that aligns the record, and its content";
const ATTRIBUTES: &str = "attributes of a file on a disk";

pub(crate) fn torch_zip(entries: &[super::Entry<'_>]) -> TorchZip {
    let mut out = TorchZip {
        bytes: Vec::new(),
        content: Vec::new(),
        quiet: Vec::new(),
    };
    let (mut directory, mut quiet) = (Vec::new(), Vec::new());
    for (name, plain, deflate) in entries {
        let stored = if *deflate {
            deflated(plain)
        } else {
            plain.to_vec()
        };
        let mut crc = flate2::Crc::new();
        crc.update(plain);
        let numbers = [crc.sum(), len(&stored), len(plain)];
        let flags = if plain.is_empty() { 0x800 } else { 0x808 };
        let offset = out.local(name, flags, u16::from(*deflate) * 8, &stored);
        if flags & 8 != 0 {
            out.bytes.extend(b"PK\x07\x08");
            out.bytes
                .extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        }
        let at = directory.len();
        for (range, why) in [(4..8, VERSIONS), (12..16, TIME), (36..42, ATTRIBUTES)] {
            quiet.push((at + range.start..at + range.end, why));
        }
        directory.extend(b"PK\x01\x02");
        push(
            &mut directory,
            &[0, 0, flags, u16::from(*deflate) * 8, 0, 0],
        );
        directory.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        push(
            &mut directory,
            &[u16::try_from(name.len()).unwrap(), 0, 0, 0, 0, 0, 0],
        );
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = out.bytes.len();
    for (range, why) in quiet {
        out.quiet
            .push((start + range.start..start + range.end, why));
    }
    out.bytes.extend(&directory);
    out.end(entries.len(), directory.len(), start);
    out
}

impl TorchZip {
    fn local(&mut self, name: &str, flags: u16, method: u16, stored: &[u8]) -> u32 {
        let at = self.bytes.len();
        let head = at + 30 + name.len() + 4;
        let fill = head.next_multiple_of(64) - head;
        self.bytes.extend(b"PK\x03\x04");
        push(&mut self.bytes, &[0, flags, method, 0, 0, 0, 0, 0, 0, 0, 0]);
        let sizes = [name.len(), fill + 4].map(|n| u16::try_from(n).unwrap());
        push(&mut self.bytes, &sizes);
        self.bytes.extend(name.as_bytes());
        let extra = self.bytes.len();
        self.bytes.extend(b"FB");
        push(&mut self.bytes, &[u16::try_from(fill).unwrap()]);
        self.bytes.resize(head + fill, b'Z');
        self.quiet.push((at + 4..at + 6, VERSIONS));
        self.quiet.push((at + 10..at + 14, TIME));
        self.quiet.push((extra..extra + 2, FILLER));
        self.quiet.push((extra + 4..head + fill, FILLER));
        self.content.push(head + fill..head + fill + stored.len());
        self.bytes.extend(stored);
        u32::try_from(at).unwrap()
    }

    fn end(&mut self, files: usize, size: usize, start: usize) {
        let at = self.bytes.len();
        let (files, size, start) = (files as u64, size as u64, start as u64);
        self.bytes.extend(b"PK\x06\x06");
        self.bytes.extend(44_u64.to_le_bytes());
        push(&mut self.bytes, &[798, 45, 0, 0, 0, 0]);
        self.quiet.push((at + 12..at + 16, VERSIONS));
        for number in [files, files, size, start] {
            self.bytes.extend(number.to_le_bytes());
        }
        self.bytes.extend(b"PK\x06\x07\0\0\0\0");
        self.bytes.extend((at as u64).to_le_bytes());
        self.bytes.extend(1_u32.to_le_bytes());
        self.bytes.extend(b"PK\x05\x06\0\0\0\0");
        push(&mut self.bytes, &[u16::try_from(files).unwrap(); 2]);
        for number in [size, start] {
            self.bytes
                .extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        push(&mut self.bytes, &[0]);
    }
}
