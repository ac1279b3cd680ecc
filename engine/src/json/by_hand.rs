//! A balance file written by hand, `{"A": 100}`, as a node's very first start may find it.
//!
//! It is taken whole or refused whole; a refusal names what is wrong and leaves the file as it is.

use std::collections::BTreeSet;
use std::fmt;

use protocol::id::AccountId;
use protocol::money::Balance;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// What a hand-written file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByHand {
    /// In the file's order.
    pub(crate) accounts: Vec<(AccountId, Balance)>,
    /// CRC-32 of the file.
    pub(crate) digest: u32,
}

/// Reads a hand-written balance file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> Result<ByHand, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let accounts = json
        .deserialize_map(Accounts)
        .map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    let total: i128 = accounts.iter().map(|(_, balance)| i128::from(*balance)).sum();
    if Balance::try_from(total).is_err() {
        return Err(format!(
            "its balances add up to {total}, more than an account can balance"
        ));
    }
    let digest = crc32fast::hash(bytes);
    Ok(ByHand { accounts, digest })
}

struct Accounts;

impl<'de> Visitor<'de> for Accounts {
    type Value = Vec<(AccountId, Balance)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of balances such as {\"A\": 100}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut accounts = Vec::new();
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let id: AccountId = name.parse().map_err(de::Error::custom)?;
            let Money(balance) = map
                .next_value()
                .map_err(|error| de::Error::custom(format_args!("account {id}: {error}")))?;
            if !seen.insert(id.clone()) {
                return Err(de::Error::custom(format_args!("account {id} is there twice")));
            }
            accounts.push((id, balance));
        }
        Ok(accounts)
    }
}

struct Money(Balance);

impl<'de> de::Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = Money;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number of minor units from 0 to {}", Balance::MAX)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Money, E> {
                let balance = Balance::try_from(value);
                balance
                    .map(Money)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
        }

        deserializer.deserialize_u64(Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_is_taken_whole() {
        let text = b" {\"B\": 0,\n\"A\": 9223372036854775807} \n";
        let accounts = vec![("B".parse().unwrap(), 0), ("A".parse().unwrap(), i64::MAX)];
        let digest = crc32fast::hash(text);
        assert_eq!(parse(text), Ok(ByHand { accounts, digest }));
        assert_eq!(parse(b"{}").unwrap().accounts, []);
    }

    #[test]
    fn a_file_with_one_flaw_is_refused_and_the_flaw_named() {
        for (text, flaw) in [
            ("{\"A\": 1, \"A\": 1}", "account A is there twice"),
            ("{\"A\": 1.0}", "account A"),
            ("{\"A\": 1e2}", "account A"),
            ("{\"A\": -1}", "account A"),
            ("{\"A\": 9223372036854775808}", "account A"),
            ("{\"A\": 99999999999999999999999}", "account A"),
            ("{\"A\": \"1\"}", "account A"),
            ("{\"A\": null}", "account A"),
            ("{\"a b\": 1}", "\"a b\" is not an account id"),
            ("{\"@world\": 1}", "\"@world\" is not an account id"),
            ("{\"_meta\": {}}", "\"_meta\" is not an account id"),
            ("[1]", "an object of balances"),
            ("1", "an object of balances"),
            ("", "EOF"),
            ("{\"A\": 1} {", "trailing"),
            ("{\"A\": 9223372036854775807, \"B\": 1}", "add up to"),
        ] {
            let refused = parse(text.as_bytes()).unwrap_err();
            assert!(refused.contains(flaw), "{text}: {refused}");
        }
    }
}
