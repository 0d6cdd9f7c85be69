//! The radar: the pitch from above, and who stands where.

use crate::picture::{Canvas, Frame};

/// Somebody on the radar.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// Metres from the far left corner.
    pub xy: [f64; 2],
    /// What is written beside it.
    pub label: String,
    /// Its colour's number.
    pub colour: u64,
}

/// Pixels a metre.
const SCALE: f64 = 5.0;
/// Pixels around the pitch.
const MARGIN: f64 = 15.0;
const GRASS: [u8; 3] = [38, 110, 50];

/// Width and height of the picture of a pitch of `size` metres.
#[must_use]
fn extent(size: [f64; 2]) -> (usize, usize) {
    let side = |metres: f64| (metres.clamp(1.0, 200.0) * SCALE + 2.0 * MARGIN) as usize;
    (side(size[0]), side(size[1]))
}

/// The pitch of `size` metres with `dots` on it.
#[must_use]
pub fn draw(size: [f64; 2], dots: &[Dot]) -> Frame {
    let (width, height) = extent(size);
    let mut frame = Frame::black(width, height);
    for pixel in frame.rgb.chunks_exact_mut(3) {
        pixel.copy_from_slice(&GRASS);
    }
    let at = |x: f64, y: f64| [x, y].map(|m| (m * SCALE + MARGIN) as f32);
    let [length, width] = size;
    let mut canvas = Canvas(&mut frame);
    let mut rectangle = |left: f64, top: f64, right: f64, bottom: f64| {
        let corners = [
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
            (left, top),
        ];
        for pair in corners.windows(2) {
            canvas.line(at(pair[0].0, pair[0].1), at(pair[1].0, pair[1].1));
        }
    };
    rectangle(0.0, 0.0, length, width);
    rectangle(0.0, 0.0, length / 2.0, width);
    // The penalty areas of the laws of the game: 16.5 m deep, 40.32 m wide.
    let (top, bottom) = (width / 2.0 - 20.16, width / 2.0 + 20.16);
    if top > 0.0 && length > 40.0 {
        rectangle(0.0, top, 16.5, bottom);
        rectangle(length - 16.5, top, length, bottom);
        canvas.circle(at(length / 2.0, width / 2.0), (2.0 * 9.15 * SCALE) as u32);
    }
    for dot in dots {
        let place = at(dot.xy[0], dot.xy[1]);
        canvas.dot(place, 9, dot.colour);
        if !dot.label.is_empty() {
            canvas.text(
                &dot.label,
                (place[0] as i32 + 6, place[1] as i32 - 5),
                dot.colour,
            );
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_stands_where_he_is() {
        let nobody = draw([105.0, 68.0], &[]);
        let dot = Dot {
            xy: [10.0, 60.0],
            label: String::new(),
            colour: 0,
        };
        let one = draw([105.0, 68.0], &[dot]);
        let different: Vec<usize> = (0..one.rgb.len() / 3)
            .filter(|p| one.rgb[p * 3..p * 3 + 3] != nobody.rgb[p * 3..p * 3 + 3])
            .collect();
        let middle = different[different.len() / 2];
        let (x, y) = (middle % one.width, middle / one.width);
        assert!(x.abs_diff(65) <= 5 && y.abs_diff(315) <= 5, "{x} {y}");
        // A pitch of nonsense takes no memory.
        assert!(draw([1e12, f64::NAN.max(1.0)], &[]).rgb.len() < 4 << 20);
    }
}
