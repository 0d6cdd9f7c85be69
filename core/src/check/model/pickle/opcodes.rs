//! What each opcode does. The codes are those of `pickletools`; those that only protocols 0 and 1
//! write are left out, because torch writes none of them.

use super::Stop;
use super::machine::{Item, Machine, Step};

impl Machine<'_> {
    /// Executes one opcode; false at the end.
    pub(super) fn step(&mut self) -> Step<bool> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return Ok(false),
            // PROTO, FRAME
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.push(Item::Mark)?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(code)?,
            b'c' | 0x93 | b'Q' => self.reference(code)?,
            0x85..=0x87 | b't' | b'l' | b'd' | 0x91 | b'R' | 0x81 | 0x92 => self.gather(code)?,
            b'b' | b'a' | b's' | b'u' | b'e' | 0x90 | b'0' | b'1' => self.consume(code)?,
            _ => self.value(code)?,
        }
        Ok(true)
    }

    fn memory(&mut self, code: u8) -> Step {
        let width = if matches!(code, b'q' | b'h') { 1 } else { 4 };
        match code {
            0x94 => self.memoize(),
            b'q' | b'r' => {
                let key = self.little(width)?;
                self.remember(key)
            }
            _ => {
                let key = self.little(width)?;
                self.recall(key)
            }
        }
    }

    /// GLOBAL, STACK_GLOBAL, BINPERSID
    fn reference(&mut self, code: u8) -> Step {
        match code {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.class(module, name)
            }
            0x93 => self.class_of_stack(),
            _ => self.persistent(),
        }
    }

    /// What makes one thing of several.
    fn gather(&mut self, code: u8) -> Step {
        match code {
            // TUPLE1 to TUPLE3; no id has so few words.
            0x85..=0x87 => self.fold(usize::from(code - 0x84)),
            b't' => self.tuple(),
            // REDUCE, NEWOBJ, NEWOBJ_EX
            b'R' | 0x81 => self.fold(2),
            0x92 => self.fold(3),
            // LIST, DICT, FROZENSET
            _ => {
                self.drop_marked()?;
                self.push(Item::Other)
            }
        }
    }

    /// What goes into the thing below it.
    fn consume(&mut self, code: u8) -> Step {
        match code {
            // BUILD, APPEND, POP
            b'b' | b'a' | b'0' => self.discard(1),
            // SETITEM
            b's' => self.discard(2),
            // SETITEMS, APPENDS, ADDITEMS, POP_MARK
            _ => self.drop_marked(),
        }
    }

    /// What is one thing of its own.
    fn value(&mut self, code: u8) -> Step {
        let item = match code {
            b'X' | b'T' => self.sized_text(4)?,
            0x8c | b'U' => self.sized_text(1)?,
            0x8d => self.sized_text(8)?,
            b'K' => Item::Number(self.little(1)?),
            b'M' => Item::Number(self.little(2)?),
            b'J' => Item::Number(self.little(4)?),
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => self.skip(8)?,
            b'C' => self.sized_bytes(1)?,
            b'B' => self.sized_bytes(4)?,
            0x8e | 0x96 => self.sized_bytes(8)?,
            // NONE, NEWTRUE, NEWFALSE, EMPTY_LIST, EMPTY_DICT, EMPTY_SET, EMPTY_TUPLE
            b'N' | 0x88 | 0x89 | b']' | b'}' | 0x8f | b')' => Item::Other,
            b'2' => return self.repeat(),
            _ => {
                return Err(Stop::Unknown(format!(
                    "opcode {code:#04x} is not known here"
                )));
            }
        };
        self.push(item)
    }

    fn sized_text(&mut self, width: u64) -> Step<Item> {
        let size = self.little(width)?;
        self.text(size)
    }

    fn sized_bytes(&mut self, width: u64) -> Step<Item> {
        let size = self.little(width)?;
        self.skip(size)
    }

    fn skip(&mut self, size: u64) -> Step<Item> {
        self.take(size)?;
        Ok(Item::Other)
    }

    /// A number of any length, of which eight bytes are enough for every size.
    fn long(&mut self, width: u64) -> Step<Item> {
        match self.little(width)? {
            size @ 0..=8 => Ok(Item::Number(self.little(size)?)),
            size => self.skip(size),
        }
    }
}
