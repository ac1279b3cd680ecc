//! What does an error say? What happened, whether money moved, and what to do next, as `application/problem+json`.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use client::report::PaymentReport;
use serde::Serialize;

/// Which error it is: what a program looks at. Codes are never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// There is no such path.
    NotFound,
    /// The path takes other methods.
    MethodNotAllowed,
    /// The `Host` header names somebody else.
    ForeignHost,
    /// A page from elsewhere asks.
    ForeignOrigin,
    /// What changes something was not sent as `application/json`.
    NotJson,
    /// The request is not what belongs there.
    BadRequest,
    /// It makes no sense in the present state of a process.
    NotNow,
    /// Something else has the cluster to itself.
    Busy,
    /// Everything would be deleted, and nobody has said that it may.
    WouldErase,
    /// A process does not do what it was told.
    ProcessFailed,
    /// The body is too long.
    TooLarge,
    /// The body did not arrive in time.
    Late,
    /// The body is no JSON, or not what this path takes.
    BadJson,
    /// What stands behind the `?` makes no sense.
    BadQuery,
    /// A name of something is malformed.
    BadName,
    /// The `Idempotency-Key` is malformed.
    BadKey,
    /// What is asked for makes no sense.
    BadOrder,
    /// The `Idempotency-Key` was used before for something else.
    KeyReused,
    /// There is no such account.
    NoSuchAccount,
    /// There is no such node.
    NoSuchNode,
    /// Nobody knows that transaction.
    NoSuchTransaction,
    /// An operator's word was not followed.
    NotResolved,
    /// Nobody can tell yet how it ended.
    OutcomeUnknown,
    /// It was asked, and no answer came.
    NoAnswer,
    /// No coordinator can be reached: nothing was sent.
    NoCoordinator,
    /// The cluster says that it cannot be done now.
    Failed,
    /// Too many requests are being answered.
    Overloaded,
    /// This server has a bug.
    Internal,
    /// It aborted because of what others do at the moment: the reason's word is the code.
    AbortedByConflict(&'static str),
    /// It aborted because it cannot be done as it is: the reason's word is the code.
    AbortedByRequest(&'static str),
}

impl Code {
    /// The code as it travels.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::NotFound => "not_found",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::ForeignHost => "foreign_host",
            Code::ForeignOrigin => "foreign_origin",
            Code::NotJson => "not_json",
            Code::BadRequest => "bad_request",
            Code::NotNow => "not_now",
            Code::Busy => "busy",
            Code::WouldErase => "would_erase",
            Code::ProcessFailed => "process_failed",
            Code::TooLarge => "too_large",
            Code::Late => "late",
            Code::BadJson => "bad_json",
            Code::BadQuery => "bad_query",
            Code::BadName => "bad_name",
            Code::BadKey => "bad_idempotency_key",
            Code::BadOrder => "bad_order",
            Code::KeyReused => "idempotency_key_reused",
            Code::NoSuchAccount => "no_such_account",
            Code::NoSuchNode => "no_such_node",
            Code::NoSuchTransaction => "no_such_transaction",
            Code::NotResolved => "not_resolved",
            Code::OutcomeUnknown => "outcome_unknown",
            Code::NoAnswer => "no_answer",
            Code::NoCoordinator => "no_coordinator",
            Code::Failed => "failed",
            Code::Overloaded => "overloaded",
            Code::Internal => "internal",
            Code::AbortedByConflict(word) | Code::AbortedByRequest(word) => word,
        }
    }

    /// The status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::ForeignHost | Code::ForeignOrigin => StatusCode::FORBIDDEN,
            Code::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::NotNow | Code::Busy | Code::WouldErase => StatusCode::CONFLICT,
            Code::ProcessFailed => StatusCode::SERVICE_UNAVAILABLE,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::Late => StatusCode::REQUEST_TIMEOUT,
            Code::BadJson | Code::BadQuery | Code::BadName | Code::BadKey => StatusCode::BAD_REQUEST,
            Code::BadOrder | Code::KeyReused | Code::AbortedByRequest(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Code::NotFound | Code::NoSuchAccount | Code::NoSuchNode | Code::NoSuchTransaction => {
                StatusCode::NOT_FOUND
            }
            Code::NotResolved | Code::AbortedByConflict(_) => StatusCode::CONFLICT,
            Code::OutcomeUnknown | Code::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
            Code::NoCoordinator | Code::Failed | Code::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What it means, in a few words that are the same every time.
    fn title(self) -> &'static str {
        match self {
            Code::NotFound => "There is no such thing",
            Code::MethodNotAllowed => "Not with that method",
            Code::ForeignHost => "That is not this server's name",
            Code::ForeignOrigin => "A page from elsewhere may not do that",
            Code::NotJson => "Only JSON is taken",
            Code::BadRequest => "The request is not as it should be",
            Code::NotNow => "Not in the present state",
            Code::Busy => "Something else is under way",
            Code::WouldErase => "Everything would be deleted",
            Code::ProcessFailed => "A process does not do what it was told",
            Code::TooLarge => "The body is too long",
            Code::Late => "The body did not arrive",
            Code::BadJson => "The body is not what this path takes",
            Code::BadQuery => "The query is not what this path takes",
            Code::BadName => "A name is malformed",
            Code::BadKey => "The Idempotency-Key is malformed",
            Code::BadOrder => "That makes no sense",
            Code::KeyReused => "The Idempotency-Key was used for something else",
            Code::NoSuchAccount => "There is no such account",
            Code::NoSuchNode => "There is no such node",
            Code::NoSuchTransaction => "Nobody knows that transaction",
            Code::NotResolved => "The outcome was not forced",
            Code::OutcomeUnknown => "The outcome is unknown",
            Code::NoAnswer => "The cluster did not answer",
            Code::NoCoordinator => "No coordinator can be reached",
            Code::Failed => "The cluster cannot do that now",
            Code::Overloaded => "Too many requests at a time",
            Code::Internal => "A bug of this server",
            Code::AbortedByConflict(_) | Code::AbortedByRequest(_) => "The transaction aborted",
        }
    }
}

/// Whether money moved because of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MoneyMoved {
    /// None did, and none will.
    #[default]
    No,
    /// Nobody can tell yet.
    Unknown,
    /// It did.
    Yes,
}

/// An error as whoever asked gets it.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    money_moved: MoneyMoved,
    next: String,
    payment: Option<Box<PaymentReport>>,
}

impl Problem {
    /// No money moved, and there is nothing to advise.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
            money_moved: MoneyMoved::No,
            next: String::new(),
            payment: None,
        }
    }

    /// Money was to move, and `payment` says how that ended.
    pub(crate) fn of_payment(code: Code, money_moved: MoneyMoved, payment: PaymentReport) -> Problem {
        Problem {
            money_moved,
            payment: Some(Box::new(payment.clone())),
            ..Problem::new(code, payment.message)
        }
    }

    /// What happened.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Which error it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is known about the money.
    pub fn money_moved(&self) -> MoneyMoved {
        self.money_moved
    }

    /// With the advice what to do next.
    #[must_use]
    pub fn next(self, next: impl Into<String>) -> Problem {
        Problem {
            next: next.into(),
            ..self
        }
    }

    /// With what is known about the money.
    #[must_use]
    pub fn money(self, money_moved: MoneyMoved) -> Problem {
        Problem { money_moved, ..self }
    }
}

/// The members of the body, as RFC 9457 names them, and ours.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    money_moved: MoneyMoved,
    next: &'a str,
    #[serde(flatten)]
    payment: Option<&'a PaymentReport>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let wire = Wire {
            r#type: format!("urn:twopence:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code.as_str(),
            detail: &self.detail,
            money_moved: self.money_moved,
            next: &self.next,
            payment: self.payment.as_deref(),
        };
        let body = serde_json::to_vec(&wire).expect("texts and a number are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, second);
        }
        response
    }
}
