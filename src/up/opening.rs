//! With which money does a new cluster begin?
//!
//! One account on each node, 1000 in each. The request ids come from the data directory's memory, so sending these
//! deposits again, after whatever happened, changes nothing.

use std::path::Path;

use client::{Amount, Client, Order, Outcome, Place};
use cluster::Keeper;

use super::Failure;
use super::memory::Memory;
use crate::exit::Exit;

/// What each account is opened with.
const OPENING: &str = "1000";

/// Opens N1/A, N2/B, N3/C and so on. Returns their names.
///
/// # Errors
/// If a deposit does not commit. The next start goes on where this one stopped.
pub(crate) fn open(keeper: &Keeper, memory: &Memory, dir: &Path) -> Result<Vec<String>, Failure> {
    let mut client = Client::new(keeper.client_config()).expect("it names a coordinator and a timeout");
    let amount: Amount = OPENING.parse().expect("a good amount");
    let mut opened = Vec::new();
    for (number, node) in (1_u16..).zip(keeper.config().node_ids()) {
        let place = Place {
            node,
            account: account(number).parse().expect("letters are an account id"),
        };
        let submission = client.submit(
            Some(memory.request(number)),
            Order::deposit(place.clone(), amount),
        );
        let (exit, why) = match submission.map(|submission| submission.outcome) {
            Ok(Outcome::Committed { .. }) => {
                opened.push(place.to_string());
                continue;
            }
            Ok(outcome) => (Exit::from(&outcome), outcome.to_string()),
            Err(error) => (Exit::from(&error), error.to_string()),
        };
        return Err(Failure {
            exit,
            text: format!(
                "could not deposit {OPENING} in {place}: {why}. Start again: it goes on from there, and no deposit is \
                 made twice"
            ),
        });
    }
    memory.note_opened(dir)?;
    Ok(opened)
}

/// The account of the n-th node: A to Z, then AA, AB and so on.
fn account(number: u16) -> String {
    let mut letters = Vec::new();
    let mut left = number;
    while left > 0 {
        let digit = u8::try_from((left - 1) % 26).expect("below 26");
        letters.push(char::from(b'A' + digit));
        left = (left - 1) / 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_an_account_of_its_own() {
        let of = [1, 2, 3, 26, 27, 28, 52, 53, 100].map(account);
        assert_eq!(of, ["A", "B", "C", "Z", "AA", "AB", "AZ", "BA", "CV"]);
    }
}
