//! Parts of a state, hashed once and shared between the states that contain them.
//!
//! A state is a handful of parts, and a step changes one or two. So a state is cheap to copy and to hash, and because
//! a [`Pool`] keeps one copy of equal parts, millions of states fit into memory.

use std::collections::HashSet;
use std::fmt::{self, Debug, Formatter};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex};

/// A part: immutable, with its hash beside it.
pub(crate) struct Shared<T>(Arc<(u64, T)>);

impl<T: Hash> Shared<T> {
    pub(crate) fn new(part: T) -> Shared<T> {
        let mut hasher = DefaultHasher::new();
        part.hash(&mut hasher);
        Shared(Arc::new((hasher.finish(), part)))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared(Arc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0.0);
    }
}

impl<T: Debug> Debug for Shared<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.1.fmt(f)
    }
}

impl<T: Eq> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.0 == *other.0
    }
}

impl<T: Eq> Eq for Shared<T> {}

/// One copy of every part that any state has had.
#[derive(Debug)]
pub(crate) struct Pool<T>(Mutex<HashSet<Shared<T>>>);

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool(Mutex::default())
    }
}

impl<T: Eq + Hash> Pool<T> {
    /// The one copy of `part`.
    pub(crate) fn share(&self, part: T) -> Shared<T> {
        let part = Shared::new(part);
        let mut parts = self.0.lock().expect("no holder of this lock panics");
        if let Some(known) = parts.get(&part) {
            return known.clone();
        }
        parts.insert(part.clone());
        part
    }
}
