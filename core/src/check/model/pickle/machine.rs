//! The stack machine of a pickle, in constant memory.

use super::super::problem::Problem;
use super::Stop;
use super::element::element;

/// How many things may lie on the stack. A dictionary of half as many words fits.
const STACK: usize = 1 << 20;
/// How many things may be remembered.
const MEMO: usize = 1 << 20;
/// How many persistent ids may wait for their use; torch uses each at once.
const IDS: usize = 1 << 16;
/// How many words a persistent id has: "storage", type, key, device, number of elements.
const ID: usize = 5;

/// A word: where it stands in the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    at: u32,
    size: u8,
}

/// What lies on the stack, as far as it matters here: 16 bytes, and nothing that nests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Mark,
    Text(Text),
    Number(u64),
    /// A storage type, by the bytes of one element.
    Storage(u8),
    /// A persistent id, by its place in `ids`.
    Id(u32),
    Other,
}

pub(super) type Step<T = ()> = Result<T, Stop>;

const SHORT: Stop = Stop::Broken("it takes more from its stack than is there");

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Item>,
    memo: Vec<Option<Item>>,
    ids: Vec<(Text, u64)>,
    visit: &'a mut dyn FnMut(&str, u64) -> Result<(), Problem>,
    /// Whether a persistent id was met that is not understood.
    pub(super) strange: bool,
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        visit: &'a mut dyn FnMut(&str, u64) -> Result<(), Problem>,
    ) -> Self {
        Self {
            bytes,
            at: 0,
            stack: Vec::new(),
            memo: Vec::new(),
            ids: Vec::new(),
            visit,
            strange: false,
        }
    }

    pub(super) fn take(&mut self, count: u64) -> Step<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(count).ok().and_then(|n| rest.get(..n));
        let taken = taken.ok_or(Stop::Broken("it ends in the middle"))?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn little(&mut self, width: u64) -> Step<u64> {
        let bytes = self.take(width)?.iter().rev();
        Ok(bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// The word of `size` bytes that comes next; longer ones are the text of something else.
    pub(super) fn text(&mut self, size: u64) -> Step<Item> {
        let at = u32::try_from(self.at);
        let bytes = self.take(size)?;
        Ok(match (at, u8::try_from(bytes.len())) {
            (Ok(at), Ok(size)) if std::str::from_utf8(bytes).is_ok() => {
                Item::Text(Text { at, size })
            }
            _ => Item::Other,
        })
    }

    fn read(&self, text: Text) -> &'a str {
        let from = text.at as usize;
        let bytes = self.bytes.get(from..from + usize::from(text.size));
        bytes
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    /// What ends with the next newline.
    pub(super) fn line(&mut self) -> Step<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or(Stop::Broken("it ends in the middle of a name"))?;
        let line = self.take(end as u64)?;
        self.at += 1;
        Ok(line)
    }

    pub(super) fn push(&mut self, item: Item) -> Step {
        self.stack.push(item);
        match self.stack.len() <= STACK {
            true => Ok(()),
            false => Err(Stop::Unknown(format!("it piles up over {STACK} things"))),
        }
    }

    pub(super) fn discard(&mut self, count: usize) -> Step {
        let rest = self.stack.len().checked_sub(count).ok_or(SHORT)?;
        self.stack.truncate(rest);
        Ok(())
    }

    /// That many things become one that is of no interest.
    pub(super) fn fold(&mut self, count: usize) -> Step {
        self.discard(count)?;
        self.push(Item::Other)
    }

    fn mark(&self) -> Step<usize> {
        let mark = self.stack.iter().rposition(|item| *item == Item::Mark);
        mark.ok_or(Stop::Broken("it closes what it did not open"))
    }

    /// Drops everything down to the mark, and the mark.
    pub(super) fn drop_marked(&mut self) -> Step {
        let mark = self.mark()?;
        self.stack.truncate(mark);
        Ok(())
    }

    /// Everything down to the mark becomes a tuple, which is kept where it is a persistent id.
    pub(super) fn tuple(&mut self) -> Step {
        let mark = self.mark()?;
        let id = self.id(&self.stack[mark + 1..]);
        self.stack.truncate(mark);
        let Some(id) = id else {
            return self.push(Item::Other);
        };
        let place = u32::try_from(self.ids.len()).ok();
        let place = place.filter(|_| self.ids.len() < IDS);
        let place = place.ok_or_else(|| Stop::Unknown(format!("over {IDS} ids wait for use")))?;
        self.ids.push(id);
        self.push(Item::Id(place))
    }

    fn id(&self, items: &[Item]) -> Option<(Text, u64)> {
        let items: &[Item; ID] = items.try_into().ok()?;
        let [
            Item::Text(sort),
            Item::Storage(each),
            Item::Text(key),
            device,
            Item::Number(count),
        ] = *items
        else {
            return None;
        };
        // A tensor without content has a record without content, which nobody reads.
        let count = match device {
            Item::Text(device) if self.read(device) == "meta" => 0,
            _ => count,
        };
        (self.read(sort) == "storage").then(|| (key, count.saturating_mul(each.into())))
    }

    pub(super) fn persistent(&mut self) -> Step {
        let place = match self.stack.pop().ok_or(SHORT)? {
            Item::Id(place) => place as usize,
            _ => {
                self.strange = true;
                return self.push(Item::Other);
            }
        };
        if let Some(&(key, bytes)) = self.ids.get(place) {
            let key = self.read(key);
            (self.visit)(key, bytes).map_err(Stop::Refused)?;
        }
        if place + 1 == self.ids.len() {
            self.ids.pop();
        }
        self.push(Item::Other)
    }

    pub(super) fn remember(&mut self, key: u64) -> Step {
        let item = match *self.stack.last().ok_or(SHORT)? {
            item @ (Item::Text(_) | Item::Number(_) | Item::Storage(_)) => item,
            _ => Item::Other,
        };
        let key = usize::try_from(key).ok().filter(|key| *key < MEMO);
        let key = key.ok_or_else(|| Stop::Unknown(format!("it remembers over {MEMO} things")))?;
        if key >= self.memo.len() {
            self.memo.resize(key + 1, None);
        }
        self.memo[key] = Some(item);
        Ok(())
    }

    /// Remembers under the next number, as protocol 4 does.
    pub(super) fn memoize(&mut self) -> Step {
        self.remember(self.memo.len() as u64)
    }

    pub(super) fn recall(&mut self, key: u64) -> Step {
        let item = usize::try_from(key).ok().and_then(|key| self.memo.get(key));
        match item.copied().flatten() {
            Some(item) => self.push(item),
            None => Err(Stop::Broken("it recalls what it did not remember")),
        }
    }

    pub(super) fn repeat(&mut self) -> Step {
        let item = match *self.stack.last().ok_or(SHORT)? {
            Item::Id(_) => Item::Other,
            item => item,
        };
        self.push(item)
    }

    /// The class of this name, of which only storage types matter.
    pub(super) fn class(&mut self, module: &[u8], name: &[u8]) -> Step {
        let known = std::str::from_utf8(name).ok().and_then(element);
        self.push(match known.filter(|_| module.starts_with(b"torch")) {
            Some(each) => Item::Storage(each),
            None => Item::Other,
        })
    }

    /// The class whose module and name lie on the stack.
    pub(super) fn class_of_stack(&mut self) -> Step {
        let (name, module) = (self.stack.pop(), self.stack.pop());
        match (module.ok_or(SHORT)?, name) {
            (Item::Text(module), Some(Item::Text(name))) => {
                let (module, name) = (self.read(module), self.read(name));
                self.class(module.as_bytes(), name.as_bytes())
            }
            _ => self.push(Item::Other),
        }
    }
}
