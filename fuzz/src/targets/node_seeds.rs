//! Stories of a node to begin with: each kind of event at least once, and each that once proved the code wrong.
//!
//! Spelt out byte by byte, as [`event`](super::node_story::event) reads them.

/// Each with a word for what happens in it.
pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let start: &[u8] = &[0, 0, 0]; // exclusive holds, a large window
    let escrow: &[u8] = &[1, 0, 0];
    let short: &[u8] = &[0, 2, 0];
    let full: &[u8] = &[1, 0, 3];
    let connect_c: &[u8] = &[0, 0, 1];
    let connect_d: &[u8] = &[0, 1, 1];
    let deposit_a: &[u8] = &[6, 1, 99, 0, 1, 1, 0];
    let deposit_b: &[u8] = &[6, 1, 99, 1, 2, 2, 0];
    // c-1-1: A -10, not at home; c-1-2: B +10, at home of request 1.
    let prepare_a: &[u8] = &[3, 0, 0, 0, 0, 0, 9];
    let prepare_b: &[u8] = &[3, 0, 8, 66, 1, 3, 9, 0];
    let commit: &[u8] = &[8, 0, 0, 3];
    let abort: &[u8] = &[9, 0, 0, 0, 3];
    let tick: &[u8] = &[14];
    let sync: &[u8] = &[18, 0];
    let slow: &[u8] = &[18, 1];
    let crash: &[u8] = &[18, 2];
    let crash_keeping_one: &[u8] = &[18, 3];
    let all = |parts: &[&[u8]]| parts.concat();
    let funded = all(&[start, connect_c, deposit_a, deposit_b]);
    let story = |parts: &[&[u8]]| [&funded[..], &parts.concat()].concat();
    vec![
        (
            "commit",
            story(&[prepare_a, prepare_b, commit, commit, sync, crash, tick]),
        ),
        (
            "commit-again",
            story(&[prepare_a, &[8, 4, 0, 3], &[8, 1, 0, 0, 3], crash]),
        ),
        (
            "abort",
            story(&[prepare_a, abort, prepare_a, sync, crash, connect_c, prepare_a]),
        ),
        ("abort-first", story(&[&[9, 0, 1, 0, 0, 3], prepare_a])),
        (
            "bound-abort",
            story(&[prepare_b, &[9, 0, 2, 0, 8, 3], &[10, 0, 8, 8, 1]]),
        ),
        (
            "in-doubt",
            story(&[prepare_a, crash, tick, tick, connect_c, tick, commit]),
        ),
        (
            "contention",
            story(&[
                prepare_a,
                &[3, 0, 8, 0, 0, 0, 5],
                &[12, 0, 0, 0],
                &[15, 2],
                commit,
            ]),
        ),
        ("read-waits", story(&[prepare_a, &[12, 0, 0, 0], commit])),
        (
            "freeze",
            story(&[
                prepare_a,
                &[12, 0, 4],
                commit,
                prepare_b,
                &[12, 0, 5, 0],
                &[15, 1],
            ]),
        ),
        ("cut", story(&[prepare_a, connect_d, &[12, 0, 3]])),
        ("query", story(&[&[10, 0, 0, 1, 0], &[5, 0, 0, 66, 0, 0, 9, 1]])),
        ("unmatched", story(&[&[8, 1, 24, 0, 3]])),
        (
            "forced-and-mixed",
            story(&[
                prepare_a,
                &[17, 0],
                connect_d,
                &[12, 0, 9, 0, 1, 65, 65, 65, 10],
                connect_c,
                &[9, 1, 0, 0, 0, 3],
            ]),
        ),
        (
            "forced-rightly",
            story(&[
                prepare_a,
                &[17, 0],
                connect_d,
                &[12, 0, 9, 0, 1, 65, 65, 65, 10],
                connect_c,
                &[8, 1, 0, 0, 3],
            ]),
        ),
        (
            "mark",
            story(&[
                prepare_a,
                commit,
                &[11, 0, 8, 3],
                prepare_a,
                &[8, 1, 0, 0, 3],
                tick,
                sync,
                crash,
            ]),
        ),
        (
            "quarantine",
            story(&[
                &[11, 0, 0, 5],
                tick,
                sync,
                crash,
                &[0, 0, 0],
                &[2, 0, 2, 0, 2, 0, 0],
                prepare_a,
                &[12, 0, 10, 3],
            ]),
        ),
        (
            "impostor",
            story(&[&[2, 0, 1, 1, 3, 0, 0], &[2, 0, 0, 0, 3, 0, 0]]),
        ),
        (
            "forked-history",
            story(&[&[2, 0, 2, 0, 3, 2, 1, 0, 1, 1, 0], prepare_a]),
        ),
        ("node-lost-records", story(&[&[2, 0, 2, 0, 3, 0, 1, 0, 15]])),
        (
            "full-disk",
            story(&[&[16, 0], prepare_a, abort, &[16, 1], prepare_a, commit]),
        ),
        (
            "duplicate-request",
            story(&[
                prepare_b,
                commit,
                &[3, 0, 16, 66, 1, 3, 9, 0],
                &[3, 0, 24, 66, 1, 3, 9, 4],
            ]),
        ),
        (
            "short-window",
            all(&[
                short, connect_c, deposit_a, deposit_b, deposit_a, prepare_b, commit,
            ]),
        ),
        (
            "escrow",
            all(&[
                escrow,
                connect_c,
                deposit_a,
                prepare_a,
                &[3, 0, 8, 0, 0, 0, 9],
                &[3, 0, 16, 0, 0, 0, 99],
                commit,
                commit,
            ]),
        ),
        (
            "overflow",
            all(&[
                escrow,
                connect_c,
                &[6, 0, 0, 1, 1, 0],
                &[3, 0, 0, 0, 0, 6],
                &[3, 0, 8, 0, 0, 6],
                commit,
                commit,
            ]),
        ),
        (
            "world",
            all(&[
                escrow,
                connect_c,
                &[3, 0, 0, 0, 15, 6],
                &[3, 0, 8, 0, 15, 7],
                commit,
                commit,
            ]),
        ),
        ("raw", story(&[&[19, 0, 4, 6, 12, 1, 1], &[19, 0, 3, 9, 9, 9]])),
        (
            "full-accounts",
            all(&[
                full,
                connect_c,
                &[3, 0, 0, 0, 0, 3, 39],
                &[3, 0, 8, 0, 0, 3, 39],
                commit,
                deposit_a,
            ]),
        ),
        ("unknown-account", story(&[&[3, 0, 0, 0, 3, 0, 9]])),
        (
            "vote-unsynced",
            story(&[
                slow,
                prepare_a,
                crash,
                connect_c,
                prepare_a,
                slow,
                commit,
                crash_keeping_one,
                connect_c,
                commit,
            ]),
        ),
        // The next three once proved the code wrong.
        (
            "acknowledged-below-an-unsynced-mark",
            story(&[prepare_a, commit, &[11, 0, 8, 3], &[8, 1, 0, 0, 3], crash]),
        ),
        (
            "forced-commit-buried-by-a-binding-abort",
            story(&[
                prepare_a,
                &[17, 0],
                connect_d,
                &[12, 0, 9, 0, 1, 65, 65, 65, 65],
                connect_c,
                &[9, 0, 3, 0, 0, 1, 3],
            ]),
        ),
        (
            "one-abort-ends-two-requests",
            story(&[&[3, 0, 0, 66, 0, 0, 9, 2], &[9, 0, 2, 0, 0, 3]]),
        ),
        ("disconnected", story(&[&[17, 0], prepare_a, commit])),
    ]
}
