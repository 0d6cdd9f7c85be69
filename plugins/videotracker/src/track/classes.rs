//! Which classes a detector mistakes for one another, and which class an object has after all.

use serde::{Deserialize, Serialize};

/// A set of classes with numbers below [`Classes::MOST`]; written as the list of its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u32>", from = "Vec<u32>")]
pub struct Classes(u128);

impl Classes {
    /// Numbers from this one on are in no set.
    pub const MOST: u32 = u128::BITS;

    /// Is it in the set?
    #[must_use]
    pub fn contains(self, class_id: u32) -> bool {
        class_id < Self::MOST && self.0 & (1 << class_id) != 0
    }

    /// Is there none in the set?
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Can a detection of one class be an object of the other?
    #[must_use]
    pub fn alike(self, one: u32, other: u32) -> bool {
        one == other || self.contains(one) && self.contains(other)
    }
}

impl FromIterator<u32> for Classes {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let known = numbers.into_iter().filter(|number| *number < Self::MOST);
        Self(known.fold(0, |set, number| set | 1 << number))
    }
}

impl From<Vec<u32>> for Classes {
    fn from(numbers: Vec<u32>) -> Self {
        numbers.into_iter().collect()
    }
}

impl From<Classes> for Vec<u32> {
    fn from(set: Classes) -> Self {
        (0..Classes::MOST)
            .filter(|number| set.contains(*number))
            .collect()
    }
}

/// How surely an object was seen as each class: its confidences added up, in thousandths (whole numbers, so that a
/// checkpoint continues exactly).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Votes(Vec<(u32, u64)>);

impl Votes {
    /// It was seen as that class once more.
    pub(crate) fn add(&mut self, class_id: u32, confidence: f32) {
        self.count(class_id, (confidence * 1000.0) as u64);
    }

    /// What another object was seen as counts as well.
    pub(crate) fn join(&mut self, other: &Self) {
        for (class_id, weight) in &other.0 {
            self.count(*class_id, *weight);
        }
    }

    fn count(&mut self, class_id: u32, weight: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == class_id) {
            Some((_, sum)) => *sum = sum.saturating_add(weight),
            None => self.0.push((class_id, weight)),
        }
    }

    /// The class that it was seen as most surely; of equal ones the one that came first.
    pub(crate) fn winner(&self) -> Option<u32> {
        let best = self.0.iter().copied();
        best.reduce(|best, one| if one.1 > best.1 { one } else { best })
            .map(|(class_id, _)| class_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_its_numbers() {
        let set: Classes = serde_json::from_str("[2, 0, 127, 128, 4000000000]").unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), "[0,2,127]");
        assert!(set.alike(0, 127) && set.alike(128, 128));
        assert!(!set.alike(0, 1) && !set.alike(0, 128) && !Classes::default().alike(0, 2));
    }

    #[test]
    fn the_most_surely_seen_class_wins() {
        let mut votes = Votes::default();
        assert_eq!(votes.winner(), None);
        votes.add(2, 0.5);
        votes.add(0, 0.5);
        assert_eq!(votes.winner(), Some(2), "of equal ones the first");
        votes.add(0, 0.1);
        assert_eq!(votes.winner(), Some(0));
        votes.join(&votes.clone());
        votes.add(2, 0.9);
        assert_eq!(votes.winner(), Some(2));
    }
}
