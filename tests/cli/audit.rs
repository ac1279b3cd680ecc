//! `audit`: exact, incomplete, violated.

use protocol::message::{Answer, Ask, AuditReport, AuditVerdict};

use crate::fake::{Act, Fake};
use crate::run::{Run, ask};

fn report(verdict: AuditVerdict, in_accounts: i128) -> Answer {
    Answer::Audit(AuditReport {
        verdict,
        in_accounts,
        brought_in: 3000,
        prepared: 0,
    })
}

fn incomplete() -> Answer {
    report(AuditVerdict::Incomplete("broken link to N2".to_owned()), 0)
}

/// A coordinator that gives these answers to audits, the last one for ever, and fails all else.
fn audit(mut answers: Vec<Answer>, flags: &str) -> (Run, usize) {
    answers.reverse();
    let fake = Fake::start(move |ask| {
        if !matches!(ask, Ask::Audit) {
            return Act::Answer(Answer::Failed("not now".to_owned()));
        }
        let answer = if answers.len() > 1 {
            answers.pop()
        } else {
            answers.last().cloned()
        };
        Act::Answer(answer.unwrap())
    });
    let run = ask(&fake, &format!("audit {flags}"));
    let audits = fake.asks().iter().filter(|ask| matches!(ask, Ask::Audit)).count();
    (run, audits)
}

#[test]
fn an_exact_audit_exits_with_0() {
    let (run, _) = audit(vec![report(AuditVerdict::Exact, 3000)], "");
    run.is(0, "Money conserved: 3000 = 3000 (consistent cut)\n", "");
}

#[test]
fn an_incomplete_audit_is_tried_again() {
    let (run, audits) = audit(
        vec![incomplete(), incomplete(), report(AuditVerdict::Exact, 3000)],
        "",
    );
    assert_eq!((run.code, audits), (0, 3), "{run:?}");
}

#[test]
fn an_audit_that_stays_incomplete_exits_with_6_and_raises_no_alarm() {
    let (run, audits) = audit(vec![incomplete()], "");
    assert_eq!((run.code, run.stdout.as_str()), (6, ""), "{run:?}");
    assert!(audits > 1, "{audits}");
    assert!(
        run.stderr
            .starts_with("Audit incomplete: broken link to N2. Nothing is known to be wrong."),
        "{run:?}"
    );
}

#[test]
fn missing_money_exits_with_8() {
    let (run, _) = audit(vec![report(AuditVerdict::Violated, 2990)], "");
    assert_eq!(run.code, 8, "{run:?}");
    assert!(
        run.stdout
            .starts_with("MONEY NOT CONSERVED: 2990 in accounts, 3000 brought in, 10 missing"),
        "{run:?}"
    );
    let (run, _) = audit(vec![report(AuditVerdict::Violated, 3010)], "--output json");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&json["outcome"], &json["in_accounts"]),
        (&"violated".into(), &3010.into())
    );
    assert!(run.stderr.contains("10 too much"), "{run:?}");
}
