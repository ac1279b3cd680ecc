//! Bugs that can be planted on purpose, to see that the simulator and the tests find them.
//!
//! A bug is a place that asks [`planted!`](crate::planted!) whether to break its rule. Without `--cfg planted` the
//! answer is the constant `false`, so that no build a user gets contains any of them. With it, [`plant`] picks the one
//! bug that this process has, so that a single build serves for all.

/// Whether this build was made to break the rule `$bug` and has been told to.
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is_on($crate::planted::Bug::$bug)
    };
}

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident,)+) => {
        /// A rule to break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Bug {
            $($(#[doc = $what])+ $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$bug,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => stringify!($bug),)+
                }
            }

            /// What it does wrong.
            pub fn what(self) -> &'static str {
                match self {
                    $(Bug::$bug => concat!($($what),+).trim_ascii(),)+
                }
            }
        }
    };
}

bugs! {
    /// A vote leaves before its record is synced (R2).
    VoteBeforeSync,
}

#[cfg(planted)]
mod choice {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Bug;

    /// The planted bug's number plus one; 0 for none.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Plants one bug in this process, or takes it out again.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8 + 1), Ordering::Relaxed);
    }

    /// Whether `bug` is planted.
    pub fn is_on(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8 + 1
    }
}

#[cfg(not(planted))]
mod choice {
    /// Whether `bug` is planted: never, in this build.
    pub const fn is_on(_bug: super::Bug) -> bool {
        false
    }
}

pub use choice::*;
