//! What does an error say? What happened, whether money moved, and what to do next, as `application/problem+json`.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
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
        }
    }

    /// The status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::ForeignHost | Code::ForeignOrigin => StatusCode::FORBIDDEN,
            Code::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::NotNow | Code::Busy | Code::WouldErase => StatusCode::CONFLICT,
            Code::ProcessFailed => StatusCode::SERVICE_UNAVAILABLE,
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
}

impl Problem {
    /// No money moved, and there is nothing to advise.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem {
            code,
            detail: detail.into(),
            money_moved: MoneyMoved::No,
            next: String::new(),
        }
    }

    /// Which error it is.
    pub fn code(&self) -> Code {
        self.code
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
        };
        let body = serde_json::to_vec(&wire).expect("texts and a number are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
