//! The catalogue: every fault, its id and what it is, in the order of `ARCHITECTURE.md`'s rules.
//!
//! A fault that nothing fires says here why. The table takes that reason, and refuses it once something does fire the
//! fault.

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its id, such as `N5`.
    pub id: &'static str,
    /// What happens.
    pub what: &'static str,
    /// Why nothing fires it, if nothing does.
    pub gap: Option<&'static str>,
}

const fn fault(id: &'static str, what: &'static str) -> Fault {
    Fault { id, what, gap: None }
}

/// Every fault. N: a node dies; K: checkpoints; C: a coordinator dies; W: the network; D: the disk; P: processes, identities
/// and versions; I: input; X: overload; O: operators.
pub const CATALOGUE: &[Fault] = &[
    fault("N1", "a node dies before it has looked at a PREPARE"),
    fault("N2", "a node dies between validation and its log"),
    fault("N3", "a node dies in the middle of an append"),
    fault("N4", "a node dies with its vote appended and not synced"),
    fault("N5", "a node dies with its vote synced and not sent"),
    fault("N6", "a node dies with its vote sent"),
    fault(
        "N7",
        "a node dies when it has heard the decision and not logged it",
    ),
    fault("N8", "a node dies with the commit appended and not synced"),
    fault("N9", "a node dies with the commit synced"),
    fault("N10", "a node dies in the middle of a batch"),
    fault("N11", "a node dies before its acknowledgement leaves"),
    fault("N12", "a node dies around an ABORT"),
    fault("N13", "a node dies again while it recovers"),
    fault("N14", "a node dies around a one-participant transaction"),
    fault("N15", "a node dies after a repeated vote or an answered question"),
    fault("K-a", "a crash at any step of a checkpoint"),
    fault("K-b", "a checkpoint's name survives a crash, its bytes do not"),
    fault("K-c", "old segments are gone before the checkpoint is durable"),
    fault("K-d", "no space or a disk error while a checkpoint is cut"),
    fault("K-e", "a checkpoint while transactions are prepared"),
    fault("C1", "a coordinator dies before START"),
    fault("C2", "a coordinator dies with START logged"),
    fault("C3", "a coordinator dies with some nodes asked"),
    fault("C4", "a coordinator dies with all votes in, COMMIT not logged"),
    fault("C5", "a coordinator dies with COMMIT appended and not synced"),
    fault("C6", "a coordinator dies with COMMIT synced and nobody told"),
    fault("C7", "a coordinator dies with one participant told"),
    fault(
        "C8",
        "a coordinator dies with the client told, acknowledgements missing",
    ),
    fault(
        "C9",
        "a coordinator dies with acknowledgements in, COMPLETE not logged",
    ),
    fault("C10", "a coordinator's COMPLETE is lost"),
    fault("C11", "a coordinator dies at a step of its log's checkpoint"),
    fault("C12", "logging COMMIT fails"),
    fault("C13", "an inquiry arrives while votes are collected"),
    fault("C14", "a coordinator dies in life after life"),
    fault("W1", "a message is lost"),
    fault("W2", "a message arrives twice, perhaps much later"),
    fault("W3", "messages of different connections overtake each other"),
    fault("W4", "a message arrives after every time-out"),
    fault("W5", "a partition heals"),
    fault("W6", "a link loses messages in one direction only"),
    fault("W7", "a peer falls silent and its connection stays open"),
    fault("W8", "a connection breaks in the middle of a frame"),
    fault("W9", "bytes trickle in, or arrive many frames at once"),
    fault("W10", "a byte is changed on the way"),
    fault("W11", "another process answers at an address"),
    fault("W12", "file descriptors run out"),
    fault("D1", "the log's tail is torn"),
    fault("D2", "writes that were not synced are lost"),
    fault("D3", "a bit flips in the middle of a log"),
    fault("D4", "a bit flips in the last record that was promised"),
    fault("D5", "a length or a number in a record is damaged"),
    fault("D6", "a bit flips in a state file, a manifest or sled's files"),
    fault("D7", "a segment is replaced, repeated, swapped or missing"),
    fault("D8", "the disk is full, or takes half of an append"),
    fault(
        "D9",
        "the disk is full while a checkpoint or a new segment is made",
    ),
    fault("D10", "an operation of the disk fails"),
    fault("D11", "a sync fails once and then succeeds"),
    fault("D12", "a sync takes ten seconds"),
    fault("D13", "the directory becomes unwritable or disappears"),
    fault("D14", "a write is short or interrupted"),
    fault("D15", "a disk says it has synced and has not"),
    fault("P1", "two processes want one data directory"),
    fault("P2", "a store is opened as another kind"),
    fault("P3", "a data directory belongs to another node or cluster"),
    fault("P4", "files or messages of another version"),
    fault("P5", "a node comes back with an empty disk"),
    fault("P6", "a node comes back from an old backup"),
    fault("P7", "a coordinator has lost its log"),
    fault("P8", "a coordinator's log is copied and its old owner wakes up"),
    fault("P9", "two coordinators are one"),
    fault("P10", "a coordinator comes back from an old backup"),
    fault(
        "P11",
        "a client fails over to another coordinator in the middle of a request",
    ),
    fault("P12", "a process freezes and thaws"),
    fault("P13", "the wall clock jumps"),
    fault("P14", "a process is killed for its memory, or panics"),
    fault("P15", "SIGTERM under load"),
    fault("P16", "versions are mixed during an upgrade"),
    fault("I1", "an amount of zero, below it or beyond bounds"),
    fault("I2", "a credit would overflow"),
    fault("I3", "debits that together exceed the balance"),
    fault("I4", "a transfer from an account to itself"),
    fault("I5", "both accounts on one node"),
    fault("I6", "an unknown node"),
    fault("I7", "an unknown account"),
    fault("I8", "a request is sent again"),
    fault("I9", "a request id with another body"),
    fault("I10", "names that are empty, too long or not allowed"),
    fault(
        "I11",
        "frames that are garbage, oversized, cut or meant for others",
    ),
    fault(
        "I12",
        "a hand-written file with duplicate keys, floats or unknown fields",
    ),
    fault("I13", "a state file was edited by hand"),
    fault("X1", "one node is slow"),
    fault("X2", "a client does not read its answers"),
    fault("X3", "a client sends a byte at a time"),
    fault("X4", "very many connections"),
    fault("X5", "everybody wants one account"),
    fault("X6", "everybody retries after an outage"),
    fault("X7", "tables and logs that might grow for ever"),
    fault(
        "O1",
        "a transaction stays in doubt because its coordinator is gone",
    ),
    fault("O2", "an operator forces an outcome"),
    fault("O3", "the truth contradicts a forced outcome"),
    fault("O4", "an operator forces an outcome twice or at a bad moment"),
];

/// The fault with that id.
pub fn find(id: &str) -> Option<&'static Fault> {
    CATALOGUE.iter().find(|fault| fault.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_there_once() {
        for (at, fault) in CATALOGUE.iter().enumerate() {
            assert_eq!(
                find(fault.id),
                Some(&CATALOGUE[at]),
                "{} is there twice",
                fault.id
            );
        }
        assert_eq!(find("N0"), None);
    }
}
