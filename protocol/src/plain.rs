//! JSON in the one form in which we write it ourselves: no spaces, members in the order in which they are declared, names
//! that need no escapes.
//!
//! A busy node writes and rereads millions of records, nearly all of a few kinds. Those are written here without the
//! general machinery, to the very bytes that it would make, and read here if they are just that: [`Plain::read`]
//! knows this form alone, and whatever differs from it by a single byte is left to serde, which decides what it means
//! or why it is refused. So there is one format, with a short way through it.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use smallvec::{Array, SmallVec};

use crate::id::{AccountId, NodeId, RequestId, StoreId, TxnId, TxnPoint};
use crate::ledger::HoldKind;
use crate::leg::{BodyDigest, Leg, Operation, Order};
use crate::message::Home;
use crate::money::Delta;
use crate::participant::{NodeEntry, Progress, RequestEntry};
use crate::reason::Reason;

/// What may have a plain form. That of a record or an entry is without its outermost braces.
pub trait Plain: Sized {
    /// Appends the plain form to `out`. `false` if there is none; what has been appended then means nothing.
    fn write(&self, out: &mut Vec<u8>) -> bool {
        let _ = out;
        false
    }

    /// Reads what stands in `text`. `None` if that is not a plain form, whatever else it may be.
    fn read(text: &[u8]) -> Option<Self> {
        let (value, len) = Self::read_first(text)?;
        (len == text.len()).then_some(value)
    }

    /// Reads the plain form that `text` begins with, and says how long it is: for what stands among others.
    fn read_first(text: &[u8]) -> Option<(Self, usize)> {
        let _ = text;
        None
    }
}

/// Something that plain forms are made of.
pub(crate) trait Piece: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

/// What has not been read yet.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { rest: text }
    }

    /// Reads exactly `text`.
    pub(crate) fn literal(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text.as_bytes())?;
        Some(())
    }

    /// Reads up to the next quotation mark, and that, too.
    pub(crate) fn quoted(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|&byte| byte == b'"')?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Some(text)
    }

    /// The same for a name, which a type of its own checks in full: none of them takes an escape.
    fn name<T>(&mut self, parse: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        self.literal("\"")?;
        parse(core::str::from_utf8(self.quoted()?).ok()?)
    }

    /// How much has not been read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether all has been read.
    pub(crate) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    fn starts_with(&self, byte: u8) -> bool {
        self.rest.first() == Some(&byte)
    }
}

/// Decimal digits as JSON has them: no sign, no leading zero.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        let value = value.checked_mul(10)?.checked_add(digit.into())?;
        (digit < 10).then_some(value)
    })
}

/// Up to 16 hexadecimal digits, lowercase.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if !(1..=16).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

impl Piece for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Option<u64> {
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let len = from.rest.iter().take_while(|byte| is_digit(byte)).count();
        let (digits, rest) = from.rest.split_at(len);
        from.rest = rest;
        decimal(digits)
    }
}

impl Piece for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        if *self < 0 {
            out.push(b'-');
        }
        self.unsigned_abs().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<i64> {
        let is_negative = from.literal("-").is_some();
        let size = u64::read(from)?;
        match is_negative {
            false => i64::try_from(size).ok(),
            true if size > 0 => 0_i64.checked_sub_unsigned(size),
            true => None,
        }
    }
}

impl Piece for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<u32> {
        u64::read(from)?.try_into().ok()
    }
}

impl Piece for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn read(from: &mut Reader<'_>) -> Option<bool> {
        if from.starts_with(b't') {
            from.literal("true").map(|()| true)
        } else {
            from.literal("false").map(|()| false)
        }
    }
}

impl<T: Piece> Piece for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Option<T>> {
        if from.starts_with(b'n') {
            from.literal("null").map(|()| None)
        } else {
            T::read(from).map(Some)
        }
    }
}

fn write_list<T: Piece>(list: &[T], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, one) in list.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one.write(out);
    }
    out.push(b']');
}

fn read_list<T: Piece>(from: &mut Reader<'_>, mut take: impl FnMut(T)) -> Option<()> {
    from.literal("[")?;
    if from.starts_with(b']') {
        return from.literal("]");
    }
    loop {
        take(T::read(from)?);
        if !from.starts_with(b',') {
            return from.literal("]");
        }
        from.literal(",")?;
    }
}

impl<A: Array<Item: Piece>> Piece for SmallVec<A> {
    fn write(&self, out: &mut Vec<u8>) {
        write_list(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<SmallVec<A>> {
        let mut list = SmallVec::new();
        read_list(from, |one| list.push(one))?;
        Some(list)
    }
}

impl<T: Piece> Piece for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_list(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Vec<T>> {
        let mut list = Vec::new();
        read_list(from, |one| list.push(one))?;
        Some(list)
    }
}

impl Piece for NodeId {
    fn write(&self, out: &mut Vec<u8>) {
        write_quoted(self.as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<NodeId> {
        from.name(|text| text.parse().ok())
    }
}

impl Piece for AccountId {
    fn write(&self, out: &mut Vec<u8>) {
        write_quoted(self.as_str().as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<AccountId> {
        from.name(|text| AccountId::parse_ours(text).ok())
    }
}

impl Piece for StoreId {
    fn write(&self, out: &mut Vec<u8>) {
        write_quoted(self.text().as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<StoreId> {
        from.literal("\"")?;
        hexadecimal(from.quoted()?).map(StoreId)
    }
}

impl Piece for TxnId {
    fn write(&self, out: &mut Vec<u8>) {
        write_quoted(self.text().as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<TxnId> {
        from.literal("\"")?;
        let mut parts = from.quoted()?.split(|&byte| byte == b'-');
        let coordinator = StoreId(hexadecimal(parts.next()?)?);
        let epoch = decimal(parts.next()?)?.try_into().ok()?;
        let sequence = decimal(parts.next()?)?;
        let is_whole = parts.next().is_none();
        is_whole.then_some(TxnId::new(coordinator, epoch, sequence))
    }
}

impl Piece for RequestId {
    fn write(&self, out: &mut Vec<u8>) {
        write_quoted(self.text().as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<RequestId> {
        from.literal("\"")?;
        let (high, low) = from.quoted()?.split_at_checked(16)?;
        let is_whole = low.len() == 16;
        let id = u128::from(hexadecimal(high)?) << 64 | u128::from(hexadecimal(low)?);
        is_whole.then_some(RequestId(id))
    }
}

impl Piece for BodyDigest {
    fn write(&self, out: &mut Vec<u8>) {
        StoreId(self.0).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<BodyDigest> {
        StoreId::read(from).map(|StoreId(bits)| BodyDigest(bits))
    }
}

impl Piece for Delta {
    fn write(&self, out: &mut Vec<u8>) {
        self.get().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Delta> {
        i64::read(from)?.try_into().ok()
    }
}

impl Piece for Leg {
    fn write(&self, out: &mut Vec<u8>) {
        write_quoted(self.text().as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Leg> {
        from.name(|text| Leg::parse_ours(text).ok())
    }
}

impl Piece for Order {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"legs\":");
        write_list(self.legs(), out);
        out.extend_from_slice(b",\"opens\":");
        self.opens().write(out);
        out.push(b'}');
    }

    fn read(from: &mut Reader<'_>) -> Option<Order> {
        from.literal("{\"legs\":")?;
        let legs = Vec::read(from)?;
        from.literal(",\"opens\":")?;
        let opens = bool::read(from)?;
        from.literal("}")?;
        Some(Order::of_parts(legs, opens))
    }
}

impl Piece for RequestEntry {
    fn write(&self, out: &mut Vec<u8>) {
        let RequestEntry {
            digest,
            txn,
            progress,
        } = self;
        out.push(b'[');
        digest.write(out);
        out.push(b',');
        txn.write(out);
        if let Some(seq) = progress.ended() {
            out.push(b',');
            seq.write(out);
        }
        if let Progress::Aborted(_, reason) = progress {
            out.push(b',');
            reason.write(out);
        }
        out.push(b']');
    }

    fn read(from: &mut Reader<'_>) -> Option<RequestEntry> {
        from.literal("[")?;
        let digest = BodyDigest::read(from)?;
        from.literal(",")?;
        let txn = TxnId::read(from)?;
        let mut progress = Progress::Open;
        if from.literal(",").is_some() {
            let seq = u64::read(from)?;
            progress = match from.literal(",") {
                Some(()) => Progress::Aborted(seq, Box::new(Reason::read(from)?)),
                None => Progress::Committed(seq),
            };
        }
        from.literal("]")?;
        Some(RequestEntry {
            digest,
            txn,
            progress,
        })
    }
}

/// Of a node's entries, requests are a million. Balances stand elsewhere in a state file, and of all others there are few.
impl Plain for NodeEntry {
    fn write(&self, out: &mut Vec<u8>) -> bool {
        let NodeEntry::Request(request, entry) = self else {
            return false;
        };
        out.extend_from_slice(b"\"request\":[");
        request.write(out);
        out.push(b',');
        entry.write(out);
        out.push(b']');
        true
    }

    fn read_first(text: &[u8]) -> Option<(NodeEntry, usize)> {
        let mut from = Reader::new(text);
        from.literal("\"request\":[")?;
        let request = RequestId::read(&mut from)?;
        from.literal(",")?;
        let entry = RequestEntry::read(&mut from)?;
        from.literal("]")?;
        Some((NodeEntry::Request(request, entry), text.len() - from.left()))
    }
}

impl Piece for HoldKind {
    fn write(&self, out: &mut Vec<u8>) {
        let word = match self {
            HoldKind::Exclusive => "exclusive",
            HoldKind::Escrow => "escrow",
        };
        write_quoted(word.as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<HoldKind> {
        from.name(|text| match text {
            "exclusive" => Some(HoldKind::Exclusive),
            "escrow" => Some(HoldKind::Escrow),
            _ => None,
        })
    }
}

impl Piece for Reason {
    fn write(&self, out: &mut Vec<u8>) {
        write_quoted(self.to_string().as_bytes(), out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Reason> {
        from.name(|text| text.parse().ok())
    }
}

/// Makes an object with these members, in this order, a [`Piece`].
macro_rules! plain_object {
    ($type:ident { $first:ident $(, $other:ident)* }) => {
        impl $crate::plain::Piece for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let $type { $first $(, $other)* } = self;
                out.extend_from_slice(concat!("{\"", stringify!($first), "\":").as_bytes());
                $crate::plain::Piece::write($first, out);
                $(
                    out.extend_from_slice(concat!(",\"", stringify!($other), "\":").as_bytes());
                    $crate::plain::Piece::write($other, out);
                )*
                out.push(b'}');
            }

            fn read(from: &mut $crate::plain::Reader<'_>) -> Option<$type> {
                from.literal(concat!("{\"", stringify!($first), "\":"))?;
                let $first = $crate::plain::Piece::read(from)?;
                $(
                    from.literal(concat!(",\"", stringify!($other), "\":"))?;
                    let $other = $crate::plain::Piece::read(from)?;
                )*
                from.literal("}")?;
                Some($type { $first $(, $other)* })
            }
        }
    };
}

/// Gives records of these kinds, each under its action and with its members in this order, a [`Plain`] form. Records of
/// other kinds have none.
macro_rules! plain_records {
    ($type:ident { $($action:literal $kind:ident { $($member:ident),+ })+ }) => {
        impl $crate::plain::Plain for $type {
            fn write(&self, out: &mut Vec<u8>) -> bool {
                $(
                    if let $type::$kind { $($member),+ } = self {
                        out.extend_from_slice(concat!("\"action\":\"", $action, "\"").as_bytes());
                        $(
                            out.extend_from_slice(concat!(",\"", stringify!($member), "\":").as_bytes());
                            $crate::plain::Piece::write($member, out);
                        )+
                        return true;
                    }
                )+
                false
            }

            fn read(text: &[u8]) -> Option<$type> {
                let mut from = $crate::plain::Reader::new(text);
                from.literal("\"action\":\"")?;
                let action = from.quoted()?;
                $(
                    if action == $action.as_bytes() {
                        $(
                            from.literal(concat!(",\"", stringify!($member), "\":"))?;
                            let $member = $crate::plain::Piece::read(&mut from)?;
                        )+
                        from.end()?;
                        return Some($type::$kind { $($member),+ });
                    }
                )+
                None
            }
        }
    };
}

pub(crate) use plain_records;

plain_object!(Home {
    request,
    digest,
    repeated
});
plain_object!(Operation { account, delta });
plain_object!(TxnPoint { epoch, sequence });
