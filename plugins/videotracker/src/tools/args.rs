//! The arguments of a call.

use crate::fault::{self, Fault, Result};
use crate::picture::{Frame, check_size, decode};
use crate::settings::Device;
use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, PAD};
use serde_json::Value;
use std::path::PathBuf;

/// Standard base64, with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);
/// Names of the argument that holds an image, the hosts' own included.
const IMAGES: [&str; 5] = [
    "image_bytes",
    "image",
    "frame",
    "frame_base64",
    "image_path",
];
/// What marks the place of an array that travels beside the arguments.
const BUFFER: &str = "plugward.buffer";

/// An array that travels beside the arguments.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// Sizes.
    pub shape: &'a [i64],
    /// Bytes, compact.
    pub data: &'a [u8],
}

/// One call.
pub struct Call<'a> {
    /// Its arguments.
    pub args: &'a Value,
    /// Arrays beside them.
    pub arrays: &'a [Pixels<'a>],
    /// Its number, unique in the host.
    pub id: u64,
    /// Whether the caller has given up.
    pub should_stop: &'a (dyn Fn() -> bool + Sync),
    /// Tells how far it is; false when it should end.
    pub progress: &'a (dyn Fn(u64, u64) -> bool + Sync),
}

impl Call<'_> {
    fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.args.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Fault::input(format!("{key} must be a text"))),
        }
    }

    fn flag(&self, key: &str) -> Result<bool> {
        match self.args.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(yes)) => Ok(*yes),
            Some(_) => Err(Fault::input(format!("{key} must be true or false"))),
        }
    }

    /// The device that the call asks for.
    ///
    /// # Errors
    /// A word that is no device.
    pub fn device(&self) -> Result<Option<Device>> {
        self.text("device")?.map(Device::parse).transpose()
    }

    /// Whether a picture or video with the results drawn in is wanted.
    ///
    /// # Errors
    /// A value that is not a bool.
    pub fn annotated(&self) -> Result<bool> {
        self.flag("annotated")
    }

    /// Whether the stream is to begin anew.
    ///
    /// # Errors
    /// A value that is not a bool.
    pub fn reset(&self) -> Result<bool> {
        self.flag("reset")
    }

    /// Frames a second of the stream that an image belongs to.
    ///
    /// # Errors
    /// A value that is no number above 0 and up to 1000.
    pub fn frame_rate(&self) -> Result<Option<f32>> {
        match self.args.get("frame_rate") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let rate = value.as_f64().filter(|n| *n > 0.0 && *n <= 1000.0);
                let wrong = || Fault::input("frame_rate must be a number above 0 and up to 1000");
                rate.map(|n| Some(n as f32)).ok_or_else(wrong)
            }
        }
    }

    /// The stream whose objects are followed.
    ///
    /// # Errors
    /// A value that is no text, or a long one.
    pub fn stream(&self) -> Result<Option<&str>> {
        let name = self.text("stream")?;
        match name {
            Some(name) if name.len() > 256 => Err(Fault::input("stream is longer than 256 bytes")),
            name => Ok(name),
        }
    }

    /// The video file.
    ///
    /// # Errors
    /// There is none.
    pub fn video(&self) -> Result<PathBuf> {
        let path = self.text("video_path")?.or(self.text("video")?);
        path.map(PathBuf::from)
            .ok_or_else(|| Fault::input("video_path is missing"))
    }

    /// Where an annotated video is to go.
    ///
    /// # Errors
    /// A value that is no text.
    pub fn output(&self) -> Result<Option<PathBuf>> {
        Ok(self.text("output_path")?.map(PathBuf::from))
    }

    /// Where the frames of a video go as JSON lines, instead of into the answer.
    ///
    /// # Errors
    /// A value that is no text.
    pub fn frames_path(&self) -> Result<Option<PathBuf>> {
        Ok(self.text("frames_path")?.map(PathBuf::from))
    }

    /// The image, wherever it comes from: an encoded file as base64 text or bytes, a path, or an
    /// array of rows x columns x 3 (RGB).
    ///
    /// # Errors
    /// [`fault::IMAGE`], [`fault::SIZE`], or there is none.
    pub fn image(&self, max_pixels: u64) -> Result<Frame> {
        let named = IMAGES.iter().find_map(|key| {
            let value = self.args.get(key).filter(|v| !v.is_null())?;
            Some((*key, value))
        });
        match named {
            Some(("image_path", Value::String(path))) => {
                let bytes = std::fs::read(path)
                    .map_err(|e| Fault::new(fault::IMAGE, format!("{path}: {e}")))?;
                decode(&bytes, max_pixels)
            }
            Some((key, Value::String(text))) => decode(&from_base64(key, text)?, max_pixels),
            Some((key, Value::Object(mark))) => {
                let number = mark.get(BUFFER).and_then(Value::as_u64);
                let array = number.and_then(|n| self.arrays.get(usize::try_from(n).ok()?));
                let array = array
                    .ok_or_else(|| Fault::input(format!("{key} is neither a text nor an array")))?;
                from_array(*array, max_pixels)
            }
            Some((key, Value::Array(rows))) => from_rows(key, rows, max_pixels),
            Some((key, _)) => Err(Fault::input(format!("{key} is no image"))),
            None => match self.arrays.first() {
                Some(array) => from_array(*array, max_pixels),
                None => Err(Fault::input("image_bytes is missing")),
            },
        }
    }
}

fn from_base64(key: &str, text: &str) -> Result<Vec<u8>> {
    let text = match text.split_once(";base64,") {
        Some((head, rest)) if head.starts_with("data:") => rest,
        _ => text,
    };
    let bytes = match text.bytes().any(|b| b.is_ascii_whitespace()) {
        true => {
            let dense: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            BASE64.decode(dense)
        }
        false => BASE64.decode(text),
    };
    bytes.map_err(|e| Fault::new(fault::IMAGE, format!("{key} is no base64: {e}")))
}

/// Base64 of `bytes`, with padding.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    GeneralPurpose::new(&base64::alphabet::STANDARD, PAD).encode(bytes)
}

fn from_array(array: Pixels<'_>, max_pixels: u64) -> Result<Frame> {
    let size = |n: i64| u64::try_from(n).unwrap_or(0);
    match *array.shape {
        // Bytes: an encoded file.
        [_] => decode(array.data, max_pixels),
        [height, width, 3] => {
            check_size(size(width), size(height), max_pixels)?;
            if array.data.len() as u64 != size(width) * size(height) * 3 {
                return Err(Fault::input("the array's elements are not bytes (uint8)"));
            }
            Ok(Frame {
                width: width as usize,
                height: height as usize,
                rgb: array.data.to_vec(),
            })
        }
        _ => Err(Fault::input(format!(
            "an array of shape {:?} is no image: rows x columns x 3 is",
            array.shape
        ))),
    }
}

/// Nested lists of numbers, as JSON has them.
fn from_rows(key: &str, rows: &[Value], max_pixels: u64) -> Result<Frame> {
    let wrong = || Fault::input(format!("{key} is no list of rows of [red, green, blue]"));
    let width = rows
        .first()
        .and_then(Value::as_array)
        .ok_or_else(wrong)?
        .len();
    check_size(width as u64, rows.len() as u64, max_pixels)?;
    let mut rgb = Vec::with_capacity(width * rows.len() * 3);
    for row in rows {
        let row = row
            .as_array()
            .filter(|r| r.len() == width)
            .ok_or_else(wrong)?;
        for pixel in row {
            let pixel = pixel
                .as_array()
                .filter(|p| p.len() == 3)
                .ok_or_else(wrong)?;
            for part in pixel {
                let byte = part.as_u64().and_then(|n| u8::try_from(n).ok());
                rgb.push(byte.ok_or_else(wrong)?);
            }
        }
    }
    Ok(Frame {
        width,
        height: rows.len(),
        rgb,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn image(args: &Value, arrays: &[Pixels<'_>]) -> Result<Frame> {
        let call = Call {
            args,
            arrays,
            id: 1,
            should_stop: &|| false,
            progress: &|_, _| true,
        };
        call.image(10_000)
    }

    #[test]
    fn an_image_may_come_in_many_ways() {
        let frame = Frame {
            width: 2,
            height: 1,
            rgb: vec![1, 2, 3, 4, 5, 6],
        };
        let file = frame.png().unwrap();
        let text = to_base64(&file);
        let array = [Pixels {
            shape: &[1, 2, 3],
            data: &frame.rgb,
        }];
        let bytes = [Pixels {
            shape: &[file.len() as i64],
            data: &file,
        }];
        let mark = json!({"image_bytes": {"plugward.buffer": 0, "as": "bytes"}});
        assert_eq!(image(&json!({"image_bytes": text}), &[]).unwrap(), frame);
        let url = format!("data:image/png;base64,{}\n", text.trim_end_matches('='));
        assert_eq!(image(&json!({"frame": url}), &[]).unwrap(), frame);
        assert_eq!(image(&mark, &array).unwrap(), frame);
        assert_eq!(image(&mark, &bytes).unwrap(), frame);
        assert_eq!(image(&json!({}), &array).unwrap(), frame);
        let rows = json!({"image": [[[1, 2, 3], [4, 5, 6]]]});
        assert_eq!(image(&rows, &[]).unwrap(), frame);
    }

    #[test]
    fn a_stream_may_say_its_frame_rate() {
        let rate = |args: Value| {
            let call = Call {
                args: &args,
                arrays: &[],
                id: 1,
                should_stop: &|| false,
                progress: &|_, _| true,
            };
            call.frame_rate()
        };
        assert_eq!(rate(json!({})), Ok(None));
        assert_eq!(rate(json!({"frame_rate": null})), Ok(None));
        assert_eq!(rate(json!({"frame_rate": 60})), Ok(Some(60.0)));
        for odd in [json!(0), json!(-5), json!(1001), json!("60"), json!(true)] {
            let fault = rate(json!({"frame_rate": odd})).unwrap_err();
            assert!(fault.is_input(), "{odd}");
        }
    }

    #[test]
    fn what_is_no_image_is_the_callers_fault() {
        let floats = [0_u8; 24];
        let array = [Pixels {
            shape: &[1, 2, 3],
            data: &floats,
        }];
        for (args, arrays) in [
            (json!({}), &[][..]),
            (json!({"image_bytes": "%%%"}), &[]),
            (json!({"image_bytes": 5}), &[]),
            (json!({"image_path": "/nowhere.png"}), &[]),
            (json!({"image_bytes": [[[1, 2]]]}), &[]),
            (json!({"image_bytes": [[[1, 2, 300]]]}), &[]),
            (json!({"image_bytes": {"plugward.buffer": 7}}), &[]),
            (json!({}), &array),
        ] {
            let fault = image(&args, arrays).unwrap_err();
            assert!(fault.is_input(), "{args}: {fault:?}");
        }
    }
}
