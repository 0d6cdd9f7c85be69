//! Frames out of ffmpeg's pipe: PPM (pixels) or PGM with colour planes below. Each says its own size.

use crate::fault::{self, Fault, Result};
use crate::picture::{Colour, Frame, Planes, Shot, check_size};
use std::io::{BufRead, Read};

/// The next frame of the pipe; its bytes go into `memory`. `None` at the end, also in the middle of a frame: ffmpeg
/// says itself why.
pub(super) fn next(
    pipe: &mut impl BufRead,
    mut memory: Vec<u8>,
    max_pixels: u64,
) -> Result<Option<Shot>> {
    let cut = || Fault::new(fault::FILE, "ffmpeg ended in the middle of a frame");
    let Some(magic) = word(pipe) else {
        return Ok(None);
    };
    let mut numbers = [0_u64; 3];
    for number in &mut numbers {
        *number = word(pipe).and_then(|w| w.parse().ok()).ok_or_else(cut)?;
    }
    let [width, rows, most] = numbers;
    // Rows of brightness, and half as many for the colours.
    let height = if magic == "P5" { rows / 3 * 2 } else { rows };
    let known = most == 255 && (magic == "P6" || magic == "P5" && rows % 3 == 0 && width % 2 == 0);
    if !known {
        let message = "ffmpeg wrote another format than it was asked for";
        return Err(Fault::new(fault::FILE, message));
    }
    check_size(width, height, max_pixels)?;
    let (width, height, rows) = (width as usize, height as usize, rows as usize);
    let size = width * rows * if magic == "P6" { 3 } else { 1 };
    memory.resize(size, 0);
    if pipe.read_exact(&mut memory).is_err() {
        return Ok(None);
    }
    Ok(Some(match magic.as_str() {
        "P6" => Shot::Pixels(Frame {
            width,
            height,
            rgb: memory,
        }),
        _ => Shot::Planes(Planes {
            width,
            height,
            data: memory,
            colour: Colour::default(),
        }),
    }))
}

/// Bytes up to the next white space, which is taken as well.
fn word(pipe: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    for byte in pipe.bytes().take(32) {
        match byte.ok()? {
            b' ' | b'\n' => return Some(text),
            other => text.push(char::from(other)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Shot>> {
        next(&mut &bytes[..], Vec::new(), 1000)
    }

    #[test]
    fn both_formats_say_their_size() {
        let Ok(Some(Shot::Pixels(frame))) = read(b"P6\n2 1\n255\nabcdef") else {
            panic!("no pixels");
        };
        assert_eq!(
            (frame.width, frame.height, frame.rgb.as_slice()),
            (2, 1, &b"abcdef"[..])
        );
        let Ok(Some(Shot::Planes(planes))) = read(b"P5\n2 3\n255\nabcdef") else {
            panic!("no planes");
        };
        assert_eq!((planes.width, planes.height, planes.data.len()), (2, 2, 6));
    }

    #[test]
    fn what_is_no_frame_is_refused_and_what_is_cut_is_the_end() {
        assert_eq!(read(b"").ok(), Some(None));
        assert_eq!(read(b"P6\n2 1\n255\nabc").ok(), Some(None));
        for bad in [
            "P5\n2 4\n255\n",
            "P5\n3 3\n255\n",
            "P4\n2 3\n255\n",
            "P6\n2 1\n65535\n",
        ] {
            assert_eq!(read(bad.as_bytes()).unwrap_err().code, fault::FILE, "{bad}");
        }
        assert_eq!(
            read(b"P6\n99999 99999\n255\n").unwrap_err().code,
            fault::SIZE
        );
    }
}
