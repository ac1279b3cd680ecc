//! What is the page made of? Every file of it is named here and is part of the program: it works offline, and no path
//! that a browser sends is ever used as one.
//!
//! In debug builds `TWOPENCE_ASSETS=web/assets` reads the files anew for each request, so that a reload shows what was
//! changed. Which files there are stays what it is here.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::state::AppState;

/// A file of the page.
struct Asset {
    /// Where browsers find it.
    path: &'static str,
    /// Where it is below `web/assets/`.
    #[cfg_attr(
        not(debug_assertions),
        expect(dead_code, reason = "read from disk in debug builds only")
    )]
    file: &'static str,
    kind: &'static str,
    content: &'static [u8],
}

macro_rules! asset {
    ($path:literal, $file:literal, $kind:expr) => {
        Asset {
            path: $path,
            file: $file,
            kind: $kind,
            content: include_bytes!(concat!("../assets/", $file)),
        }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

const ASSETS: &[Asset] = &[
    asset!("/", "index.html", HTML),
    asset!("/coins.svg", "coins.svg", IMAGE),
    asset!("/base.css", "base.css", CSS),
    asset!("/diagram.css", "diagram.css", CSS),
    asset!("/shell.css", "shell.css", CSS),
    asset!("/views.css", "views.css", CSS),
    asset!("/accounts.js", "accounts.js", SCRIPT),
    asset!("/api.js", "api.js", SCRIPT),
    asset!("/app.js", "app.js", SCRIPT),
    asset!("/appearance.js", "appearance.js", SCRIPT),
    asset!("/break.js", "break.js", SCRIPT),
    asset!("/chart.js", "chart.js", SCRIPT),
    asset!("/charts.js", "charts.js", SCRIPT),
    asset!("/dom.js", "dom.js", SCRIPT),
    asset!("/draw.js", "draw.js", SCRIPT),
    asset!("/emitter.js", "emitter.js", SCRIPT),
    asset!("/export.js", "export.js", SCRIPT),
    asset!("/figure.js", "figure.js", SCRIPT),
    asset!("/format.js", "format.js", SCRIPT),
    asset!("/glyphs.js", "glyphs.js", SCRIPT),
    asset!("/infer.js", "infer.js", SCRIPT),
    asset!("/layout.js", "layout.js", SCRIPT),
    asset!("/list.js", "list.js", SCRIPT),
    asset!("/live.js", "live.js", SCRIPT),
    asset!("/logs.js", "logs.js", SCRIPT),
    asset!("/main.js", "main.js", SCRIPT),
    asset!("/memory.js", "memory.js", SCRIPT),
    asset!("/operate.js", "operate.js", SCRIPT),
    asset!("/processes.js", "processes.js", SCRIPT),
    asset!("/quick.js", "quick.js", SCRIPT),
    asset!("/receipt.js", "receipt.js", SCRIPT),
    asset!("/ring.js", "ring.js", SCRIPT),
    asset!("/stage.js", "stage.js", SCRIPT),
    asset!("/state.js", "state.js", SCRIPT),
    asset!("/stream.js", "stream.js", SCRIPT),
    asset!("/theme.js", "theme.js", SCRIPT),
    asset!("/tour.js", "tour.js", SCRIPT),
    asset!("/transaction.js", "transaction.js", SCRIPT),
    asset!("/verdict.js", "verdict.js", SCRIPT),
    asset!("/words.js", "words.js", SCRIPT),
];

/// A path for each of them.
pub(crate) fn routes() -> Router<AppState> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(move || async move { serve(asset) }))
    })
}

fn serve(asset: &'static Asset) -> Response {
    // Another version of the program may be behind the same address next time.
    let headers = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "no-cache")];
    #[cfg(debug_assertions)]
    if let Some(dir) = std::env::var_os("TWOPENCE_ASSETS") {
        let file = std::path::Path::new(&dir).join(asset.file);
        return match std::fs::read(&file) {
            Ok(content) => (headers, content).into_response(),
            Err(error) => format!("{}: {error}\n", file.display()).into_response(),
        };
    }
    (headers, asset.content).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_once() {
        let on_disk: BTreeSet<String> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.file.to_owned()).collect();
        assert_eq!(served, on_disk);
        assert_eq!(served.len(), ASSETS.len());
    }
}
