//! The assignment against every possible one.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::random::Random;
use videotracker::track::assign::{Edge, assign};

/// The largest sum of gains over all ways to choose pairs, by trying them all.
fn best(gains: &[Vec<f64>], row: usize, taken: u32) -> f64 {
    let Some(columns) = gains.get(row) else {
        return 0.0;
    };
    let free = |column: &usize| taken & (1 << column) == 0 && columns[*column] > 0.0;
    let with = (0..columns.len())
        .filter(free)
        .map(|column| columns[column] + best(gains, row + 1, taken | 1 << column));
    with.fold(best(gains, row + 1, taken), f64::max)
}

fn edges(gains: &[Vec<f64>]) -> Vec<Edge> {
    let row = |(row, columns): (usize, &Vec<f64>)| -> Vec<Edge> {
        columns
            .iter()
            .enumerate()
            .map(|(column, gain)| Edge {
                row,
                column,
                gain: *gain,
            })
            .collect()
    };
    gains.iter().enumerate().flat_map(row).collect()
}

fn check(gains: &[Vec<f64>], columns: usize, what: &str) {
    let pairs = assign(gains.len(), columns, &edges(gains));
    let sum: f64 = pairs.iter().map(|(row, column)| gains[*row][*column]).sum();
    let expected = best(gains, 0, 0);
    assert!(
        (sum - expected).abs() < 1e-12,
        "{what}: {sum} of {expected}: {gains:?}"
    );
    assert!(
        pairs.iter().all(|(row, column)| gains[*row][*column] > 0.0),
        "{what}: a pair beyond the limit: {pairs:?}"
    );
    let mut used: Vec<usize> = pairs.iter().map(|(_, column)| *column).collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), pairs.len(), "{what}: a column twice");
    assert!(
        pairs.windows(2).all(|two| two[0].0 < two[1].0),
        "{what}: a row twice, or no order"
    );
}

#[test]
fn it_is_the_best_of_all_assignments() {
    let mut random = Random::new(1);
    for turn in 0..4000 {
        let (rows, columns) = (1 + random.below(7), 1 + random.below(7));
        let allowed = [0.15, 0.3, 0.6, 1.0][turn % 4];
        let gains: Vec<Vec<f64>> = (0..rows)
            .map(|_| {
                (0..columns)
                    .map(|_| {
                        if random.chance(allowed) {
                            random.between(-0.1, 0.8)
                        } else {
                            0.0
                        }
                    })
                    .collect()
            })
            .collect();
        check(&gains, columns, &format!("turn {turn}"));
    }
}

#[test]
fn ties_are_still_the_best() {
    let mut random = Random::new(2);
    for turn in 0..1500 {
        let (rows, columns) = (1 + random.below(6), 1 + random.below(6));
        let gains: Vec<Vec<f64>> = (0..rows)
            .map(|_| (0..columns).map(|_| random.below(3) as f64 / 4.0).collect())
            .collect();
        check(&gains, columns, &format!("turn {turn}"));
    }
}

#[test]
fn a_greedy_choice_would_be_worse() {
    // Taking 0.6 first leaves 0.1; the best is 0.5 + 0.5.
    let gains = [vec![0.6, 0.5], vec![0.5, 0.1]];
    assert_eq!(assign(2, 2, &edges(&gains)), [(0, 1), (1, 0)]);
}

#[test]
fn what_is_no_number_is_no_pair() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0];
    let edges: Vec<Edge> = odd
        .iter()
        .enumerate()
        .map(|(row, gain)| Edge {
            row,
            column: row,
            gain: *gain,
        })
        .collect();
    assert!(assign(5, 5, &edges).is_empty());
    assert!(assign(0, 0, &[]).is_empty());
}

#[test]
fn five_hundred_that_all_overlap_are_bounded() {
    let mut random = Random::new(3);
    let gains: Vec<Vec<f64>> = (0..512)
        .map(|_| (0..512).map(|_| random.between(0.01, 0.8)).collect())
        .collect();
    let begun = std::time::Instant::now();
    assert_eq!(assign(512, 512, &edges(&gains)).len(), 512);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
