//! Optimal assignment of rows to columns with a limit: pairs beyond it are never made.
//!
//! This is the problem that `lap.lapjv(cost, cost_limit)` solves in the paper's code: the sum of `limit - cost` over
//! the chosen pairs becomes as large as it can. Few boxes overlap, so the pairs that are allowed fall into small
//! groups that have nothing to do with each other. Each is solved by itself: a group of one row or one column by
//! looking, a larger one by the shortest augmenting paths of Jonker and Volgenant (crate `lsap`). Together that is
//! the optimum of the whole, at a fraction of the cost of one large matrix.

/// A pair that is allowed, and by how much its cost stays below the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The row.
    pub row: usize,
    /// The column.
    pub column: usize,
    /// `limit - cost`, above zero.
    pub gain: f64,
}

/// Choose pairs so that no row and no column is in two of them and the sum of gains is largest.
///
/// Edges without a finite gain above zero are left out. The pairs come ordered by row.
#[must_use]
pub fn assign(rows: usize, columns: usize, edges: &[Edge]) -> Vec<(usize, usize)> {
    let mut groups = Groups::new(rows + columns);
    let edges: Vec<Edge> = edges
        .iter()
        .copied()
        .filter(|edge| edge.gain > 0.0 && edge.gain.is_finite())
        .collect();
    for edge in &edges {
        groups.join(edge.row, rows + edge.column);
    }
    let mut grouped: Vec<(usize, Edge)> = edges
        .into_iter()
        .map(|edge| (groups.find(edge.row), edge))
        .collect();
    grouped.sort_by_key(|(group, edge)| (*group, edge.row, edge.column));
    let mut pairs = Vec::with_capacity(rows.min(columns));
    for group in grouped.chunk_by(|one, other| one.0 == other.0) {
        solve(group, &mut pairs);
    }
    pairs.sort_unstable();
    pairs
}

/// One group: by looking where there is one row or one column.
fn solve(group: &[(usize, Edge)], pairs: &mut Vec<(usize, usize)>) {
    let first = group[0].1;
    let star = group.iter().all(|(_, edge)| edge.row == first.row)
        || group.iter().all(|(_, edge)| edge.column == first.column);
    if star {
        let best = group
            .iter()
            .map(|(_, edge)| edge)
            .fold(
                first,
                |best, edge| if edge.gain > best.gain { *edge } else { best },
            );
        pairs.push((best.row, best.column));
    } else {
        solve_matrix(group, pairs);
    }
}

/// One group as a dense matrix of gains, zero where a pair is not allowed.
fn solve_matrix(group: &[(usize, Edge)], pairs: &mut Vec<(usize, usize)>) {
    let rows = distinct(group.iter().map(|(_, edge)| edge.row));
    let columns = distinct(group.iter().map(|(_, edge)| edge.column));
    let mut gains = vec![0.0; rows.len() * columns.len()];
    for (_, edge) in group {
        if let (Ok(row), Ok(column)) = (
            rows.binary_search(&edge.row),
            columns.binary_search(&edge.column),
        ) {
            gains[row * columns.len() + column] = edge.gain;
        }
    }
    // It fails for what is not finite only; a gain is finite by its construction, and no pair is a valid answer.
    if let Ok((chosen, partners)) = lsap::solve(rows.len(), columns.len(), &gains, true) {
        let allowed = chosen
            .into_iter()
            .zip(partners)
            .filter(|(row, column)| gains[row * columns.len() + column] > 0.0);
        pairs.extend(allowed.map(|(row, column)| (rows[row], columns[column])));
    }
}

fn distinct(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut found: Vec<usize> = numbers.collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Disjoint sets (union by smaller number, path halving).
struct Groups(Vec<usize>);

impl Groups {
    fn new(size: usize) -> Self {
        Self((0..size).collect())
    }

    fn find(&mut self, mut one: usize) -> usize {
        while self.0[one] != one {
            self.0[one] = self.0[self.0[one]];
            one = self.0[one];
        }
        one
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.find(one), self.find(other));
        self.0[one.max(other)] = one.min(other);
    }
}
