//! Images of foreign origin: every size is bounded before memory is taken for it.

use super::Frame;
use crate::fault::{self, Fault, Result};
use image::{ImageReader, Limits};
use std::io::Cursor;

/// Decodes a PNG, JPEG, WebP, BMP or GIF.
///
/// # Errors
/// [`fault::IMAGE`] where it is damaged, [`fault::SIZE`] where it is too large.
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Frame> {
    let broken = |e: &dyn std::fmt::Display| Fault::new(fault::IMAGE, e.to_string());
    let reader = || {
        ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| broken(&e))
    };
    let (width, height) = reader()?.into_dimensions().map_err(|e| broken(&e))?;
    check_size(u64::from(width), u64::from(height), max_pixels)?;
    let mut reader = reader()?;
    let mut limits = Limits::default();
    // 16 bits for each of four channels, and as much again for the decoder's own.
    limits.max_alloc = Some(max_pixels.saturating_mul(16));
    reader.limits(limits);
    let image = reader.decode().map_err(|e| broken(&e))?.into_rgb8();
    Ok(Frame {
        width: image.width() as usize,
        height: image.height() as usize,
        rgb: image.into_raw(),
    })
}

/// Refuses frames that are empty or pass the bound.
///
/// # Errors
/// [`fault::SIZE`] with both sizes.
pub fn check_size(width: u64, height: u64, max_pixels: u64) -> Result<()> {
    let pixels = width.checked_mul(height);
    match pixels {
        Some(0) => Err(Fault::new(fault::IMAGE, "the frame has no pixels")),
        Some(pixels) if pixels <= max_pixels => Ok(()),
        _ => Err(Fault::new(
            fault::SIZE,
            format!(
                "the frame has {width} x {height} pixels, and config.max_pixels is {max_pixels}"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]))
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_picture_arrives_as_it_left() {
        let frame = decode(&png(5, 3), 100).unwrap();
        assert_eq!((frame.width, frame.height), (5, 3));
        assert_eq!(&frame.rgb[(2 * 5 + 4) * 3..][..3], &[4, 2, 7]);
    }

    #[test]
    fn damaged_and_oversized_pictures_are_told_apart() {
        let whole = png(64, 64);
        for cut in [0, 4, 20, whole.len() / 2] {
            assert_eq!(
                decode(&whole[..cut], 10_000).unwrap_err().code,
                fault::IMAGE
            );
        }
        assert_eq!(decode(&whole, 4095).unwrap_err().code, fault::SIZE);
        // A header that promises 65,535 x 65,535 pixels takes no memory.
        let mut huge = whole;
        huge[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
        assert!(decode(&huge, 40_000_000).is_err());
    }
}
