//! Stories of a coordinator to begin with: each kind of event at least once, and each that once proved the code wrong.
//!
//! Spelt out byte by byte, as [`event`](super::coordinator_story::event) reads them.

/// Each with a word for what happens in it.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let up: &[u8] = &[0, 0, 0, 0, 1, 0, 0, 2, 0];
    // N1/A to N2/A 10 under request 1; deposit of 10 to N1/A; each from client 1, the second of each repeated.
    let transfer: &[u8] = &[3, 0, 0, 1, 9, 0, 1, 2, 0];
    let again: &[u8] = &[3, 0, 1, 1, 9, 0, 1, 2, 0];
    let deposit: &[u8] = &[3, 1, 0, 1, 9, 1, 0, 0, 0];
    let deposit_again: &[u8] = &[3, 1, 1, 1, 9, 1, 0, 0, 0];
    let votes: &[u8] = &[6, 0, 0];
    let votes_and_acks: &[u8] = &[6, 0, 1];
    let (tick, crash): (&[u8], &[u8]) = (&[15], &[18, 7, 0]);
    // A node's word about the newest transaction: which, with which details; said once.
    let said = |node: u8, what: &[u8]| [&[8, node, 0, 3], what, &[0]].concat();
    let (yes, ack, inquiry, unmatched): (&[u8], &[u8], &[u8], &[u8]) = (&[0], &[4], &[11], &[13]);
    let (no, bound, mixed): (&[u8], &[u8], &[u8]) = (&[2, 0], &[7, 0], &[14, 1]);
    let (executed, refused, looked_away): (&[u8], &[u8], &[u8]) = (&[8], &[9, 0], &[9, 2]);
    let asked = |what: &[u8]| [&[13], what, &[0]].concat();
    let (audit, adopt_n1): (&[u8], &[u8]) = (&[0], &[8, 0]);
    // Answers to the three newest questions, the last asked first.
    let answers = |what: &[u8]| [&[12, 0], what, &[12, 1], what, &[12, 2], what].concat();
    let story = |parts: &[&[u8]]| [up, &parts.concat()].concat();
    vec![
        ("commit", story(&[transfer, votes_and_acks, tick, tick, crash])),
        (
            "commit-unacknowledged",
            story(&[
                transfer,
                votes,
                crash,
                up,
                tick,
                tick,
                &said(0, ack),
                &said(1, ack),
            ]),
        ),
        (
            "abort-by-vote",
            story(&[transfer, &said(0, yes), &said(1, no), tick]),
        ),
        ("abort-by-time", story(&[transfer, &said(0, yes), &[16, 1], tick])),
        ("abort-by-link", story(&[transfer, &said(0, yes), &[2, 1], tick])),
        ("repeated-abort", story(&[again, &said(1, no), &said(0, bound)])),
        (
            "repeated-duplicate",
            story(&[transfer, votes, again, &said(0, &[3, 3, 1])]),
        ),
        (
            "repeated-open",
            story(&[
                transfer,
                again,
                &said(0, &[3, 2, 1]),
                &[16, 1],
                &[16, 2],
                &[16, 1],
            ]),
        ),
        ("repeated-reused", story(&[again, &said(0, &[3, 1])])),
        ("one-participant", story(&[deposit, &said(0, executed), tick])),
        ("one-participant-refuses", story(&[deposit, &said(0, refused)])),
        (
            "one-participant-binds",
            story(&[deposit_again, &said(0, looked_away), &said(0, bound)]),
        ),
        (
            "one-participant-lost",
            story(&[deposit, &[16, 0], tick, tick, crash, up, &said(0, executed)]),
        ),
        (
            "inquiries",
            story(&[
                transfer,
                &said(0, inquiry),
                votes,
                &said(0, inquiry),
                &said(1, ack),
                &said(0, ack),
                &said(0, inquiry),
            ]),
        ),
        (
            "inquiry-not-mine",
            story(&[&[8, 0, 0xf1, 3, 11, 0], &[8, 0, 0xfe, 3, 11, 0]]),
        ),
        (
            "unmatched-and-adopted",
            story(&[
                transfer,
                votes,
                &said(0, unmatched),
                &asked(adopt_n1),
                tick,
                &said(0, unmatched),
                &said(1, ack),
            ]),
        ),
        ("mixed", story(&[transfer, votes, &said(0, mixed), &said(1, ack)])),
        (
            "new-disk",
            story(&[transfer, votes, &[2, 0], &[0, 0, 7], &asked(adopt_n1), tick]),
        ),
        (
            "old-backup",
            story(&[
                transfer,
                votes_and_acks,
                tick,
                &[2, 0],
                &[0, 0, 6],
                &asked(adopt_n1),
            ]),
        ),
        (
            "suspect",
            story(&[
                transfer,
                crash,
                &[0, 0, 0xf0, 65, 65, 65, 65],
                &said(0, inquiry),
                &asked(adopt_n1),
            ]),
        ),
        ("refused", story(&[&said(0, &[15, 65, 66, 67, 68, 7])])),
        (
            "text-with-a-newline",
            story(&[&said(0, &[15, 10, 66, 27, 68, 0, 0, 1])]),
        ),
        (
            "audit",
            story(&[transfer, votes, &asked(audit), &answers(&[0, 0])]),
        ),
        (
            "audit-violated",
            story(&[&asked(audit), &answers(&[3, 1, 6, 0, 0, 0, 0])]),
        ),
        (
            "audit-extremes",
            story(&[&asked(audit), &answers(&[3, 2, 15, 0, 2, 0])]),
        ),
        (
            "audit-frozen",
            story(&[
                &asked(audit),
                &answers(&[0, 7]),
                &answers(&[0, 0]),
                &answers(&[4, 1]),
            ]),
        ),
        (
            "audit-wrong-answers",
            story(&[&asked(audit), &answers(&[10, 65, 10, 65, 65])]),
        ),
        (
            "questions",
            story(&[
                &asked(&[2, 0, 0]),
                &[12, 0, 5, 7],
                &asked(&[4]),
                &asked(&[5, 0, 0]),
                &answers(&[7, 1, 0, 1, 1]),
                &asked(&[6, 1]),
                &answers(&[9, 0, 3, 0]),
            ]),
        ),
        (
            "resolve",
            story(&[
                &asked(&[7, 0xf1, 1, 65, 65, 65, 65]),
                &answers(&[7, 1, 0, 1, 0]),
                &answers(&[10, 65, 65, 65, 65]),
            ]),
        ),
        ("no-room", story(&[&[17, 0], transfer, again, &[17, 1], transfer])),
        ("unknown-node", story(&[&[3, 0, 0, 1, 9, 0, 3, 2, 0]])),
        ("nonsense", story(&[&[3, 0, 0, 1, 9, 0, 1, 1, 2, 5, 0, 0]])),
        (
            "node-left-out",
            story(&[&[3, 0, 0, 1, 9, 0, 2, 2, 0], votes, &[18, 7, 3]]),
        ),
        (
            "raw",
            story(&[&[19, 0, 4, 3, 12, 1, 1], &[19, 3, 2, 5, 3], &[19, 3, 2, 9, 99]]),
        ),
        (
            "commit-unsynced",
            story(&[transfer, &[17, 3], votes, &[18, 0, 0], up, tick]),
        ),
        (
            "commit-unsynced-and-kept",
            story(&[&[17, 3], transfer, votes, &[18, 7, 0], up, tick, tick]),
        ),
        ("to-itself", story(&[&[3, 0, 0, 1, 9, 0, 0, 2, 0]])),
        (
            "said-twice",
            story(&[
                transfer,
                &[8, 0, 0, 3, 0, 7],
                &[8, 1, 0, 3, 0, 7],
                &[8, 0, 0, 3, 4, 7],
            ]),
        ),
        ("nobody-there", transfer.to_vec()),
    ]
}
