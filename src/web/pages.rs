//! What is answered under which path.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::get;

use super::{Source, metrics, text_format};

const PLAIN: &str = "text/plain; charset=utf-8";

type Page = (StatusCode, [(HeaderName, &'static str); 3], String);

fn page(status: StatusCode, content_type: &'static str, body: String) -> Page {
    // Every answer is of this moment and may be seen by whoever asks for it, not kept for others.
    (status, [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], body)
}

pub(super) fn router<S: Source>(source: Arc<S>) -> Router {
    Router::new()
        .route("/healthz", get(health::<S>))
        .route("/readyz", get(readiness::<S>))
        .route("/metrics", get(measures::<S>))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(source)
}

/// 200 while the loops turn. A runtime that stands still does not answer at all.
async fn health<S: Source>(State(source): State<Arc<S>>) -> Page {
    verdict(source.stalled())
}

/// 200 while stations are served. Loops that stand still do not serve either.
async fn readiness<S: Source>(State(source): State<Arc<S>>) -> Page {
    let mut reasons = source.unready();
    reasons.extend(source.stalled());
    verdict(reasons)
}

/// One reason a line.
fn verdict(reasons: Vec<String>) -> Page {
    if reasons.is_empty() {
        return page(StatusCode::OK, PLAIN, "ok\n".to_owned());
    }
    page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, reasons.join("\n") + "\n")
}

async fn measures<S: Source>(State(source): State<Arc<S>>) -> Page {
    let counts = source.counts().await;
    page(StatusCode::OK, text_format::CONTENT_TYPE, metrics::of(&source.snapshot(), &counts, source.stations()))
}

async fn unknown() -> Page {
    let body = "There is no such page; there are /healthz, /readyz and /metrics.\n";
    page(StatusCode::NOT_FOUND, PLAIN, body.to_owned())
}

async fn not_allowed(method: Method, uri: Uri) -> Page {
    let body = format!("{method} is not possible here: {} can only be read, with GET or HEAD.\n", uri.path());
    page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, body)
}
