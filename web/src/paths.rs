//! A router that remembers what it leads to, so that a test can compare it with the document that describes it.

use axum::handler::Handler;
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::security::json_only;
use crate::state::AppState;

/// Paths of one part of the API.
#[derive(Default)]
pub(crate) struct Paths {
    router: Router<AppState>,
    /// Each path with its method, as an OpenAPI document writes them: `("post", "/v1/deposits")`.
    named: Vec<(&'static str, String)>,
}

impl Paths {
    /// A question.
    pub(crate) fn get<H, T>(self, path: &str, handler: H) -> Paths
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.with("get", path, |router| router.route(path, get(handler)))
    }

    /// What changes something. It has to be sent as JSON.
    pub(crate) fn post<H, T>(self, path: &str, handler: H) -> Paths
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.with("post", path, |router| {
            router.route(path, post(handler).layer(middleware::from_fn(json_only)))
        })
    }

    fn with(
        mut self,
        method: &'static str,
        path: &str,
        route: impl FnOnce(Router<AppState>) -> Router<AppState>,
    ) -> Paths {
        self.named.push((method, path.to_owned()));
        Paths {
            router: route(self.router),
            named: self.named,
        }
    }

    /// Both together.
    pub(crate) fn merge(mut self, other: Paths) -> Paths {
        self.named.extend(other.named);
        Paths {
            router: self.router.merge(other.router),
            named: self.named,
        }
    }

    /// Those of `other` below `prefix`.
    pub(crate) fn nest(mut self, prefix: &str, other: Paths) -> Paths {
        let below = other.named.into_iter();
        self.named
            .extend(below.map(|(method, path)| (method, format!("{prefix}{path}"))));
        Paths {
            router: self.router.nest(prefix, other.router),
            named: self.named,
        }
    }

    /// The paths with their methods.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the comparison alone"))]
    pub(crate) fn named(&self) -> &[(&'static str, String)] {
        &self.named
    }

    pub(crate) fn into_router(self) -> Router<AppState> {
        self.router
    }
}
