//! Messages as bytes without serde's general machinery: a short way through the one format of [`codec`](crate::codec).
//!
//! Nearly all that a busy cluster says is of a few kinds. Those are written here by hand, to the very bytes that serde and
//! bincode give, and read here if they are just that: [`Short::take`] knows the shortest form of each number and the names
//! that their types allow, and whatever differs from it is left to serde, which decides what it means or why it is
//! refused. What is not usual has no short form at all.

mod message;
mod number;

use alloc::string::String;
use alloc::vec::Vec;

use smallvec::{Array, SmallVec};

use crate::leg::LEGS_MAX;

/// What may have a short form.
pub trait Short {
    /// Appends the encoded value to `out`. `false` if it has no short form; what has been appended then means nothing.
    fn put(&self, out: &mut Vec<u8>) -> bool {
        let _ = out;
        false
    }

    /// Takes a value off the front of `bytes`: the very one that serde would find there. `None` if there is none in short
    /// form, whatever else there may be; what is left in `bytes` then means nothing.
    fn take(bytes: &mut &[u8]) -> Option<Self>
    where
        Self: Sized,
    {
        let _ = bytes;
        None
    }
}

/// Texts that people wrote are for serde.
impl Short for String {}

impl<T: Short> Short for &T {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        (*self).put(out)
    }
}

impl<A: Short, B: Short> Short for (A, B) {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.0.put(out) && self.1.put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<(A, B)> {
        Some((A::take(bytes)?, B::take(bytes)?))
    }
}

impl<T: Short> Short for Option<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        out.push(self.is_some().into());
        self.as_ref().is_none_or(|value| value.put(out))
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Option<T>> {
        if bool::take(bytes)? {
            T::take(bytes).map(Some)
        } else {
            Some(None)
        }
    }
}

/// A list that is no longer than anything in a transaction, so that it fits under any limit.
impl<T: Short> Short for [T] {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.len() <= LEGS_MAX && self.len().put(out) && self.iter().all(|one| one.put(out))
    }
}

impl<T: Short> Short for Vec<T> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.as_slice().put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Vec<T>> {
        let len = take_len(bytes)?;
        let mut list = Vec::with_capacity(len);
        for _ in 0..len {
            list.push(T::take(bytes)?);
        }
        Some(list)
    }
}

impl<A: Array<Item: Short>> Short for SmallVec<A> {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        self.as_slice().put(out)
    }

    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<SmallVec<A>> {
        let len = take_len(bytes)?;
        let mut list = SmallVec::new();
        for _ in 0..len {
            list.push(A::Item::take(bytes)?);
        }
        Some(list)
    }
}

#[inline]
fn take_len(bytes: &mut &[u8]) -> Option<usize> {
    usize::take(bytes).filter(|&len| len <= LEGS_MAX)
}

/// A text behind its length.
impl Short for str {
    #[inline]
    fn put(&self, out: &mut Vec<u8>) -> bool {
        put_text(self.as_bytes(), out)
    }
}

#[inline]
fn put_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let is_put = text.len().put(out);
    out.extend_from_slice(text);
    is_put
}

/// The bytes of a text, which may not be one.
#[inline]
fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::take(bytes)?;
    let (text, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(text)
}

#[inline]
fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(byte)
}

/// Gives a struct with these members, in this order, a short form.
macro_rules! short_struct {
    ($type:ident { $($member:ident),+ }) => {
        impl $crate::short::Short for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) -> bool {
                let $type { $($member),+ } = self;
                $($member.put(out))&&+
            }

            #[inline]
            fn take(bytes: &mut &[u8]) -> Option<$type> {
                $(let $member = $crate::short::Short::take(bytes)?;)+
                Some($type { $($member),+ })
            }
        }
    };
}

/// Gives these kinds of an enum, each under its number and with its members in this order, a short form. Other kinds have
/// none.
macro_rules! short_enum {
    ($type:ident { $($number:literal $kind:ident $(($only:ident))? $({ $($member:ident),+ })?)+ }) => {
        impl $crate::short::Short for $type {
            #[inline]
            fn put(&self, out: &mut Vec<u8>) -> bool {
                $(
                    if let $type::$kind $(($only))? $({ $($member),+ })? = self {
                        out.push($number);
                        return true $(&& $only.put(out))? $($(&& $member.put(out))+)?;
                    }
                )+
                false
            }

            #[inline]
            fn take(bytes: &mut &[u8]) -> Option<$type> {
                match $crate::short::take_byte(bytes)? {
                    $(
                        $number => {
                            $(let $only = $crate::short::Short::take(bytes)?;)?
                            $($(let $member = $crate::short::Short::take(bytes)?;)+)?
                            Some($type::$kind $(($only))? $({ $($member),+ })?)
                        }
                    )+
                    _ => None,
                }
            }
        }
    };
}

use {short_enum, short_struct};
