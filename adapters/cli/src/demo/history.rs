//! What was decided about the last requests.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};
use cloakroom_core::{Event, OpKind};
use cloakroom_tower::SessionTrace;

use super::App;

const OPS: HeaderName = HeaderName::from_static("x-session-ops");
const COOKIE: HeaderName = HeaderName::from_static("x-session-cookie");

/// The last requests of all clients, the latest first.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<Settled>>);

impl History {
    /// How many are kept.
    const MAX: usize = 24;

    pub(super) fn latest(&self) -> Vec<Settled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn add(&self, settled: Settled) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(Self::MAX - 1);
        kept.push_front(settled);
    }
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) at: SystemTime,
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) status: StatusCode,
    /// `None` where nobody asked for the session.
    pub(super) trace: Option<SessionTrace>,
}

impl Settled {
    /// Says what came of the request's ticket.
    pub(super) fn ticket(&self) -> &'static str {
        let Some(trace) = &self.trace else { return "not looked at" };
        let is_refusal = |event| matches!(event, Event::ForgedToken | Event::MalformedToken | Event::UnknownKey(_));
        // What starts with another operation had no ticket to look up.
        if trace.ops().iter().next() == Some(OpKind::Load) {
            "accepted"
        } else if trace.events().iter().any(is_refusal) {
            "refused"
        } else {
            "none"
        }
    }

    pub(super) fn ops(&self) -> String {
        self.trace.as_ref().map(|trace| trace.ops().to_string()).unwrap_or_default()
    }

    pub(super) fn cookie(&self) -> &'static str {
        self.trace.as_ref().map_or("keep", SessionTrace::cookie)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = Event> {
        self.trace.iter().flat_map(|trace| trace.events().iter())
    }
}

/// Writes down what was decided, here and in the response's headers.
pub(super) async fn watch(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = bounded(request.method().as_str(), 16);
    let path = bounded(request.uri().path(), 120);
    let mut response = next.run(request).await;
    let trace = response.extensions().get::<SessionTrace>().cloned();
    let settled = Settled { at: app.0.runtime.now(), method, path, status: response.status(), trace };
    let headers = response.headers_mut();
    headers.insert(COOKIE, HeaderValue::from_static(settled.cookie()));
    if let Ok(ops) = HeaderValue::from_str(&settled.ops()) {
        headers.insert(OPS, ops);
    }
    app.0.history.add(settled);
    response
}

fn bounded(text: &str, max: usize) -> String {
    let mut kept: String = text.chars().take(max).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}
