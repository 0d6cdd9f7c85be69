//! How many bytes the tensors of a torch archive need, by its own pickle.
//!
//! libtorch believes the pickle: it makes a storage of the size that stands there over the record
//! that the archive holds, and a record that is shorter is read beyond its end. So the pickle's
//! storages are found here and compared. Nothing is executed: the few opcodes that torch writes
//! (protocol 2) move words on a stack; what is not known ends the look without a verdict.

use std::collections::BTreeMap;

/// The most that is read of a pickle, in bytes.
pub(super) const LIMIT: u64 = 16 << 20;
/// How many things a pickle may pile up or remember.
const MOST: usize = 1 << 20;
/// How many words a persistent id has: "storage", type, key, device, number of elements.
const ID: usize = 5;

/// What lies on the stack, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Mark,
    Text(String),
    Number(u64),
    /// A storage type, by the bytes of one element.
    Storage(u64),
    Tuple(Vec<Item>),
    Other,
}

/// The bytes that each storage needs, by its record's name.
pub(super) type Storages = BTreeMap<String, u64>;

/// The storages of a pickle; `None` where something in it is not known here.
pub(super) fn storages(bytes: &[u8]) -> Option<Storages> {
    let mut machine = Machine {
        bytes,
        stack: Vec::new(),
        memo: BTreeMap::new(),
        found: Storages::new(),
    };
    while machine.step()? {}
    Some(machine.found)
}

struct Machine<'a> {
    bytes: &'a [u8],
    stack: Vec<Item>,
    memo: BTreeMap<u32, Item>,
    found: Storages,
}

impl Machine<'_> {
    /// Executes one opcode; false at the end.
    fn step(&mut self) -> Option<bool> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return Some(false),
            0x80 => drop(self.take(1)?),
            b'(' => self.push(Item::Mark)?,
            b'c' => self.global()?,
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            b'U' => self.text(1)?,
            b'T' => self.text(4)?,
            b'K' => self.number(1)?,
            b'M' => self.number(2)?,
            b'J' => self.number(4)?,
            0x8a => self.long()?,
            b'G' => self.skip_and_push(8)?,
            b'N' | 0x88 | 0x89 | b']' | b'}' => self.push(Item::Other)?,
            b')' => self.push(Item::Tuple(Vec::new()))?,
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let items = self.since_mark()?;
                self.push(Item::Tuple(items))?;
            }
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'Q' => self.persistent()?,
            // REDUCE, NEWOBJ: two become one; BUILD, APPEND: the upper one vanishes.
            b'R' | 0x81 => self.fold(2)?,
            b'b' | b'a' => drop(self.stack.pop()?),
            b's' => {
                self.stack.pop()?;
                self.stack.pop()?;
            }
            b'u' | b'e' => drop(self.since_mark()?),
            b'0' => drop(self.stack.pop()?),
            _ => return None,
        }
        Some(true)
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn little(&mut self, count: usize) -> Option<u64> {
        let bytes = self.take(count)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    }

    fn push(&mut self, item: Item) -> Option<()> {
        self.stack.push(item);
        (self.stack.len() <= MOST).then_some(())
    }

    fn skip_and_push(&mut self, count: usize) -> Option<()> {
        self.take(count)?;
        self.push(Item::Other)
    }

    fn number(&mut self, count: usize) -> Option<()> {
        let number = self.little(count)?;
        self.push(Item::Number(number))
    }

    /// A number of any length, of which eight bytes are enough for every size.
    fn long(&mut self) -> Option<()> {
        let size = usize::try_from(self.little(1)?).ok()?;
        if size > 8 {
            return self.skip_and_push(size);
        }
        self.number(size)
    }

    fn text(&mut self, width: usize) -> Option<()> {
        let size = usize::try_from(self.little(width)?).ok()?;
        let bytes = self.take(size)?;
        // Names are short; what is longer is the text of something else.
        let item = match std::str::from_utf8(bytes) {
            Ok(text) if size <= 256 => Item::Text(text.to_owned()),
            _ => Item::Other,
        };
        self.push(item)
    }

    fn line(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(end + 1)?;
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn global(&mut self) -> Option<()> {
        let (module, name) = (self.line()?, self.line()?);
        let item = match module.starts_with("torch") {
            true => element(&name).map_or(Item::Other, Item::Storage),
            false => Item::Other,
        };
        self.push(item)
    }

    fn tuple(&mut self, count: usize) -> Option<()> {
        let from = self.stack.len().checked_sub(count)?;
        let items = self.stack.split_off(from);
        self.push(Item::Tuple(items))
    }

    fn since_mark(&mut self) -> Option<Vec<Item>> {
        let at = self.stack.iter().rposition(|item| *item == Item::Mark)?;
        let items = self.stack.split_off(at + 1);
        self.stack.pop();
        Some(items)
    }

    fn fold(&mut self, count: usize) -> Option<()> {
        let from = self.stack.len().checked_sub(count)?;
        self.stack.truncate(from);
        self.push(Item::Other)
    }

    /// Only what an id is made of is remembered: copies of tuples could grow without bound.
    fn remember(&mut self, width: usize) -> Option<()> {
        let key = u32::try_from(self.little(width)?).ok()?;
        let item = match self.stack.last()? {
            item @ (Item::Text(_) | Item::Number(_) | Item::Storage(_)) => item.clone(),
            _ => Item::Other,
        };
        self.memo.insert(key, item);
        (self.memo.len() <= MOST).then_some(())
    }

    fn recall(&mut self, width: usize) -> Option<()> {
        let key = u32::try_from(self.little(width)?).ok()?;
        let item = self.memo.get(&key)?.clone();
        self.push(item)
    }

    fn persistent(&mut self) -> Option<()> {
        if let Item::Tuple(id) = self.stack.pop()?
            && id.len() == ID
            && id[0] == Item::Text("storage".into())
            && let (Item::Storage(each), Item::Text(key), Item::Number(count)) =
                (&id[1], &id[2], &id[4])
        {
            let bytes = count.saturating_mul(*each);
            let known = self.found.entry(key.clone()).or_default();
            *known = bytes.max(*known);
        }
        self.push(Item::Other)
    }
}

/// The bytes of one element of a storage type.
fn element(name: &str) -> Option<u64> {
    Some(match name.strip_suffix("Storage")? {
        "Double" | "Long" | "ComplexFloat" => 8,
        "Float" | "Int" | "QInt32" => 4,
        "Half" | "BFloat16" | "Short" => 2,
        "Char" | "Byte" | "Bool" | "QInt8" | "QUInt8" | "Untyped" => 1,
        "ComplexDouble" => 16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `torch.save({"w": tensor})` writes it, protocol 2.
    const SAVED: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x06tq\x07QK\x00K\x02K\x03\x86q\x08K\x03K\x01\x86q\x09\x89ccollections\nOrderedDict\nq\x0a)Rq\x0btq\x0cRq\x0ds.";

    #[test]
    fn a_storage_is_found() {
        let found = storages(SAVED).unwrap();
        assert_eq!(found, Storages::from([("0".to_owned(), 24)]));
    }

    #[test]
    fn a_remembered_type_counts_for_the_next_storage() {
        let id = |key: u8, kind: &[u8], count: u8| {
            let mut id = b"(X\x07\x00\x00\x00storage".to_vec();
            id.extend(kind);
            id.extend([b'X', 1, 0, 0, 0, key, b'X', 3, 0, 0, 0]);
            id.extend(b"cpu");
            id.extend([b'K', count, b't', b'Q']);
            id
        };
        let mut pickle = b"\x80\x02".to_vec();
        pickle.extend(id(b'0', b"ctorch\nHalfStorage\nq\x07", 3));
        pickle.extend(id(b'1', b"h\x07", 5));
        pickle.push(b'.');
        let found = storages(&pickle).unwrap();
        assert_eq!(found.into_values().collect::<Vec<_>>(), [6, 10]);
    }

    #[test]
    fn what_is_not_known_gives_no_verdict() {
        for bytes in [
            &b""[..],
            b"\x80",
            b"\x80\x02",
            b"\x80\x02\xff.",
            b"t.",
            b"R.",
            b"h\x09.",
            b"X\xff\xff\xff\xff.",
        ] {
            assert_eq!(storages(bytes), None, "{bytes:?}");
        }
        for end in 0..SAVED.len() {
            assert_eq!(storages(&SAVED[..end]), None);
        }
    }
}
