//! Something beside a state that is no part of it.

use core::hash::{Hash, Hasher};

/// What neither equality nor hashes see: two states are the same, whether or not one of them is being copied at the moment,
/// and wherever something was found in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unseen<T>(pub(crate) T);

impl<T> PartialEq for Unseen<T> {
    fn eq(&self, _: &Unseen<T>) -> bool {
        true
    }
}

impl<T> Eq for Unseen<T> {}

impl<T> Hash for Unseen<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
