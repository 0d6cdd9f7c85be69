//! The model's input: the frame scaled to fit with its shape kept, the rest grey.
//!
//! Scaling (bilinear, pixel centres aligned, as OpenCV's default), the division by 255 and the move
//! from pixels to planes are one pass over the output; in Python they are four over the frame.

use super::Frame;

/// The grey of the margins, YOLO's 114.
const GREY: u8 = 114;

/// Where a frame lies in a model's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Letterbox {
    /// Input pixels a frame pixel.
    pub scale: f64,
    /// Input pixels left of the frame.
    pub left: usize,
    /// Input pixels above the frame.
    pub top: usize,
    /// Columns of the input that the frame covers.
    pub columns: usize,
    /// Rows of the input that the frame covers.
    pub rows: usize,
}

impl Letterbox {
    /// Centres a frame of `width` x `height` in an input of `columns` x `rows`.
    #[must_use]
    pub fn new(width: usize, height: usize, columns: usize, rows: usize) -> Self {
        let scale = (columns as f64 / width as f64).min(rows as f64 / height as f64);
        let covered = |n: usize, most: usize| ((n as f64 * scale).round() as usize).clamp(1, most);
        let (across, down) = (covered(width, columns), covered(height, rows));
        Self {
            scale,
            left: (columns - across) / 2,
            top: (rows - down) / 2,
            columns: across,
            rows: down,
        }
    }

    /// From input pixels to frame pixels, kept inside the frame.
    #[must_use]
    pub fn back(&self, x: f32, y: f32, frame: (usize, usize)) -> [f32; 2] {
        let one = |at: f32, margin: usize, covered: usize, size: usize| {
            let scale = covered as f64 / size as f64;
            ((f64::from(at) - margin as f64) / scale).clamp(0.0, size as f64) as f32
        };
        [
            one(x, self.left, self.columns, frame.0),
            one(y, self.top, self.rows, frame.1),
        ]
    }
}

/// One output coordinate: the two source positions and the second one's weight.
pub(super) struct Tap {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) weight: f32,
}

/// The taps of `covered` output coordinates over `size` source positions.
pub(super) fn taps(covered: usize, size: usize) -> Vec<Tap> {
    let step = size as f64 / covered as f64;
    let tap = |at: usize| {
        let centre = ((at as f64 + 0.5) * step - 0.5).clamp(0.0, (size - 1) as f64);
        let first = centre as usize;
        Tap {
            first,
            second: (first + 1).min(size - 1),
            weight: (centre - first as f64) as f32,
        }
    };
    (0..covered).map(tap).collect()
}

/// Fills the margins, if there are any.
pub(super) fn grey(planes: &mut [f32], place: &Letterbox, columns: usize, rows: usize) {
    if (place.columns, place.rows) != (columns, rows) {
        planes[..3 * columns * rows].fill(f32::from(GREY) / 255.0);
    }
}

/// Writes the frame into `planes`: 3 x `rows` x `columns` floats of 0 to 1.
pub(super) fn fill(frame: &Frame, planes: &mut [f32], columns: usize, rows: usize) -> Letterbox {
    let place = Letterbox::new(frame.width, frame.height, columns, rows);
    let area = columns * rows;
    grey(planes, &place, columns, rows);
    let (across, down) = (
        taps(place.columns, frame.width),
        taps(place.rows, frame.height),
    );
    let (red, rest) = planes.split_at_mut(area);
    let (green, blue) = rest.split_at_mut(area);
    let stride = frame.width * 3;
    for (row, tap) in down.iter().enumerate() {
        let start = (place.top + row) * columns + place.left;
        let line = start..start + place.columns;
        let out = (
            &mut red[line.clone()],
            &mut green[line.clone()],
            &mut blue[line],
        );
        let upper = &frame.rgb[tap.first * stride..][..stride];
        let lower = &frame.rgb[tap.second * stride..][..stride];
        if place.columns == frame.width && tap.weight == 0.0 {
            copy(upper, out);
        } else {
            blend(upper, lower, tap.weight, &across, out);
        }
    }
    place
}

type Line<'a> = (&'a mut [f32], &'a mut [f32], &'a mut [f32]);

fn copy(pixels: &[u8], (red, green, blue): Line<'_>) {
    for (((pixel, r), g), b) in pixels.chunks_exact(3).zip(red).zip(green).zip(blue) {
        *r = f32::from(pixel[0]) / 255.0;
        *g = f32::from(pixel[1]) / 255.0;
        *b = f32::from(pixel[2]) / 255.0;
    }
}

fn blend(upper: &[u8], lower: &[u8], down: f32, across: &[Tap], (red, green, blue): Line<'_>) {
    for (((tap, r), g), b) in across.iter().zip(red).zip(green).zip(blue) {
        let (first, second) = (tap.first * 3, tap.second * 3);
        let (a, c) = (&upper[first..first + 3], &upper[second..second + 3]);
        let (d, e) = (&lower[first..first + 3], &lower[second..second + 3]);
        let mix = |i: usize| {
            let over = f32::from(a[i]) + (f32::from(c[i]) - f32::from(a[i])) * tap.weight;
            let under = f32::from(d[i]) + (f32::from(e[i]) - f32::from(d[i])) * tap.weight;
            (over + (under - over) * down) / 255.0
        };
        *r = mix(0);
        *g = mix(1);
        *b = mix(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Frame {
        let mut frame = Frame::black(width, height);
        for (at, pixel) in frame.rgb.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&[(at % width) as u8, (at / width) as u8, 255]);
        }
        frame
    }

    #[test]
    fn a_frame_of_the_inputs_size_is_only_converted() {
        let mut planes = vec![0.0; 3 * 8 * 6];
        let place = fill(&ramp(8, 6), &mut planes, 8, 6);
        assert_eq!((place.scale, place.left, place.top), (1.0, 0, 0));
        assert_eq!(planes[3 * 8 + 5], 5.0 / 255.0);
        assert_eq!(planes[48 + 3 * 8 + 5], 3.0 / 255.0);
        assert_eq!(planes[2 * 48], 1.0);
    }

    #[test]
    fn margins_are_grey_and_the_frame_is_centred() {
        let mut planes = vec![0.0; 3 * 16 * 16];
        let place = fill(&ramp(8, 4), &mut planes, 16, 16);
        assert_eq!((place.scale, place.left, place.top), (2.0, 0, 4));
        assert_eq!(planes[0], 114.0 / 255.0);
        assert_eq!(planes[15 * 16], 114.0 / 255.0);
        // Column 5 of 16 has its centre at 5.5 / 2 - 0.5 = 2.25 of 8.
        assert!((planes[8 * 16 + 5] - 2.25 / 255.0).abs() < 1e-6);
    }

    #[test]
    fn what_goes_in_comes_back() {
        let place = Letterbox::new(1920, 1080, 640, 640);
        let [x, y] = place.back(320.0, 320.0, (1920, 1080));
        assert!((x - 960.0).abs() < 1e-3 && (y - 540.0).abs() < 1e-3);
        assert_eq!(place.back(-5.0, 5000.0, (1920, 1080)), [0.0, 1080.0]);
    }

    #[test]
    fn extreme_shapes_keep_a_pixel() {
        let mut planes = vec![0.0; 3 * 32 * 32];
        let place = fill(&ramp(5000, 1), &mut planes, 32, 32);
        assert_eq!((place.columns, place.rows), (32, 1));
    }
}
