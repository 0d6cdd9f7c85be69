//! An array's bytes: its own, or somebody else's that are looked at where they lie.

use std::ops::Deref;
use std::sync::Arc;

/// Bytes that lie somewhere else, kept there as long as this lives.
pub type Elsewhere = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// An array's bytes.
///
/// What lies elsewhere is copied once, by whoever needs a copy: into a worker's memory, or before a
/// call is left to a thread that may outlive its caller.
#[derive(Clone)]
pub enum Data {
    /// Its own.
    Own(Vec<u8>),
    /// Somebody else's.
    Elsewhere(Elsewhere),
}

impl Data {
    /// Bytes of its own: copied where they were not.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Data::Own(bytes) => bytes,
            Data::Elsewhere(bytes) => (*bytes).as_ref().to_vec(),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Data::Own(Vec::new())
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Data::Own(bytes) => bytes,
            Data::Elsewhere(bytes) => (**bytes).as_ref(),
        }
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Data::Own(bytes)
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_elsewhere_is_looked_at_there() {
        let bytes: Arc<Vec<u8>> = Arc::new(vec![1, 2, 3]);
        let data = Data::Elsewhere(Arc::clone(&bytes) as Elsewhere);
        assert_eq!(data.as_ptr(), bytes.as_ptr());
        assert_eq!(data, Data::from(vec![1, 2, 3]));
        let copy = data.into_vec();
        assert_ne!(copy.as_ptr(), bytes.as_ptr());
    }
}
