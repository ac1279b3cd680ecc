//! Which lines may go: those that touch the same account go one after the other, as they stand in the input.
//!
//! So a batch never stands in its own way: with `--locking no-wait` a second transaction on a held account would abort.
//! And a line that pays in what the next one pays out comes first.

use std::collections::{HashMap, VecDeque};

use client::{Order, Place};

/// Lines that have been admitted and have not ended, by number.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The lines that touch each account, the one whose turn it is first.
    queues: HashMap<Place, VecDeque<u64>>,
    /// In how many queues each line is not the first yet.
    behind: HashMap<u64, usize>,
    ready: VecDeque<u64>,
    /// Nobody waits for anybody.
    unordered: bool,
}

impl Turns {
    pub(crate) fn new(unordered: bool) -> Turns {
        Turns {
            unordered,
            ..Turns::default()
        }
    }

    /// Admits a line.
    pub(crate) fn admit(&mut self, line: u64, order: &Order) {
        let mut behind = 0;
        if !self.unordered {
            for leg in order.legs() {
                let queue = self.queues.entry(leg.place.clone()).or_default();
                behind += usize::from(!queue.is_empty());
                queue.push_back(line);
            }
        }
        if behind == 0 {
            self.ready.push_back(line);
        } else {
            self.behind.insert(line, behind);
        }
    }

    /// The next line that may go.
    pub(crate) fn next(&mut self) -> Option<u64> {
        self.ready.pop_front()
    }

    /// A line that had its turn has ended.
    pub(crate) fn ended(&mut self, line: u64, order: &Order) {
        if self.unordered {
            return;
        }
        for leg in order.legs() {
            let queue = self.queues.get_mut(&leg.place).expect("it was admitted");
            assert_eq!(
                queue.pop_front(),
                Some(line),
                "only the first of a queue has its turn"
            );
            match queue.front().copied() {
                None => {
                    self.queues.remove(&leg.place);
                }
                Some(next) => {
                    let behind = self.behind.get_mut(&next).expect("it has waited");
                    *behind -= 1;
                    if *behind == 0 {
                        self.behind.remove(&next);
                        self.ready.push_back(next);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(from: &str, to: &str) -> Order {
        let place = |name| format!("N1/{name}").parse().unwrap();
        Order::transfer(place(from), place(to), "1".parse().unwrap()).unwrap()
    }

    #[test]
    fn lines_on_one_account_go_one_after_the_other_and_others_do_not_wait() {
        let lines = [
            order("A", "B"),
            order("B", "C"),
            order("D", "E"),
            order("A", "C"),
            order("E", "A"),
        ];
        let mut turns = Turns::new(false);
        (0..)
            .zip(&lines)
            .for_each(|(line, order)| turns.admit(line, order));
        assert_eq!(
            (turns.next(), turns.next(), turns.next()),
            (Some(0), Some(2), None)
        );
        turns.ended(0, &lines[0]);
        assert_eq!(
            (turns.next(), turns.next()),
            (Some(1), None),
            "3 waits for C, too"
        );
        turns.ended(2, &lines[2]);
        assert_eq!(turns.next(), None, "4 waits for A");
        turns.ended(1, &lines[1]);
        assert_eq!((turns.next(), turns.next()), (Some(3), None));
        turns.ended(3, &lines[3]);
        assert_eq!(turns.next(), Some(4));
        turns.ended(4, &lines[4]);
        assert!(
            turns.queues.is_empty() && turns.behind.is_empty(),
            "nothing is left: {turns:?}"
        );
    }

    #[test]
    fn without_order_everybody_goes_at_once() {
        let mut turns = Turns::new(true);
        (0..3).for_each(|line| turns.admit(line, &order("A", "B")));
        assert_eq!(
            [turns.next(), turns.next(), turns.next()],
            [Some(0), Some(1), Some(2)]
        );
    }
}
