//! Moving money: one transaction for each request, answered when it has ended.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::HeaderMap;
use client::report::PaymentReport;
use client::{Amount, Error, Leg, Order, Outcome, Place, Reason, ReasonClass, RequestId};
use serde::Deserialize;

use crate::extract::{Json, parse};
use crate::problem::{Code, MoneyMoved, Problem};
use crate::state::AppState;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

const KEY_LEN_MAX: usize = 255;

/// A transaction: its legs, or a transfer, which has two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transaction {
    legs: Option<Vec<TransactionLeg>>,
    from: Option<String>,
    to: Option<String>,
    amount: Option<i64>,
}

/// What one account gains or loses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionLeg {
    node: String,
    account: String,
    delta: i64,
}

/// Money that comes in from outside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deposit {
    account: String,
    amount: i64,
}

/// `POST /v1/transactions`
pub(super) async fn transact(
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(transaction): Json<Transaction>,
) -> Result<Answer<PaymentReport>, Problem> {
    pay(&state, &headers, transaction.order()?).await
}

/// `POST /v1/deposits`
pub(super) async fn deposit(
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(deposit): Json<Deposit>,
) -> Result<Answer<PaymentReport>, Problem> {
    let order = Order::deposit(parse(&deposit.account)?, amount(deposit.amount)?);
    pay(&state, &headers, order).await
}

impl Transaction {
    fn order(self) -> Result<Order, Problem> {
        let order = match (self.legs, self.from, self.to, self.amount) {
            (Some(legs), None, None, None) => {
                let legs: Result<Vec<Leg>, Problem> = legs.iter().map(TransactionLeg::leg).collect();
                Order::new(&legs?)
            }
            (None, Some(from), Some(to), Some(sum)) => {
                Order::transfer(parse(&from)?, parse(&to)?, amount(sum)?)
            }
            (Some(_), ..) | (None, ..) => {
                return Err(Problem::new(
                    Code::BadJson,
                    "Refused: a transaction has either \"legs\", or \"from\", \"to\" and \"amount\". Nothing was done.",
                )
                .next("/openapi.json shows both forms."));
            }
        };
        order.map_err(|bad| nonsense(&bad))
    }
}

impl TransactionLeg {
    fn leg(&self) -> Result<Leg, Problem> {
        Ok(Leg {
            place: Place {
                node: parse(&self.node)?,
                account: parse(&self.account)?,
            },
            delta: self.delta.try_into().map_err(|bad| nonsense(&bad))?,
        })
    }
}

fn amount(sum: i64) -> Result<Amount, Problem> {
    sum.try_into().map_err(|bad| nonsense(&bad))
}

fn nonsense(why: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Code::BadOrder,
        format!("Refused: {why}. Nothing was sent, no money moved."),
    )
    .next("Correct the request.")
}

/// The request that a key stands for, if one was sent.
fn key(headers: &HeaderMap) -> Result<Option<RequestId>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    // Some clients send it in quotes, as a draft of the IETF has it.
    let text = key.to_str().unwrap_or_default();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if keys.next().is_some() || text.is_empty() || text.len() > KEY_LEN_MAX {
        return Err(Problem::new(
            Code::BadKey,
            format!(
                "Refused: an Idempotency-Key is 1 to {KEY_LEN_MAX} visible ASCII characters, and there is one. Nothing was \
                 sent, no money moved."
            ),
        )
        .next("A UUID is a good key."));
    }
    Ok(Some(RequestId::of_key(text)))
}

/// Makes the order happen, at most once under its key.
async fn pay(state: &AppState, headers: &HeaderMap, order: Order) -> Result<Answer<PaymentReport>, Problem> {
    let given = key(headers)?;
    let asked = order.clone();
    let submitted = state.call(move |client| client.submit(given, asked)).await;
    let submitted = submitted.map_err(|problem| not_begun(problem, given))?;
    let submission = submitted.map_err(|error| unsent(&error, given))?;
    let report = PaymentReport::of(&submission, &order);
    match &submission.outcome {
        Outcome::Committed { .. } => Ok(Answer(report)),
        Outcome::Aborted { refusal, .. } => {
            let next = next(&refusal.reason, &order, submission.request);
            Err(Problem::of_payment(code(&refusal.reason), MoneyMoved::No, report).next(next))
        }
        Outcome::Unknown { .. } => {
            let next = format!(
                "Send the same again with the header Idempotency-Key: {}; it cannot move twice.",
                submission.request
            );
            Err(Problem::of_payment(Code::OutcomeUnknown, MoneyMoved::Unknown, report).next(next))
        }
        Outcome::Reused => {
            let next = format!(
                "Use a new key for a new request; GET /v1/transactions/{} shows what this one stands for.",
                submission.request
            );
            Err(Problem::of_payment(Code::KeyReused, MoneyMoved::No, report).next(next))
        }
        Outcome::Rejected { .. } => {
            Err(Problem::of_payment(Code::BadOrder, MoneyMoved::No, report).next("Correct the request."))
        }
    }
}

/// This server did not even ask. That says nothing about an earlier request with the same key.
fn not_begun(problem: Problem, given: Option<RequestId>) -> Problem {
    match given {
        None => problem,
        Some(_) => problem
            .money(MoneyMoved::Unknown)
            .next("Wait a second, then send it again with the same Idempotency-Key."),
    }
}

/// The call ended without an answer.
fn unsent(error: &Error, given: Option<RequestId>) -> Problem {
    let code = match error {
        Error::NoCoordinator(_) => Code::NoCoordinator,
        Error::NoAnswer(_) => Code::NoAnswer,
        Error::Failed(_) => Code::Failed,
        Error::Config(_) => Code::Internal,
    };
    // The key may have been sent before, with another end.
    let (money, next) = match given {
        None => (
            MoneyMoved::No,
            "Wait until a coordinator is there, then send it again.",
        ),
        Some(_) => (
            MoneyMoved::Unknown,
            "Wait until a coordinator is there, then send it again with the same Idempotency-Key.",
        ),
    };
    Problem::of_payment(code, money, PaymentReport::of_error(error, given)).next(next)
}

/// An abort is a conflict with what others do at the moment, or a request that cannot be done as it is.
fn code(reason: &Reason) -> Code {
    match reason.class() {
        ReasonClass::Conflict => Code::AbortedByConflict(reason.word()),
        ReasonClass::Funds => Code::AbortedByRequest(reason.word()),
        ReasonClass::Other => match reason {
            Reason::UnknownAccount(_) | Reason::CreditOverflow(_) | Reason::UnknownNode(_) => {
                Code::AbortedByRequest(reason.word())
            }
            Reason::InsufficientFunds(_)
            | Reason::LockContention(_)
            | Reason::Unreachable(_)
            | Reason::VoteTimeout(_)
            | Reason::Quarantined(_)
            | Reason::DiskFull(_)
            | Reason::CoordinatorDiskFull
            | Reason::AuditInProgress
            | Reason::Stale
            | Reason::CoordinatorRestarted
            | Reason::PresumedAbort
            | Reason::Duplicate
            | Reason::OperatorDecision => Code::AbortedByConflict(reason.word()),
        },
    }
}

/// What a program can do about an abort.
fn next(reason: &Reason, order: &Order, request: RequestId) -> String {
    let place = |account| client::report::place(order, account);
    match reason {
        Reason::InsufficientFunds(account) => {
            format!("GET /v1/accounts/{} shows what is there.", place(account))
        }
        Reason::LockContention(_)
        | Reason::AuditInProgress
        | Reason::Unreachable(_)
        | Reason::VoteTimeout(_)
        | Reason::Stale
        | Reason::CoordinatorRestarted
        | Reason::PresumedAbort => "Send it again with a new Idempotency-Key.".to_owned(),
        Reason::UnknownAccount(account) => {
            format!("A deposit opens it: POST /v1/deposits for {}.", place(account))
        }
        Reason::CreditOverflow(_) => "Use another account.".to_owned(),
        Reason::UnknownNode(_) => "GET /v1/status shows which nodes there are.".to_owned(),
        Reason::Quarantined(node) => {
            format!(
                "An operator has to find out what was lost, and then accept the store: twopence adopt {node}"
            )
        }
        Reason::DiskFull(_) | Reason::CoordinatorDiskFull => {
            "Free some, then send it again with a new Idempotency-Key.".to_owned()
        }
        Reason::Duplicate | Reason::OperatorDecision => {
            format!("GET /v1/transactions/{request} shows what is known of it.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(keys: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(IDEMPOTENCY_KEY, key.parse().unwrap());
        }
        headers
    }

    #[test]
    fn any_short_text_is_a_key_with_or_without_quotes() {
        assert!(matches!(key(&headers(&[])), Ok(None)));
        let uuid = "0197c3a0-8a5e-7e0f-a1b2-c3d4e5f60718";
        assert_eq!(key(&headers(&[uuid])).ok(), Some(uuid.parse().ok()));
        let quoted = format!("\"{uuid}\"");
        assert_eq!(key(&headers(&[&quoted])).ok(), Some(uuid.parse().ok()));
        let order = key(&headers(&["order 7/b"])).ok().flatten();
        assert_eq!(order, Some(RequestId::of_key("order 7/b")));
        for bad in [
            &[""][..],
            &["\"\""],
            &["a", "b"],
            &["a", "a"],
            &[&"x".repeat(256)],
            &["ü"],
        ] {
            let refused = key(&headers(bad)).map_err(|problem| problem.code());
            assert_eq!(refused, Err(Code::BadKey), "{bad:?}");
        }
    }

    #[test]
    fn who_is_sent_away_with_a_key_is_not_told_that_no_money_moved_under_it() {
        let full = || Problem::new(Code::Overloaded, "full");
        assert_eq!(not_begun(full(), None).money_moved(), MoneyMoved::No);
        let again = not_begun(full(), Some(RequestId(7)));
        assert_eq!(again.code(), Code::Overloaded);
        assert_eq!(again.money_moved(), MoneyMoved::Unknown);
    }

    fn transaction(json: &str) -> Result<String, Code> {
        let transaction: Transaction = serde_json::from_str(json).unwrap();
        let order = transaction.order();
        order
            .map(|order| order.to_string())
            .map_err(|problem| problem.code())
    }

    #[test]
    fn a_transaction_is_legs_or_a_transfer_and_makes_sense() {
        let legs =
            r#"{"legs":[{"node":"N1","account":"A","delta":-30},{"node":"N2","account":"B","delta":30}]}"#;
        assert_eq!(transaction(legs), Ok("N1/A:-30 N2/B:+30".to_owned()));
        let transfer = r#"{"from":"N1/A","to":"N2/B","amount":10}"#;
        assert_eq!(transaction(transfer), Ok("N1/A:-10 N2/B:+10".to_owned()));
        for (json, code) in [
            (r#"{}"#, Code::BadJson),
            (r#"{"legs":[],"amount":1}"#, Code::BadJson),
            (r#"{"from":"N1/A","amount":1}"#, Code::BadJson),
            (r#"{"legs":[]}"#, Code::BadOrder),
            (
                r#"{"legs":[{"node":"N1","account":"A","delta":-30}]}"#,
                Code::BadOrder,
            ),
            (
                r#"{"legs":[{"node":"N1","account":"A","delta":0}]}"#,
                Code::BadOrder,
            ),
            (
                r#"{"legs":[{"node":"N1","account":"@world","delta":1}]}"#,
                Code::BadName,
            ),
            (r#"{"from":"N1/A","to":"N1/A","amount":1}"#, Code::BadOrder),
            (r#"{"from":"N1/A","to":"N2/B","amount":0}"#, Code::BadOrder),
            (r#"{"from":"N1/A","to":"N2/B","amount":-1}"#, Code::BadOrder),
            (r#"{"from":"N1/A","to":"../B","amount":1}"#, Code::BadName),
        ] {
            assert_eq!(transaction(json), Err(code), "{json}");
        }
    }
}
