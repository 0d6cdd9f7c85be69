//! Images of foreign origin: every size is bounded before memory is taken for it.

use super::Frame;
use crate::fault::{self, Fault, Result};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::io::Cursor;

/// Decodes a PNG, JPEG, WebP, BMP or GIF, turned as its EXIF orientation says: a phone that was held
/// upright stores the picture lying.
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
    let mut limits = Limits::default();
    // 16 bits for each of four channels, and as much again for the decoder's own.
    limits.max_alloc = Some(max_pixels.saturating_mul(16));
    let mut reader = reader()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|e| broken(&e))?;
    let reserved = limits.reserve(decoder.total_bytes());
    reserved.map_err(|e| broken(&e))?;
    // EXIF data that cannot be read say nothing of the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| broken(&e))?;
    image.apply_orientation(orientation);
    let image = image.into_rgb8();
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
    fn a_picture_is_turned_as_its_exif_data_say() {
        let mut bytes = Cursor::new(Vec::new());
        // The left half red, the right half blue.
        image::RgbImage::from_fn(64, 32, |x, _| {
            image::Rgb(if x < 32 { [250, 0, 0] } else { [0, 0, 250] })
        })
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
        let plain = bytes.into_inner();
        let turned = |orientation: u8| {
            // One EXIF entry: orientation (0x0112), a short, one of it.
            let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
            exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
            let len = (exif.len() + 2) as u16;
            let mut jpeg = plain[..2].to_vec();
            jpeg.extend([0xff, 0xe1]);
            jpeg.extend(len.to_be_bytes());
            jpeg.extend(exif);
            jpeg.extend(&plain[2..]);
            decode(&jpeg, 10_000).unwrap()
        };
        let upright = turned(6);
        assert_eq!(
            (upright.width, upright.height),
            (32, 64),
            "a quarter to the right"
        );
        assert!(upright.rgb[0] > 200 && upright.rgb[(63 * 32) * 3] < 50);
        let over = turned(3);
        assert_eq!((over.width, over.height), (64, 32));
        assert!(over.rgb[0] < 50, "upside down");
        assert_eq!(turned(1).rgb, decode(&plain, 10_000).unwrap().rgb);
        assert_eq!(
            turned(77).rgb,
            decode(&plain, 10_000).unwrap().rgb,
            "nonsense"
        );
    }

    #[test]
    fn every_kind_of_pixel_becomes_red_green_and_blue() {
        let kinds = [
            image::DynamicImage::new_luma8(1, 1),
            image::DynamicImage::new_luma_a8(1, 1),
            image::DynamicImage::new_rgba8(1, 1),
            image::DynamicImage::new_luma16(1, 1),
            image::DynamicImage::new_rgb16(1, 1),
            image::DynamicImage::new_rgba16(1, 1),
        ];
        for kind in kinds {
            let mut bytes = Cursor::new(Vec::new());
            kind.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            let frame = decode(&bytes.into_inner(), 1).unwrap();
            assert_eq!((frame.width, frame.height, frame.rgb.len()), (1, 1, 3));
        }
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
