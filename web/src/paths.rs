//! A router that remembers what it leads to, so that a test can compare it with the document that describes it.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{get, post};

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

    /// What changes something.
    pub(crate) fn post<H, T>(self, path: &str, handler: H) -> Paths
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.with("post", path, |router| router.route(path, post(handler)))
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
    #[expect(dead_code, reason = "for the comparison alone")]
    pub(crate) fn named(&self) -> &[(&'static str, String)] {
        &self.named
    }

    pub(crate) fn into_router(self) -> Router<AppState> {
        self.router
    }
}
