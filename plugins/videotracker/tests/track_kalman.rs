//! The filter against the published 8x8 form and against what can be said in closed form.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use videotracker::track::kalman::Filter;

/// Centre x, centre y, width over height, height; nothing where the object was not seen.
const MEASURED: [Option<[f64; 4]>; 8] = [
    Some([100.0, 200.0, 0.5, 80.0]),
    Some([104.0, 198.5, 0.52, 81.0]),
    None,
    Some([113.25, 195.0, 0.47, 84.0]),
    Some([117.0, 193.0, 0.5, 83.5]),
    None,
    None,
    Some([131.0, 188.0, 0.55, 86.0]),
];

/// After every frame but the first, for each of the four quantities: value, rate, variance, covariance, variance of
/// the rate. Computed with numpy 2.4 from DeepSORT's definition: x' = Fx, P' = FPF^T + Q, K = P'H^T (HP'H^T + R)^-1.
const EXPECTED: [[[f64; 5]; 4]; 7] = [
    [
        [
            103.47107438016529,
            0.8264462809917356,
            13.884297520661164,
            3.305785123966942,
            20.08471074380165,
        ],
        [
            198.69834710743802,
            -0.30991735537190085,
            13.884297520661164,
            3.305785123966942,
            20.08471074380165,
        ],
        [
            0.5003921570549789,
            1.9607842945021166e-10,
            0.00019607852748942622,
            9.803921472510575e-11,
            1.999999990196079e-10,
        ],
        [
            80.86776859504133,
            0.2066115702479339,
            13.884297520661164,
            3.305785123966942,
            20.08471074380165,
        ],
    ],
    [
        [
            104.29752066115702,
            0.8264462809917356,
            56.92956850624958,
            23.390495867768593,
            20.340163712455603,
        ],
        [
            198.38842975206612,
            -0.30991735537190085,
            56.92956850624958,
            23.390495867768593,
            20.340163712455603,
        ],
        [
            0.5003921572510572,
            1.9607842945021166e-10,
            0.0002960789235678547,
            2.9803921374471367e-10,
            2.999999990196079e-10,
        ],
        [
            81.07438016528926,
            0.2066115702479339,
            56.92956850624958,
            23.390495867768593,
            20.340163712455603,
        ],
    ],
    [
        [
            112.3951354380235,
            3.089867303079811,
            14.778951384310943,
            4.600497054448027,
            8.416208500176992,
        ],
        [
            195.3238617333702,
            -1.1674045974037397,
            14.778951384310943,
            4.600497054448027,
            8.416208500176992,
        ],
        [
            0.4992342478841892,
            -1.5522442295915424e-09,
            0.00038098959080496705,
            5.752545412686811e-10,
            3.9999996461713063e-10,
        ],
        [
            83.71395836166766,
            0.9639627182438429,
            14.778951384310943,
            4.600497054448027,
            8.416208500176992,
        ],
    ],
    [
        [
            116.59969320001976,
            3.380546308454171,
            13.189332588045836,
            3.4393961548496534,
            6.192474485481487,
        ],
        [
            193.30556996238408,
            -1.3892913421267128,
            13.189332588045836,
            3.4393961548496534,
            6.192474485481487,
        ],
        [
            0.49926938811632365,
            -1.4809909764306363e-09,
            0.00045891761077637147,
            9.304983591118111e-10,
            4.999998738698589e-10,
        ],
        [
            83.81124136717716,
            0.7379577364476873,
            13.189332588045836,
            3.4393961548496534,
            6.192474485481487,
        ],
    ],
    [
        [
            119.98023950847393,
            3.380546308454171,
            43.8214098319947,
            9.63187064033114,
            6.466862148743488,
        ],
        [
            191.91627862025737,
            -1.3892913421267128,
            43.8214098319947,
            9.63187064033114,
            6.466862148743488,
        ],
        [
            0.49926938663533266,
            -1.4809909764306363e-09,
            0.0005589199717729636,
            1.4304982329816699e-09,
            5.999998738698589e-10,
        ],
        [
            84.54919910362484,
            0.7379577364476873,
            43.8214098319947,
            9.63187064033114,
            6.466862148743488,
        ],
    ],
    [
        [
            123.3607858169281,
            3.380546308454171,
            87.42343093406146,
            16.098732789074628,
            6.7461030498788155,
        ],
        [
            190.52698727813066,
            -1.3892913421267128,
            87.42343093406146,
            16.098732789074628,
            6.7461030498788155,
        ],
        [
            0.49926938515434166,
            -1.4809909764306363e-09,
            0.0006589234327693035,
            2.0304981068515285e-09,
            6.999998738698589e-10,
        ],
        [
            85.28715684007253,
            0.7379577364476873,
            87.42343093406146,
            16.098732789074628,
            6.7461030498788155,
        ],
    ],
    [
        [
            130.51678911445117,
            3.977216336340319,
            16.401602545487435,
            2.592095387797542,
            3.8295137706221865,
        ],
        [
            188.12908897263353,
            -1.5486907331680648,
            16.401602545487435,
            2.592095387797542,
            3.8295137706221865,
        ],
        [
            0.5028478902238173,
            1.1393883076631393e-08,
            0.0007053938646092801,
            2.5378903284284977e-09,
            7.999991808994173e-10,
        ],
        [
            86.0028496321192,
            0.734439003474408,
            16.401602545487435,
            2.592095387797542,
            3.8295137706221865,
        ],
    ],
];

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-12 * expected.abs().max(1e-3)
}

#[test]
fn it_equals_the_eight_state_filter() {
    let mut filter = Filter::new(MEASURED[0].unwrap());
    for (frame, (measured, expected)) in MEASURED[1..].iter().zip(EXPECTED).enumerate() {
        filter.predict();
        if let Some(measured) = measured {
            filter.correct(*measured);
        }
        for (axis, expected) in filter.axes().iter().zip(expected) {
            let found = [
                axis.value,
                axis.rate,
                axis.variance,
                axis.covariance,
                axis.rate_variance,
            ];
            assert!(
                found
                    .iter()
                    .zip(expected)
                    .all(|(one, other)| close(*one, other)),
                "{frame}: {found:?} {expected:?}"
            );
        }
    }
}

#[test]
fn the_first_correction_weighs_both_sides_by_their_variance() {
    // Variances for a height of 80: (2 * 4)^2 at birth, plus (10 * 0.5)^2 of the velocity, plus 4^2 of the frame; 4^2 measured.
    let mut filter = Filter::new([0.0, 0.0, 0.5, 80.0]);
    filter.predict();
    filter.correct([10.0, 0.0, 0.5, 80.0]);
    let before = 64.0 + 25.0 + 16.0;
    let gain = before / (before + 16.0);
    assert!(close(filter.axes()[0].value, 10.0 * gain));
    assert!(close(filter.axes()[0].rate, 10.0 * 25.0 / (before + 16.0)));
    assert!(close(filter.axes()[0].variance, before * (1.0 - gain)));
}

#[test]
fn a_steady_motion_is_learned() {
    let mut filter = Filter::new([0.0, 0.0, 0.5, 80.0]);
    for frame in 1..200 {
        filter.predict();
        filter.correct([3.0 * f64::from(frame), -1.5 * f64::from(frame), 0.5, 80.0]);
    }
    let [x, y, ..] = filter.axes();
    assert!(
        (x.rate - 3.0).abs() < 1e-6 && (y.rate + 1.5).abs() < 1e-6,
        "{x:?} {y:?}"
    );
    filter.predict();
    assert!((filter.measure()[0] - 600.0).abs() < 1e-4);
}

#[test]
fn without_measurements_it_goes_on_straight_and_grows_unsure() {
    let mut filter = Filter::new([0.0, 0.0, 0.5, 80.0]);
    for frame in 1..20 {
        filter.predict();
        filter.correct([2.0 * f64::from(frame), 0.0, 0.5, 80.0 + f64::from(frame)]);
    }
    filter.hold_height();
    let (before, height) = (*filter.axes(), filter.measure()[3]);
    for _ in 0..10 {
        filter.predict();
    }
    let after = filter.axes();
    assert!(close(
        after[0].value,
        before[0].value + 10.0 * before[0].rate
    ));
    assert_eq!(
        after[3].value, height,
        "the height of a lost object stands still"
    );
    assert!(after[0].variance > before[0].variance);
}
