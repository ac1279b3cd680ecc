//! Which accounts does the next transaction touch?
//!
//! Accounts are numbers; account `i` lives on the node `i % nodes`, so that neighbours are always on different nodes.
//! A transaction debits one account and credits the others with 1 each, all on different nodes as far as there are
//! enough.

use std::fmt;
use std::str::FromStr;

use engine::Dice;

/// How often an account on a node that is taken already is drawn anew, before a neighbour must do.
const DRAWS_MAX: u32 = 8;

/// How accounts are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dist {
    /// All alike.
    Uniform,
    /// The account of rank `k` as often as `1 / k^s`.
    Zipf(f64),
    /// This share of the transactions touch account 0, which alternately pays and receives; the rest is uniform.
    Hot(f64),
}

impl FromStr for Dist {
    type Err = String;

    fn from_str(text: &str) -> Result<Dist, String> {
        let bad = || {
            format!(
                "{text:?} is not a distribution: write uniform, zipf:S with 0 < S <= 5, or hot:F with 0 <= F <= 1"
            )
        };
        if text == "uniform" {
            return Ok(Dist::Uniform);
        }
        let (name, number) = text.split_once(':').ok_or_else(bad)?;
        let number: f64 = number.parse().map_err(|_| bad())?;
        match name {
            "zipf" if number > 0.0 && number <= 5.0 => Ok(Dist::Zipf(number)),
            "hot" if (0.0..=1.0).contains(&number) => Ok(Dist::Hot(number)),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Dist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dist::Uniform => f.write_str("uniform"),
            Dist::Zipf(s) => write!(f, "zipf:{s}"),
            Dist::Hot(share) => write!(f, "hot:{share}"),
        }
    }
}

/// One account's part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The account's number.
    pub account: u64,
    /// What it gains or loses.
    pub delta: i64,
}

/// An endless row of transactions.
#[derive(Clone, Debug)]
pub struct Workload {
    accounts: u64,
    nodes: u64,
    legs: usize,
    dist: Dist,
    zipf: Option<Zipf>,
    dice: Dice,
    /// Whether the hot account paid last time.
    hot_paid: bool,
}

impl Workload {
    /// Transactions of `legs` legs over so many accounts and nodes.
    ///
    /// # Panics
    /// If there are fewer accounts than legs, or fewer than two of either.
    pub fn new(accounts: u64, nodes: u16, legs: usize, dist: Dist, seed: u64) -> Workload {
        assert!(
            legs >= 2 && accounts >= u64::try_from(legs).expect("small"),
            "{legs} legs, {accounts} accounts"
        );
        Workload {
            accounts,
            nodes: u64::from(nodes),
            legs,
            dist,
            zipf: match dist {
                Dist::Zipf(s) => Some(Zipf::new(accounts, s)),
                Dist::Uniform | Dist::Hot(_) => None,
            },
            dice: Dice::new(seed),
            hot_paid: false,
        }
    }

    /// Puts the next transaction's parts into `parts`: the payer first.
    pub fn next(&mut self, parts: &mut Vec<Part>) {
        parts.clear();
        let hot = match self.dist {
            Dist::Hot(share) => unit(&mut self.dice) < share,
            Dist::Uniform | Dist::Zipf(_) => false,
        };
        let first = if hot { 0 } else { self.draw() };
        parts.push(Part {
            account: first,
            delta: 1,
        });
        while parts.len() < self.legs {
            let account = self.another(parts);
            parts.push(Part { account, delta: 1 });
        }
        if hot {
            self.hot_paid = !self.hot_paid;
            if !self.hot_paid {
                parts.swap(0, 1);
            }
        }
        parts[0].delta = -i64::try_from(parts.len() - 1).expect("few legs");
    }

    /// An account that is not among `parts`, on a node that is not either if that is possible.
    fn another(&mut self, parts: &[Part]) -> u64 {
        let count = u64::try_from(parts.len()).expect("few legs");
        let apart = count < self.nodes;
        for _ in 0..DRAWS_MAX {
            let account = self.draw();
            let clash = |part: &Part| {
                part.account == account || (apart && part.account % self.nodes == account % self.nodes)
            };
            if !parts.iter().any(clash) {
                return account;
            }
        }
        let last = parts[parts.len() - 1].account;
        let mut account = (last + 1) % self.accounts;
        while parts.iter().any(|part| part.account == account) {
            account = (account + 1) % self.accounts;
        }
        account
    }

    fn draw(&mut self) -> u64 {
        match &self.zipf {
            Some(zipf) => zipf.draw(&mut self.dice) - 1,
            None => self.dice.below(self.accounts),
        }
    }
}

/// Ranks from 1 to `count`, rank `k` as often as `1 / k^s`: rejection-inversion (Hörmann and Derflinger, 1996), which
/// needs no table.
#[derive(Clone, Debug)]
struct Zipf {
    count: f64,
    s: f64,
    h_first: f64,
    h_last: f64,
    accept: f64,
}

impl Zipf {
    fn new(count: u64, s: f64) -> Zipf {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Zipf {
            count,
            s,
            h_first: integral(1.5, s) - 1.0,
            h_last: integral(count + 0.5, s),
            accept: 2.0 - integral_inverse(integral(2.5, s) - weight(2.0, s), s),
        }
    }

    fn draw(&self, dice: &mut Dice) -> u64 {
        loop {
            let u = self.h_last + unit(dice) * (self.h_first - self.h_last);
            let x = integral_inverse(u, self.s);
            let rank = (x + 0.5).floor().clamp(1.0, self.count);
            if rank - x <= self.accept || u >= integral(rank + 0.5, self.s) - weight(rank, self.s) {
                return whole(rank);
            }
        }
    }
}

/// `1 / x^s`.
fn weight(x: f64, s: f64) -> f64 {
    (-s * x.ln()).exp()
}

/// An integral of [`weight`].
fn integral(x: f64, s: f64) -> f64 {
    let log = x.ln();
    let t = (1.0 - s) * log;
    let factor = if t.abs() > 1e-8 {
        t.exp_m1() / t
    } else {
        1.0 + t / 2.0
    };
    factor * log
}

fn integral_inverse(x: f64, s: f64) -> f64 {
    let t = (x * (1.0 - s)).max(-1.0);
    let factor = if t.abs() > 1e-8 {
        t.ln_1p() / t
    } else {
        1.0 - t / 2.0
    };
    (factor * x).exp()
}

/// A number from 0 to 1, 1 excluded.
fn unit(dice: &mut Dice) -> f64 {
    let bits = u32::try_from(dice.bits() >> 32).expect("32 bits");
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 1 and the number of accounts; there is no other way to make it one"
)]
fn whole(rank: f64) -> u64 {
    rank as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(dist: Dist, legs: usize, accounts: u64, nodes: u16, times: usize) -> Vec<Vec<Part>> {
        let mut workload = Workload::new(accounts, nodes, legs, dist, 7);
        let mut parts = Vec::new();
        let next = || {
            workload.next(&mut parts);
            parts.clone()
        };
        std::iter::repeat_with(next).take(times).collect()
    }

    #[test]
    fn every_transaction_balances_between_accounts_of_different_nodes() {
        for (dist, legs, nodes) in [
            (Dist::Uniform, 2, 3),
            (Dist::Uniform, 5, 3),
            (Dist::Zipf(1.5), 3, 3),
            (Dist::Hot(0.9), 2, 2),
            (Dist::Uniform, 2, 1),
        ] {
            for parts in drawn(dist, legs, 50, nodes, 2_000) {
                assert_eq!(parts.iter().map(|part| part.delta).sum::<i64>(), 0, "{parts:?}");
                assert_eq!(parts.len(), legs);
                let mut accounts: Vec<u64> = parts.iter().map(|part| part.account).collect();
                accounts.sort_unstable();
                accounts.dedup();
                assert_eq!(accounts.len(), legs, "{parts:?}");
                if legs == 2 && nodes > 1 {
                    let nodes = u64::from(nodes);
                    assert_ne!(accounts[0] % nodes, accounts[1] % nodes, "{parts:?}");
                }
            }
        }
    }

    #[test]
    fn the_hot_account_takes_its_share_and_pays_as_often_as_it_receives() {
        let all = drawn(Dist::Hot(0.5), 2, 100_000, 3, 10_000);
        let of = |sign: i64| {
            let hot = |parts: &&Vec<Part>| parts.iter().any(|part| part.account == 0 && part.delta == sign);
            all.iter().filter(hot).count()
        };
        let (pays, receives) = (of(-1), of(1));
        assert!(
            (4_700..5_300).contains(&(pays + receives)),
            "{pays} and {receives}"
        );
        assert!(pays.abs_diff(receives) <= 5, "{pays} and {receives}");
    }

    #[test]
    fn zipf_draws_each_rank_as_often_as_the_law_says() {
        for s in [0.5, 1.0, 1.2] {
            let zipf = Zipf::new(1_000, s);
            let mut dice = Dice::new(3);
            let mut found = [0_u32; 1_001];
            let draws = 200_000_u32;
            for _ in 0..draws {
                found[usize::try_from(zipf.draw(&mut dice)).unwrap()] += 1;
            }
            let total: f64 = (1..=1_000_u32).map(|rank| f64::from(rank).powf(-s)).sum();
            for rank in [1_u32, 2, 3, 10] {
                let expected = f64::from(rank).powf(-s) / total * f64::from(draws);
                let found = f64::from(found[usize::try_from(rank).unwrap()]);
                let spread = 5.0 * expected.sqrt();
                assert!(
                    (found - expected).abs() < spread,
                    "s {s} rank {rank}: {found} for {expected}"
                );
            }
        }
    }

    #[test]
    fn distributions_are_typed_as_they_are_printed() {
        for text in ["uniform", "zipf:1.1", "hot:0.5", "hot:1"] {
            assert_eq!(text.parse::<Dist>().unwrap().to_string(), text);
        }
        for bad in ["", "zipf", "zipf:0", "zipf:x", "hot:1.5", "hot:-1", "normal:1"] {
            assert!(bad.parse::<Dist>().is_err(), "{bad}");
        }
    }
}
