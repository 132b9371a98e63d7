//! What the engine noticed, as `tracing` records and for the services around the layer.

use std::{error::Error as _, marker::PhantomData};

use cloakroom_core::{CookieChange, Event, Events};
use cloakroom_store::{OpLog, Report};

use crate::session::Main;

/// What was decided about a request's session: an extension of the response, where the session was accessed and the layer is
/// asked for it ([`SessionLayer::trace_responses`](crate::SessionLayer::trace_responses)).
///
/// ```
/// use cloakroom_tower::SessionTrace;
///
/// # fn log(response: http::Response<()>) {
/// // In a service around the layer.
/// if let Some(trace) = response.extensions().get::<SessionTrace>() {
///     println!("cookie: {}, operations: {:?}", trace.cookie(), trace.ops());
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct SessionTrace<N = Main> {
    cookie: &'static str,
    events: Events,
    ops: OpLog,
    name: PhantomData<fn() -> N>,
}

impl<N> SessionTrace<N> {
    pub(crate) fn of(report: &Report) -> Self {
        let events = report.events().copied().unwrap_or_default();
        Self { cookie: report.cookie().name(), events, ops: *report.ops(), name: PhantomData }
    }

    /// Returns `clear`, `keep` or `set`: what became of the client's cookie.
    pub fn cookie(&self) -> &'static str {
        self.cookie
    }

    /// Returns what the engine noticed.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Returns the operations that the store was asked for, in order.
    pub fn ops(&self) -> &OpLog {
        &self.ops
    }
}

impl<N> Clone for SessionTrace<N> {
    fn clone(&self) -> Self {
        Self { cookie: self.cookie, events: self.events, ops: self.ops, name: PhantomData }
    }
}

/// Writes the records of a request, target `cloakroom`. None has an id, a token, a key or a value in it.
pub(crate) fn record(report: &Report) {
    for event in report.events().into_iter().flat_map(Events::iter) {
        let name = event.name();
        match event {
            Event::Conflict(replays) => tracing::debug!(target: "cloakroom", event = name, replays, "session"),
            Event::UnknownKey(key) => tracing::info!(target: "cloakroom", event = name, key = key.get(), "session"),
            Event::Created | Event::Ended | Event::Renewed | Event::Touched | Event::NotFound | Event::Expired => {
                tracing::debug!(target: "cloakroom", event = name, "session");
            }
            Event::Undecodable => tracing::error!(target: "cloakroom", event = name, "session"),
            _ => tracing::info!(target: "cloakroom", event = name, "session"),
        }
    }
    if let Some(error) = report.store_error() {
        let source = error.source().map(tracing::field::display);
        tracing::warn!(target: "cloakroom", %error, source, "store");
    }
    if let Err(error) = report.result() {
        let cookie = match report.cookie() {
            CookieChange::Keep => "keep",
            changed => changed.name(),
        };
        tracing::warn!(target: "cloakroom", %error, end = ?report.end(), cookie, "commit");
    }
}
