//! Money: integers in minor units (cents), checked everywhere. Zero is never an amount.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Largest amount one leg may move: 10^18 minor units. Balances go up to [`i64::MAX`].
pub const AMOUNT_MAX: i64 = 1_000_000_000_000_000_000;

const AMOUNT_MAX_UNSIGNED: u64 = AMOUNT_MAX.unsigned_abs();

/// What an account holds, in minor units. Never negative, but for `@world`.
pub type Balance = i64;

/// Why an amount was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAmount {
    /// Not an integer in minor units.
    NotAnInteger,
    /// Zero, or negative where only a positive amount makes sense.
    NotPositive,
    /// Beyond [`AMOUNT_MAX`].
    TooLarge,
}

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadAmount::NotAnInteger => f.write_str("an amount is a whole number of minor units, such as 10"),
            BadAmount::NotPositive => f.write_str("an amount must be greater than 0"),
            BadAmount::TooLarge => write!(f, "an amount is at most {AMOUNT_MAX}"),
        }
    }
}

impl core::error::Error for BadAmount {}

/// A positive amount of money: 1 to [`AMOUNT_MAX`] minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Amount(i64);

impl Amount {
    /// The amount in minor units.
    pub fn get(self) -> i64 {
        self.0
    }

    /// This amount flowing in.
    pub fn credit(self) -> Delta {
        Delta(self.0)
    }

    /// This amount flowing out.
    pub fn debit(self) -> Delta {
        Delta(-self.0)
    }
}

impl TryFrom<i64> for Amount {
    type Error = BadAmount;

    fn try_from(value: i64) -> Result<Amount, BadAmount> {
        match value {
            ..=0 => Err(BadAmount::NotPositive),
            1..=AMOUNT_MAX => Ok(Amount(value)),
            _ => Err(BadAmount::TooLarge),
        }
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> i64 {
        amount.0
    }
}

impl FromStr for Amount {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Amount, BadAmount> {
        Amount::try_from(parse_integer(text)?)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A signed change of one account: never 0, at most [`AMOUNT_MAX`] either way. Negative is a debit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Delta(i64);

impl Delta {
    /// The change in minor units.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Whether money leaves the account.
    pub fn is_debit(self) -> bool {
        self.0 < 0
    }
}

impl TryFrom<i64> for Delta {
    type Error = BadAmount;

    fn try_from(value: i64) -> Result<Delta, BadAmount> {
        match value.unsigned_abs() {
            0 => Err(BadAmount::NotPositive),
            1..=AMOUNT_MAX_UNSIGNED => Ok(Delta(value)),
            _ => Err(BadAmount::TooLarge),
        }
    }
}

impl From<Delta> for i64 {
    fn from(delta: Delta) -> i64 {
        delta.0
    }
}

impl FromStr for Delta {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Delta, BadAmount> {
        Delta::try_from(parse_integer(text)?)
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+}", self.0)
    }
}

/// What does not fit becomes the nearest number that does: far out of bounds, too.
fn parse_integer(text: &str) -> Result<i64, BadAmount> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadAmount::NotAnInteger);
    }
    let nearest = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(text.parse().unwrap_or(nearest))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn amounts_outside_1_to_the_limit_are_refused() {
        use BadAmount::{NotAnInteger, NotPositive, TooLarge};
        for (text, expected) in [
            ("10", Ok(Amount(10))),
            ("+10", Ok(Amount(10))),
            ("1000000000000000000", Ok(Amount(AMOUNT_MAX))),
            ("0", Err(NotPositive)),
            ("-1", Err(NotPositive)),
            ("-99999999999999999999", Err(NotPositive)),
            ("1000000000000000001", Err(TooLarge)),
            ("9223372036854775808", Err(TooLarge)),
            ("1e3", Err(NotAnInteger)),
            ("1.5", Err(NotAnInteger)),
            ("", Err(NotAnInteger)),
            ("+-1", Err(NotAnInteger)),
            ("ten", Err(NotAnInteger)),
        ] {
            assert_eq!(text.parse::<Amount>(), expected, "{text:?}");
            if expected.is_err() {
                faults::fired("I1");
            }
        }
    }

    #[test]
    fn a_sum_that_is_too_large_is_called_so_whatever_its_sign_and_length() {
        use BadAmount::{NotPositive, TooLarge};
        let long = "9".repeat(60);
        for sign in ["", "+", "-"] {
            for digits in [
                "1000000000000000001",
                "9223372036854775808",
                "99999999999999999999",
                &long,
            ] {
                let text = format!("{sign}{digits}");
                assert_eq!(text.parse::<Delta>(), Err(TooLarge), "{text}");
                let expected = if sign == "-" { NotPositive } else { TooLarge };
                assert_eq!(text.parse::<Amount>(), Err(expected), "{text}");
            }
        }
        assert_eq!("-0".parse::<Delta>(), Err(NotPositive));
        assert_eq!("-0".parse::<Amount>(), Err(NotPositive));
        let padded = format!("-{}30", "0".repeat(60));
        assert_eq!(padded.parse::<Delta>(), Ok(Delta(-30)));
    }
}
