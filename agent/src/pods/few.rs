//! A few annotations, in little memory: of a cluster's ServiceAccounts and namespaces there are many.

use std::ops::Index;

/// Annotations by key. A tree would take half a kilobyte for the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Few(Vec<(String, String)>);

impl Few {
    /// What stands under `key`.
    pub fn get(&self, key: &str) -> Option<&String> {
        let mut all = self.0.iter();
        all.find_map(|(of, value)| (of == key).then_some(value))
    }

    /// Every value, in the order of the keys.
    pub fn values(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Index<&str> for Few {
    type Output = String;

    /// # Panics
    ///
    /// If there is no such key.
    fn index(&self, key: &str) -> &String {
        self.get(key).expect("the key is there")
    }
}

impl FromIterator<(String, String)> for Few {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        all.shrink_to_fit();
        Self(all)
    }
}

impl<T: IntoIterator<Item = (String, String)>> From<T> for Few {
    fn from(all: T) -> Self {
        all.into_iter().collect()
    }
}
