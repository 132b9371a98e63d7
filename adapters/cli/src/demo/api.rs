//! The demo for programs: JSON in and out.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{
        Path, Query, State,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cloakroom_core::{Data, Json as Text};
use cloakroom_runtime::Runtime as _;
use cloakroom_tower::Session;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{App, error::Failure};

pub(super) type Answer = Result<Json<serde_json::Value>, Failure>;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/destroy", post(destroy))
        .route("/api/fail", post(fail))
        .route("/api/metrics", get(metrics))
        .route("/api/rotate", post(rotate))
        .route("/api/session", get(show))
        .route("/api/session/{key}", get(read).put(insert).delete(remove))
        .route("/api/session/{key}/add", post(add))
        .route("/api/stream", get(stream))
        .route("/api/untouched", get(untouched))
}

/// How long a handler waits after the load: long enough to meet others, and bounded.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Delay(Duration);

impl Delay {
    const MAX_MILLIS: u64 = 60_000;
}

impl TryFrom<u64> for Delay {
    type Error = String;

    fn try_from(millis: u64) -> Result<Self, String> {
        match millis {
            0..=Self::MAX_MILLIS => Ok(Self(Duration::from_millis(millis))),
            _ => Err(format!("at most {} ms", Self::MAX_MILLIS)),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wait {
    delay_ms: Delay,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Add {
    delay_ms: Delay,
    n: i64,
}

impl Default for Add {
    fn default() -> Self {
        Self { delay_ms: Delay::default(), n: 1 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Fail {
    status: u16,
}

impl Default for Fail {
    fn default() -> Self {
        Self { status: 500 }
    }
}

/// A session as programs see it; the default is what a store that is down leaves of it.
#[derive(Debug, Serialize)]
struct View {
    new: bool,
    data: Data,
    created: u64,
    handle: String,
}

impl Default for View {
    fn default() -> Self {
        Self { new: true, data: Data::new(), created: 0, handle: String::new() }
    }
}

/// A value with its text as it was put there, never parsed: its depth and its numbers are its owner's affair.
#[derive(Debug, Serialize)]
struct Value {
    key: String,
    found: bool,
    value: Option<Box<RawValue>>,
}

async fn untouched() -> Json<serde_json::Value> {
    Json(json!({ "touched": false }))
}

async fn show(session: Session) -> Result<Json<View>, Failure> {
    let view = session.read(|loaded| {
        Ok(View {
            new: loaded.is_new(),
            data: loaded.data()?.clone(),
            created: loaded.created().map_or(0, |created| created.as_millis()),
            handle: loaded.handle().map(|handle| handle.to_string()).unwrap_or_default(),
        })
    });
    Ok(Json(view.await?.unwrap_or_default()))
}

async fn read(
    State(app): State<App>,
    session: Session,
    key: Result<Path<String>, PathRejection>,
    query: Result<Query<Wait>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let (Path(key), Query(Wait { delay_ms })) = (key?, query?);
    load_then_wait(&app, &session, delay_ms).await?;
    let value = session.get(&key).await?;
    Ok(Json(Value { key, found: value.is_some(), value }))
}

async fn insert(
    State(app): State<App>,
    session: Session,
    key: Result<Path<String>, PathRejection>,
    query: Result<Query<Wait>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let (Path(key), Query(Wait { delay_ms }), body) = (key?, query?, body?);
    let value = str::from_utf8(&body).ok().and_then(|text| Text::parse(text).ok());
    let value = value.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "not_json", "the body is no JSON value"))?;
    load_then_wait(&app, &session, delay_ms).await?;
    session.insert(&key, &value).await?;
    Ok(Json(json!({ "key": key })))
}

async fn add(
    State(app): State<App>,
    session: Session,
    key: Result<Path<String>, PathRejection>,
    query: Result<Query<Add>, QueryRejection>,
) -> Answer {
    let (Path(key), Query(Add { delay_ms, n })) = (key?, query?);
    load_then_wait(&app, &session, delay_ms).await?;
    let sum = move |value: Option<i64>| {
        value.unwrap_or(0).checked_add(n).ok_or_else(|| {
            Failure::new(StatusCode::CONFLICT, "out_of_range", "the sum is no 64-bit number; nothing was added")
        })
    };
    let value = session.try_update(&key, sum).await?;
    Ok(Json(json!({ "value": value })))
}

async fn remove(session: Session, key: Result<Path<String>, PathRejection>) -> Answer {
    let Path(key) = key?;
    let removed = session.remove(&key).await?;
    Ok(Json(json!({ "key": key, "removed": removed })))
}

async fn rotate(State(app): State<App>, session: Session, query: Result<Query<Wait>, QueryRejection>) -> Answer {
    let Query(Wait { delay_ms }) = query?;
    load_then_wait(&app, &session, delay_ms).await?;
    session.rotate().await?;
    Ok(Json(json!({ "ok": true })))
}

async fn destroy(session: Session) -> Answer {
    session.destroy().await?;
    Ok(Json(json!({ "ok": true })))
}

async fn fail(session: Session, query: Result<Query<Fail>, QueryRejection>) -> Result<Infallible, Failure> {
    let Query(Fail { status }) = query?;
    let status = StatusCode::from_u16(status).ok().filter(|status| (200..600).contains(&status.as_u16()));
    let status = status
        .ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "bad_query", "a status to answer with is 200 to 599"))?;
    session.insert("failed", &true).await?;
    Err(Failure::new(status, "asked_for", "the request asked for this status"))
}

/// Streams one JSON value; the session is settled before the first piece.
async fn stream(State(app): State<App>, session: Session) -> Result<Response, Failure> {
    const PIECES: [&str; 7] = ["{\"pieces\":[", "1", ",2", ",3", ",4", ",5", "]}\n"];
    const PAUSE: Duration = Duration::from_millis(40);
    session.insert("streamed", &true).await?;
    let pieces = stream::unfold(PIECES.iter(), move |mut rest| {
        let app = app.clone();
        async move {
            let piece = rest.next()?;
            app.0.runtime.sleep(PAUSE).await;
            Some((Ok::<_, Infallible>(*piece), rest))
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response())
}

/// Tells what this process counted; a number that its store cannot tell is `null`.
async fn metrics(State(app): State<App>) -> Json<serde_json::Value> {
    let counters = app.0.sessions.counters();
    let size = app.0.store.size();
    Json(json!({
        "runtime": app.0.facts.runtime.as_str(),
        "store": app.0.facts.place.kind(),
        "events": counters.events().collect::<BTreeMap<_, _>>(),
        "events_overflowed": counters.events_overflowed(),
        "operations": counters.operations().collect::<BTreeMap<_, _>>(),
        "store_failures": counters.store_failures(),
        "sessions": size.sessions,
        "bytes": size.bytes,
        "expired": size.expired,
        "refused": size.refused,
    }))
}

pub(super) async fn load_then_wait(app: &App, session: &Session, Delay(delay): Delay) -> Result<(), Failure> {
    session.read(|_| Ok(())).await?;
    if !delay.is_zero() {
        app.0.runtime.sleep(delay).await;
    }
    Ok(())
}
