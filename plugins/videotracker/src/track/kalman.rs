//! The motion model: constant velocity of centre, aspect ratio and height, after SORT and DeepSORT.
//!
//! The published filter has eight states and 8x8 matrices. All of its noise is diagonal and it starts with a diagonal
//! covariance, so the four measured quantities never mix: it *is* four filters of two states each. Held as such it
//! needs no linear algebra and a prediction is a dozen additions. A test compares it with the 8x8 form.

use serde::{Deserialize, Serialize};

/// Standard deviation of a position, as a part of the object's height (DeepSORT).
pub(super) const POSITION: f64 = 1.0 / 20.0;
/// Standard deviation of a velocity, as a part of the object's height per frame (DeepSORT).
const VELOCITY: f64 = 1.0 / 160.0;
/// Standard deviations of the aspect ratio: in the state, of its velocity, and as measured (DeepSORT).
const ASPECT: (f64, f64, f64) = (1e-2, 1e-5, 1e-1);

/// One quantity with its velocity and their covariance.
///
/// Serialised as the bits of its five numbers: a checkpoint continues bit by bit, whatever the text format does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "[u64; 5]", from = "[u64; 5]")]
pub struct Axis {
    /// The estimate.
    pub value: f64,
    /// Its change per frame.
    pub rate: f64,
    /// Variance of the estimate.
    pub variance: f64,
    /// Covariance of the estimate and its change.
    pub covariance: f64,
    /// Variance of the change.
    pub rate_variance: f64,
}

impl Axis {
    fn new(value: f64, deviation: f64, rate_deviation: f64) -> Self {
        Self {
            value,
            rate: 0.0,
            variance: deviation.powi(2),
            covariance: 0.0,
            rate_variance: rate_deviation.powi(2),
        }
    }

    fn predict(&mut self, deviation: f64, rate_deviation: f64) {
        self.value += self.rate;
        self.variance += 2.0 * self.covariance + self.rate_variance + deviation.powi(2);
        self.covariance += self.rate_variance;
        self.rate_variance += rate_deviation.powi(2);
    }

    fn correct(&mut self, measured: f64, deviation: f64) {
        let total = self.variance + deviation.powi(2);
        let (gain, rate_gain) = (self.variance / total, self.covariance / total);
        let surprise = measured - self.value;
        self.value += gain * surprise;
        self.rate += rate_gain * surprise;
        self.rate_variance -= rate_gain * self.covariance;
        self.covariance -= gain * self.covariance;
        self.variance -= gain * self.variance;
    }
}

impl From<Axis> for [u64; 5] {
    fn from(axis: Axis) -> Self {
        [
            axis.value,
            axis.rate,
            axis.variance,
            axis.covariance,
            axis.rate_variance,
        ]
        .map(f64::to_bits)
    }
}

impl From<[u64; 5]> for Axis {
    fn from(bits: [u64; 5]) -> Self {
        let [value, rate, variance, covariance, rate_variance] = bits.map(f64::from_bits);
        Self {
            value,
            rate,
            variance,
            covariance,
            rate_variance,
        }
    }
}

/// The filter of one object: centre x, centre y, width over height, height; pixels and frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    axes: [Axis; 4],
}

impl Filter {
    /// A filter that has seen one measurement: centre x, centre y, width over height, height.
    #[must_use]
    pub fn new(measure: [f64; 4]) -> Self {
        let height = measure[3];
        let (place, speed) = (2.0 * POSITION * height, 10.0 * VELOCITY * height);
        let [x, y, aspect, tall] = measure;
        let aspect = Axis::new(aspect, ASPECT.0, ASPECT.1);
        Self {
            axes: [
                Axis::new(x, place, speed),
                Axis::new(y, place, speed),
                aspect,
                Axis::new(tall, place, speed),
            ],
        }
    }

    /// Move on by one frame.
    pub fn predict(&mut self) {
        let height = self.axes[3].value;
        let [x, y, aspect, tall] = &mut self.axes;
        aspect.predict(ASPECT.0, ASPECT.1);
        for axis in [x, y, tall] {
            axis.predict(POSITION * height, VELOCITY * height);
        }
    }

    /// Take a measurement of the current frame into account.
    pub fn correct(&mut self, measure: [f64; 4]) {
        let deviation = POSITION * self.axes[3].value;
        for (axis, (measured, deviation)) in self.axes.iter_mut().zip(
            measure
                .into_iter()
                .zip([deviation, deviation, ASPECT.2, deviation]),
        ) {
            axis.correct(measured, deviation);
        }
    }

    /// Let the height stand still: what is not seen would else grow or shrink without end.
    pub fn hold_height(&mut self) {
        self.axes[3].rate = 0.0;
    }

    /// Everything has moved by this much, to the right and down, and goes on as before.
    pub fn shift(&mut self, [x, y]: [f64; 2]) {
        self.axes[0].value += x;
        self.axes[1].value += y;
    }

    /// The estimates: centre x, centre y, width over height, height.
    #[must_use]
    pub fn measure(&self) -> [f64; 4] {
        self.axes.map(|axis| axis.value)
    }

    /// The four quantities with their velocities and covariances.
    #[must_use]
    pub fn axes(&self) -> &[Axis; 4] {
        &self.axes
    }

    /// Is every number finite and every variance not negative? False only for what a broken checkpoint holds.
    pub(crate) fn is_sound(&self) -> bool {
        self.axes.iter().all(|axis| {
            let bits: [u64; 5] = (*axis).into();
            bits.iter().all(|one| f64::from_bits(*one).is_finite())
                && axis.variance >= 0.0
                && axis.rate_variance >= 0.0
        })
    }
}
