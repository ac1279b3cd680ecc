//! May this request be answered at all?
//!
//! Whoever can open a connection to this port may move money: that is what listening on loopback means. But a browser
//! on this machine opens connections for any page that it shows, and such a page must neither move money, nor kill a
//! process, nor read a balance. Three rules see to that, before anything is looked up:
//!
//! - the `Host` must be a name of ours. A foreign name that was made to point here (DNS rebinding) gives itself away by it;
//! - an `Origin` must be our own, whichever the method. Browsers send it along with what a page does elsewhere, and
//!   `Sec-Fetch-Site` besides, which also tells of pictures and the like, that carry no `Origin`;
//! - what changes something must be `application/json`, which no form and no foreign page can send without asking first,
//!   and nobody here answers such a question. [`Paths::post`](crate::paths::Paths::post), the only way to such a handler,
//!   sees to that.
//!
//! Programs such as curl send none of that but the `Host`, and are let in.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::{Code, Problem};
use crate::state::AppState;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Goes along with every answer. What the page loads comes from here, and nobody may put the page into a frame.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors \
         'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// Lets a request pass, or refuses it before it can do anything.
pub(crate) async fn guard(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let names = Names {
        listen: state.address(),
        allowed: state.allow_hosts(),
    };
    let mut response = match names.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // Balances are for whoever asks now.
    let nothing_said = headers.entry(CACHE_CONTROL);
    nothing_said.or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses what is not sent as JSON.
pub(crate) async fn json_only(request: Request, next: Next) -> Response {
    if is_json(request.headers()) {
        next.run(request).await
    } else {
        Problem::new(
            Code::NotJson,
            "Refused: what changes something must be sent as application/json. Nothing was done.",
        )
        .next("Send the header Content-Type: application/json.")
        .into_response()
    }
}

/// By which names this server may be called.
struct Names<'a> {
    listen: SocketAddr,
    allowed: &'a [String],
}

impl Names<'_> {
    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = self.host(headers)?;
        if !is_ours(headers, host) {
            return Err(Problem::new(
                Code::ForeignOrigin,
                "Refused: a page from elsewhere asks for this in a browser. Nothing was done.",
            )
            .next("Use the panel's own page, or a program that is no browser."));
        }
        Ok(())
    }

    /// The one `Host` header, if it names us.
    fn host<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, Problem> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            (None | Some(_), _) => "",
        };
        if self.knows(without_port(host)) {
            return Ok(host);
        }
        let shown: String = host.chars().take(80).collect();
        Err(Problem::new(
            Code::ForeignHost,
            format!("Refused: {shown:?} is not a name of this server. Nothing was done."),
        )
        .next(format!(
            "Use http://{}, or start the gateway with --allow-host NAME.",
            self.listen
        )))
    }

    fn knows(&self, name: &str) -> bool {
        let same = |allowed: &str| name.eq_ignore_ascii_case(allowed);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let by_address = |ip: IpAddr| ip.is_loopback() || (ip == self.listen.ip() && !ip.is_unspecified());
        same("localhost")
            || self.allowed.iter().any(|allowed| same(allowed))
            || bare.parse().is_ok_and(by_address)
    }
}

/// The host of `host:port`, where an IPv6 address stands in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// Whether a browser that sends this shows a page of ours, or none at all.
fn is_ours(headers: &HeaderMap, host: &str) -> bool {
    let ours = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    // A link on a foreign page that leads here shows our page to a person, and nothing to the foreign one.
    let follows_link = headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate");
    let from_here = |site: &HeaderValue| site == "same-origin" || site == "none" || follows_link;
    headers.get_all(ORIGIN).iter().all(ours) && headers.get_all(SEC_FETCH_SITE).iter().all(from_here)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(kind)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[(&str, &str)]) -> Result<(), Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let names = Names {
            listen: "192.0.2.7:8080".parse().unwrap(),
            allowed: &["bank.example".to_owned()],
        };
        names.check(&headers).map_err(|problem| problem.code())
    }

    const HERE: (&str, &str) = ("host", "127.0.0.1:8080");

    #[test]
    fn only_our_own_names_are_answered_to() {
        for host in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "127.0.0.53:1",
            "localhost:8080",
            "LocalHost",
            "[::1]:8080",
            "[::1]",
            "192.0.2.7:8080",
            "bank.example",
            "Bank.Example:443",
        ] {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8080",
            "192.0.2.8:8080",
            "0.0.0.0:8080",
            "2130706433",
            "127.0.0.1@evil.example",
            "[::1].evil.example",
        ] {
            let refused = check(&[("host", host)]);
            assert_eq!(refused, Err(Code::ForeignHost), "{host}");
        }
        assert_eq!(check(&[]), Err(Code::ForeignHost));
        let twice = [HERE, ("host", "evil.example")];
        assert_eq!(check(&twice), Err(Code::ForeignHost));
    }

    #[test]
    fn pages_from_elsewhere_are_refused() {
        for origin in [
            "http://evil.example",
            "null",
            "",
            "http://127.0.0.1:3000",
            "http://localhost:8080",
            "http://127.0.0.1:8080.evil.example",
            "file://",
        ] {
            let refused = check(&[HERE, ("origin", origin)]);
            assert_eq!(refused, Err(Code::ForeignOrigin), "{origin}");
        }
        let ours = ("origin", "http://127.0.0.1:8080");
        assert_eq!(check(&[HERE, ours]), Ok(()));
        let both = [HERE, ours, ("origin", "http://evil.example")];
        assert_eq!(check(&both), Err(Code::ForeignOrigin));
    }

    #[test]
    fn pictures_on_foreign_pages_load_nothing_and_links_lead_here() {
        for site in ["cross-site", "same-site"] {
            let refused = check(&[HERE, ("sec-fetch-site", site)]);
            assert_eq!(refused, Err(Code::ForeignOrigin));
        }
        for site in ["same-origin", "none"] {
            assert_eq!(check(&[HERE, ("sec-fetch-site", site)]), Ok(()));
        }
        let link = [
            HERE,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert_eq!(check(&link), Ok(()));
    }

    #[test]
    fn forms_and_plain_text_are_no_json() {
        let kind = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            is_json(&headers)
        };
        assert!(kind("application/json") && kind("Application/JSON; charset=utf-8"));
        for other in [
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "text/plain",
            "application/jsonp",
            "",
        ] {
            assert!(!kind(other), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
