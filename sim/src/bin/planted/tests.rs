//! Tests that notice what the simulator cannot see, or seldom sees.

use std::fmt;

use protocol::planted::{Bug, VARIABLE};

use crate::rebuild;

/// One test by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    /// Without `twopence-`.
    package: &'static str,
    /// Nothing for the library's own tests.
    target: Option<&'static str>,
    name: &'static str,
}

impl Test {
    const fn of_library(package: &'static str, name: &'static str) -> Test {
        Test {
            package,
            target: None,
            name,
        }
    }

    const fn of(package: &'static str, target: &'static str, name: &'static str) -> Test {
        Test {
            package,
            target: Some(target),
            name,
        }
    }

    /// Whether the test fails with that bug, or with none.
    pub(crate) fn notices(self, bug: Option<Bug>) -> Result<bool, String> {
        let mut command = rebuild::cargo("test");
        command.args(["--package", &format!("twopence-{}", self.package)]);
        match self.target {
            Some(target) => command.args(["--test", target]),
            None => command.arg("--lib"),
        };
        command.args([self.name, "--", "--exact"]);
        match bug {
            Some(bug) => command.env(VARIABLE, bug.name()),
            None => command.env_remove(VARIABLE),
        };
        let output = command
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("test result: ok. 1 passed") {
            Ok(false)
        } else if text.contains("test result: FAILED. 0 passed; 1 failed") {
            Ok(true)
        } else {
            let why = String::from_utf8_lossy(&output.stderr);
            Err(format!("{self} did not run: {text}{why}"))
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.package, self.name)
    }
}

/// The test that must notice `bug`, if one is named.
pub(crate) fn of(bug: Bug) -> Option<Test> {
    TESTS.iter().find(|(of, _)| *of == bug).map(|(_, test)| *test)
}

const TABLE_NODE: Test = Test::of("protocol", "it", "table::every_message_to_a_node_in_every_state");
const TABLE_COORDINATOR: Test = Test::of(
    "protocol",
    "it",
    "table::every_message_to_a_coordinator_in_every_state",
);
const RANDOM: Test = Test::of(
    "protocol",
    "it",
    "random::whatever_happens_the_accounts_hold_what_clients_were_told",
);

const SNAPSHOT: Test = Test::of(
    "protocol",
    "it",
    "snapshot::a_snapshot_shows_the_state_as_it_was_when_it_began",
);

const TESTS: &[(Bug, Test)] = &[
    (Bug::SnapshotMoves, SNAPSHOT),
    (Bug::SnapshotForgets, SNAPSHOT),
    (
        Bug::HeadroomNotReserved,
        Test::of_library(
            "protocol",
            "ledger::tests::held_credits_count_against_the_headroom",
        ),
    ),
    (
        Bug::OverflowUnchecked,
        Test::of_library(
            "protocol",
            "ledger::tests::held_credits_count_against_the_headroom",
        ),
    ),
    (
        Bug::DebitsNotReserved,
        Test::of_library(
            "protocol",
            "ledger::tests::escrow_holds_share_an_account_but_never_overdraw_it",
        ),
    ),
    (Bug::FuturePresumedAborted, TABLE_COORDINATOR),
    (
        Bug::SuspectLogPresumes,
        Test::of(
            "protocol",
            "it",
            "transcripts::a_log_that_one_node_found_short_presumes_nothing_for_another_that_cannot_tell",
        ),
    ),
    (
        Bug::YoungerWaits,
        Test::of(
            "protocol",
            "it",
            "waiting::two_that_cross_do_not_wait_for_each_other",
        ),
    ),
    (
        Bug::QueueOvertaken,
        Test::of(
            "protocol",
            "it",
            "waiting::nobody_overtakes_to_an_account_that_is_free",
        ),
    ),
    (Bug::UnknownCommitAcked, TABLE_NODE),
    (Bug::EndNotTold, RANDOM),
    (Bug::EpochsNotKept, RANDOM),
    (Bug::StalePrepared, TABLE_NODE),
    (Bug::NoTombstone, TABLE_NODE),
    (
        Bug::OldEpochAccepted,
        Test::of(
            "protocol",
            "it",
            "transcripts::a_restored_log_that_began_another_epoch_is_found_out_by_its_history",
        ),
    ),
    (
        Bug::EveryNodeIsHome,
        Test::of(
            "protocol",
            "it",
            "transcripts::a_repeated_request_is_told_abort_only_when_its_home_holds_it",
        ),
    ),
    (
        Bug::NoRoomForgotten,
        Test::of(
            "protocol",
            "it",
            "transcripts::what_a_full_disk_has_refused_stays_refused_when_there_is_room_again",
        ),
    ),
    (Bug::KnowledgeBeforeSync, TABLE_NODE),
    (Bug::UnknownToldAborted, TABLE_COORDINATOR),
    (
        Bug::LostAnswerIsFailure,
        Test::of_library(
            "protocol",
            "request::tests::an_unknown_outcome_is_asked_again_until_the_deadline",
        ),
    ),
    (
        Bug::AuditSkipsDecided,
        Test::of(
            "protocol",
            "it",
            "transcripts::an_audit_counts_what_is_prepared_if_it_was_decided",
        ),
    ),
    (
        Bug::ResolvedBeforeSync,
        Test::of(
            "protocol",
            "it",
            "transcripts::an_operator_ends_what_a_lost_coordinator_left",
        ),
    ),
    (
        Bug::MixedUnreported,
        Test::of(
            "protocol",
            "it",
            "transcripts::an_operator_who_contradicts_the_decision_is_told",
        ),
    ),
    (
        Bug::ShortLogTrusted,
        Test::of(
            "protocol",
            "it",
            "transcripts::a_coordinator_that_lost_its_newest_records_is_quarantined",
        ),
    ),
    (
        Bug::ShortStoreTrusted,
        Test::of(
            "protocol",
            "it",
            "transcripts::a_node_that_lost_acknowledged_records_is_quarantined_until_adopted",
        ),
    ),
    (
        Bug::QuarantineForgotten,
        Test::of(
            "protocol",
            "it",
            "transcripts::a_coordinator_that_lost_its_newest_records_is_quarantined",
        ),
    ),
    (
        Bug::LazyForEver,
        Test::of(
            "engine",
            "json",
            "write_ahead::a_lazy_record_rides_along_or_is_synced_by_its_deadline",
        ),
    ),
    (
        Bug::LastWordsUnforced,
        Test::of(
            "reactor",
            "it",
            "turns::a_hangup_comes_after_everything_said_before",
        ),
    ),
    (
        Bug::FlushIsNoSync,
        Test::of(
            "engine",
            "sled",
            "trace::an_fsync_of_sleds_file_has_returned_before_every_acknowledgement",
        ),
    ),
    (
        Bug::FailureForgotten,
        Test::of(
            "engine",
            "json",
            "crash::after_a_failed_sync_the_store_takes_nothing_more",
        ),
    ),
    (
        Bug::ReserveIgnored,
        Test::of(
            "engine",
            "json",
            "crash::on_a_full_disk_the_log_goes_on_within_its_reserve_and_new_promises_are_refused",
        ),
    ),
    (Bug::UnsyncedNextName, POWER_CUT),
    (Bug::UnsyncedClosedName, POWER_CUT),
    (
        Bug::UnsyncedActiveName,
        Test::of(
            "engine",
            "json",
            "crash::closed_segments_that_wait_for_a_checkpoint_are_safe_from_power_cuts",
        ),
    ),
    (Bug::UnsyncedCheckpointName, POWER_CUT),
    (Bug::UnsyncedFirstLog, POWER_CUT),
    (Bug::UnsyncedManifestName, POWER_CUT),
    (
        Bug::CutAtFirstBadLine,
        Test::of(
            "engine",
            "json",
            "damage::every_flipped_bit_of_the_log_is_refused_or_costs_only_what_no_mark_covers",
        ),
    ),
    (
        Bug::ChainUnchecked,
        Test::of(
            "engine",
            "json",
            "surgery::swapped_doubled_and_foreign_segments_are_corruption",
        ),
    ),
];

const POWER_CUT: Test = Test::of(
    "engine",
    "json",
    "crash::a_power_cut_at_any_operation_leaves_what_was_promised",
);
