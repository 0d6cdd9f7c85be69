//! A picture as most videos hold it: brightness for every pixel, colour for every second one of every second row.
//!
//! It is taken to the model's input without ever being red, green and blue at its full size: only what the input
//! samples is converted. That is a tenth of the pixels of a 1080p frame, and half the bytes come through the pipe.

use super::letterbox::{Letterbox, Tap, grey, taps};

/// How a video says red, green and blue by brightness and two differences (ITU-R BT.601, BT.709, BT.2020).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    /// The weight of red in brightness.
    pub red: f32,
    /// The weight of blue in brightness.
    pub blue: f32,
    /// Whether brightness goes from 0 to 255; else from 16 to 235, and the differences from 16 to 240.
    pub full: bool,
}

impl Default for Colour {
    /// BT.601 of limited range, which is what a decoder assumes where the file does not say.
    fn default() -> Self {
        Self {
            red: 0.299,
            blue: 0.114,
            full: false,
        }
    }
}

impl Colour {
    /// By ffmpeg's words, such as `tv, bt709, progressive` or `pc, bt470bg/unknown/unknown`.
    #[must_use]
    pub fn named(words: &str) -> Self {
        let mut colour = Self::default();
        for word in words.split(',').map(str::trim) {
            match word.split('/').next().unwrap_or_default() {
                "pc" => colour.full = true,
                "bt709" => (colour.red, colour.blue) = (0.2126, 0.0722),
                "bt2020nc" | "bt2020c" => (colour.red, colour.blue) = (0.2627, 0.0593),
                _ => {}
            }
        }
        colour
    }

    /// Red, green and blue, 0 to 1, of a brightness and two differences as bytes.
    fn mix(self) -> impl Fn(f32, f32, f32) -> [f32; 3] {
        let (floor, luma, chroma) = match self.full {
            true => (0.0, 1.0 / 255.0, 1.0 / 255.0),
            false => (16.0, 1.0 / 219.0, 1.0 / 224.0),
        };
        let green = 1.0 - self.red - self.blue;
        let (to_red, to_blue) = (2.0 * (1.0 - self.red), 2.0 * (1.0 - self.blue));
        let (from_v, from_u) = (to_red * self.red / green, to_blue * self.blue / green);
        move |y, u, v| {
            let (y, u, v) = (
                (y - floor) * luma,
                (u - 128.0) * chroma,
                (v - 128.0) * chroma,
            );
            let one = |value: f32| value.clamp(0.0, 1.0);
            [
                one(y + to_red * v),
                one(y - from_u * u - from_v * v),
                one(y + to_blue * u),
            ]
        }
    }
}

/// One picture: `height` rows of brightness, then `height / 2` rows of which each holds a half row of blue's
/// difference and one of red's. Both sizes are even.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3 / 2` bytes.
    pub data: Vec<u8>,
    /// What they mean.
    pub colour: Colour,
}

/// One line of the input, before it has its colours.
#[derive(Default)]
struct Line {
    y: Vec<f32>,
    u: Vec<f32>,
    v: Vec<f32>,
}

impl Planes {
    /// Writes the picture into `planes`: 3 x `rows` x `columns` floats of 0 to 1.
    pub(super) fn fill(&self, planes: &mut [f32], columns: usize, rows: usize) -> Letterbox {
        let place = Letterbox::new(self.width, self.height, columns, rows);
        grey(planes, &place, columns, rows);
        let across = (
            taps(place.columns, self.width),
            taps(place.columns, self.width / 2),
        );
        let down = taps(place.rows, self.height);
        let halved = taps(place.rows, self.height / 2);
        let (luma, chroma) = self.data.split_at(self.width * self.height);
        let (blue_rows, red_rows) = (chroma, &chroma[self.width / 2..]);
        let area = columns * rows;
        let (red, rest) = planes.split_at_mut(area);
        let (green, blue) = rest.split_at_mut(area);
        let mix = self.colour.mix();
        let mut line = Line::default();
        for (row, (down, halved)) in down.iter().zip(&halved).enumerate() {
            sample(luma, self.width, self.width, down, &across.0, &mut line.y);
            sample(
                blue_rows,
                self.width,
                self.width / 2,
                halved,
                &across.1,
                &mut line.u,
            );
            sample(
                red_rows,
                self.width,
                self.width / 2,
                halved,
                &across.1,
                &mut line.v,
            );
            let start = (place.top + row) * columns + place.left;
            let out = start..start + place.columns;
            let seen = line.y.iter().zip(&line.u).zip(&line.v);
            let pixels = red[out.clone()]
                .iter_mut()
                .zip(&mut green[out.clone()])
                .zip(&mut blue[out]);
            for (((y, u), v), ((red, green), blue)) in seen.zip(pixels) {
                [*red, *green, *blue] = mix(*y, *u, *v);
            }
        }
        place
    }
}

/// A row of samples between the rows and columns that the taps name; rows begin `stride` bytes after one another.
fn sample(
    from: &[u8],
    stride: usize,
    width: usize,
    down: &Tap,
    across: &[Tap],
    into: &mut Vec<f32>,
) {
    let upper = &from[down.first * stride..][..width];
    let lower = &from[down.second * stride..][..width];
    into.clear();
    into.extend(across.iter().map(|tap| {
        let mix = |row: &[u8]| {
            let (left, right) = (f32::from(row[tap.first]), f32::from(row[tap.second]));
            left + (right - left) * tap.weight
        };
        let over = mix(upper);
        over + (mix(lower) - over) * down.weight
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Frame, Picture};

    /// The inverse of `mix`, for bytes.
    fn bytes([red, green, blue]: [f32; 3], colour: Colour) -> [u8; 3] {
        let y = colour.red * red + (1.0 - colour.red - colour.blue) * green + colour.blue * blue;
        let u = (blue - y) / (2.0 * (1.0 - colour.blue));
        let v = (red - y) / (2.0 * (1.0 - colour.red));
        let (floor, luma, chroma) = match colour.full {
            true => (0.0, 255.0, 255.0),
            false => (16.0, 219.0, 224.0),
        };
        [floor + y * luma, 128.0 + u * chroma, 128.0 + v * chroma].map(|n| n.round() as u8)
    }

    /// A picture whose colours change slowly, as planes and as pixels.
    fn ramp(width: usize, height: usize, colour: Colour) -> (Planes, Frame) {
        let mut frame = Frame::black(width, height);
        let mut data = vec![0; width * height * 3 / 2];
        for row in 0..height {
            for column in 0..width {
                let at = |n: usize, of: usize| n as f32 / of as f32;
                let rgb = [at(column, width), at(row, height), 1.0 - at(column, width)];
                let [y, u, v] = bytes(rgb, colour);
                data[row * width + column] = y;
                let half = width * height + row / 2 * width + column / 2;
                (data[half], data[half + width / 2]) = (u, v);
                frame.rgb[(row * width + column) * 3..][..3]
                    .copy_from_slice(&rgb.map(|n| (n * 255.0).round() as u8));
            }
        }
        let planes = Planes {
            width,
            height,
            data,
            colour,
        };
        (planes, frame)
    }

    #[test]
    fn planes_look_like_the_pixels_that_they_stand_for() {
        for words in [
            "tv, bt709, progressive",
            "pc",
            "tv",
            "tv, bt2020nc/bt2020/smpte2084",
        ] {
            let (planes, frame) = ramp(192, 108, Colour::named(words));
            for (columns, rows) in [(192, 108), (64, 64), (300, 200)] {
                let (mut left, mut right) =
                    (vec![0.0; 3 * columns * rows], vec![0.0; 3 * columns * rows]);
                let place = planes.fill(&mut left, columns, rows);
                assert_eq!(place, frame.fill(&mut right, columns, rows));
                let worst = left
                    .iter()
                    .zip(&right)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                // Colour is rounded to bytes and shared by four pixels, so it is up to two steps of the ramp off.
                assert!(worst < 0.03, "{words}, {columns} x {rows}: {worst}");
            }
        }
    }

    #[test]
    fn the_matrix_matters() {
        let (planes, _) = ramp(64, 64, Colour::named("tv, bt709"));
        let wrong = Planes {
            colour: Colour::default(),
            ..planes.clone()
        };
        let (mut left, mut right) = (vec![0.0; 3 * 64 * 64], vec![0.0; 3 * 64 * 64]);
        planes.fill(&mut left, 64, 64);
        wrong.fill(&mut right, 64, 64);
        let worst = left
            .iter()
            .zip(&right)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst > 0.05, "{worst}");
    }

    #[test]
    fn ffmpegs_words_on_colour() {
        assert_eq!(Colour::named("progressive"), Colour::default());
        assert_eq!(Colour::named("tv, smpte170m"), Colour::default());
        assert!(Colour::named("pc, bt470bg/unknown/unknown").full);
        let wide = Colour::named("tv, bt709/unknown/unknown, progressive");
        assert!((wide.red - 0.2126).abs() < 1e-6 && !wide.full);
    }
}
