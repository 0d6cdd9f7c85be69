//! Drawing on frames with `embedded-graphics`, whose font is part of the crate; and PNG.

use super::Frame;
use crate::fault::{self, Fault, Result};
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{MonoTextStyleBuilder, ascii};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::primitives::{
    Circle, Primitive, PrimitiveStyle, PrimitiveStyleBuilder, Rectangle, StrokeAlignment,
};
use embedded_graphics::text::{Baseline, Text};
use embedded_graphics::{Drawable, Pixel};
use image::{ExtendedColorType, ImageEncoder};
use std::convert::Infallible;

/// Colours that are told apart on grass.
const PALETTE: [[u8; 3]; 10] = [
    [255, 99, 71],
    [30, 144, 255],
    [255, 215, 0],
    [186, 85, 211],
    [0, 206, 209],
    [255, 140, 0],
    [255, 105, 180],
    [127, 255, 0],
    [240, 230, 140],
    [65, 105, 225],
];

/// A frame that is drawn on.
pub struct Canvas<'a>(pub &'a mut Frame);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width as u32, self.0.height as u32)
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> std::result::Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(at.x), usize::try_from(at.y)) else {
                continue;
            };
            if x < self.0.width && y < self.0.height {
                let place = (y * self.0.width + x) * 3;
                self.0.rgb[place..place + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

fn colour(number: u64) -> Rgb888 {
    let [r, g, b] = PALETTE[(number % PALETTE.len() as u64) as usize];
    Rgb888::new(r, g, b)
}

/// Far outside stays outside, and small enough for the crate's arithmetic.
fn pixel(at: f32) -> i32 {
    at.clamp(-1e4, 2e4) as i32
}

/// Drawing cannot fail: a frame takes every pixel.
fn done(_: std::result::Result<impl Sized, Infallible>) {}

impl Canvas<'_> {
    /// A box with a label above it, in the colour of `number`.
    pub fn labelled(&mut self, xyxy: [f32; 4], label: &str, number: u64) {
        let [left, top, right, bottom] = xyxy.map(pixel);
        let size = Size::new((right - left).max(1) as u32, (bottom - top).max(1) as u32);
        let width = 1 + (self.0.width / 640) as u32;
        let style = PrimitiveStyleBuilder::new()
            .stroke_color(colour(number))
            .stroke_width(width)
            .stroke_alignment(StrokeAlignment::Outside)
            .build();
        let outline = Rectangle::new(Point::new(left, top), size).into_styled(style);
        done(outline.draw(self));
        self.text(label, (left, (top - 11).max(0)), number);
    }

    /// Black text on the colour of `number`; `at` is its upper left corner.
    pub fn text(&mut self, text: &str, at: (i32, i32), number: u64) {
        let style = MonoTextStyleBuilder::new()
            .font(&ascii::FONT_6X10)
            .text_color(Rgb888::BLACK)
            .background_color(colour(number))
            .build();
        done(Text::with_baseline(text, Point::new(at.0, at.1), style, Baseline::Top).draw(self));
    }

    /// A filled dot.
    pub fn dot(&mut self, at: [f32; 2], diameter: u32, number: u64) {
        let style = PrimitiveStyle::with_fill(colour(number));
        let centre = Point::new(pixel(at[0]), pixel(at[1]));
        done(
            Circle::with_center(centre, diameter)
                .into_styled(style)
                .draw(self),
        );
    }

    /// A white line. Drawn here: the crate's own overflows on ends far outside the frame.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2]) {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let steps = dx.abs().max(dy.abs()).ceil();
        if !(0.0..=4.0 * (self.0.width + self.0.height) as f32).contains(&steps) {
            return;
        }
        for step in 0..=steps as usize {
            let part = step as f32 / steps.max(1.0);
            let at = Point::new(pixel(from[0] + dx * part), pixel(from[1] + dy * part));
            done(Pixel(at, Rgb888::WHITE).draw(self));
        }
    }

    /// A white circle.
    pub fn circle(&mut self, at: [f32; 2], diameter: u32) {
        let style = PrimitiveStyle::with_stroke(Rgb888::WHITE, 1);
        let centre = Point::new(pixel(at[0]), pixel(at[1]));
        done(
            Circle::with_center(centre, diameter)
                .into_styled(style)
                .draw(self),
        );
    }
}

impl Frame {
    /// As a PNG.
    ///
    /// # Errors
    /// [`fault::OUTPUT`], where its sizes are beyond what PNG takes.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(
                &self.rgb,
                self.width as u32,
                self.height as u32,
                ExtendedColorType::Rgb8,
            )
            .map_err(|e| Fault::new(fault::OUTPUT, e.to_string()))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_beyond_the_frame_are_cut_not_fatal() {
        let mut frame = Frame::black(20, 20);
        let mut canvas = Canvas(&mut frame);
        canvas.labelled([-5.0, -5.0, f32::INFINITY, 1e30], "a", 1);
        canvas.labelled([f32::NAN, 2.0, 1.0, 0.0], "b", 2);
        canvas.dot([1e9, -1e9], 5, 3);
        assert_eq!(frame.rgb.len(), 1200);
    }

    #[test]
    fn what_is_drawn_is_on_the_png() {
        let mut frame = Frame::black(40, 30);
        Canvas(&mut frame).dot([10.0, 10.0], 5, 1);
        let back = crate::picture::decode(&frame.png().unwrap(), 10_000).unwrap();
        assert_eq!(&back.rgb[(10 * 40 + 10) * 3..][..3], &PALETTE[1]);
    }
}
