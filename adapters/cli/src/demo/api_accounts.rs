//! Accounts for programs: JSON in and out, and never a redirect.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        Path, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode},
    routing::{delete, get, post},
};
use cloakroom_core::{Handle, RosterError};
use cloakroom_tower::{Session, cloakroom_store::SessionError};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    App, accounts,
    api::{Answer, Delay, load_then_wait},
    error::Failure,
    users::User,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/login", post(login))
        .route("/api/logout", post(logout))
        .route("/api/me", get(me))
        .route("/api/password", post(password))
        .route("/api/sessions", get(list))
        .route("/api/sessions/end-all", post(end_all))
        .route("/api/sessions/end-others", post(end_others))
        .route("/api/sessions/{handle}", delete(end))
        .route("/api/sudo", post(sudo))
}

#[derive(Deserialize)]
struct Credentials {
    user: String,
    password: String,
    #[serde(default)]
    remember: bool,
    /// Between the check of the password and the login.
    #[serde(default)]
    delay_ms: Delay,
}

#[derive(Deserialize)]
struct Change {
    old: String,
    new: String,
}

#[derive(Deserialize)]
struct Again {
    password: String,
}

async fn login(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let Credentials { user, password, remember, delay_ms } = read(body)?;
    let proof = accounts::check(&app, &user, &password)?;
    load_then_wait(&app, &session, delay_ms).await?;
    accounts::sign_in(&app, &session, proof, &headers, remember).await?;
    Ok(Json(json!({ "user": proof.user() })))
}

async fn logout(session: Session) -> Answer {
    accounts::sign_out(&session).await?;
    ok()
}

async fn me(State(app): State<App>, session: Session) -> Answer {
    let user = signed_in(&session).await?;
    Ok(Json(json!({ "user": user, "sudo": accounts::is_recent(&app, &session).await? })))
}

async fn list(session: Session) -> Answer {
    signed_in(&session).await?;
    let sessions = session.user_sessions().await?.into_iter().map(|listed| {
        json!({
            "handle": listed.handle.as_str(),
            "created": listed.created.as_millis(),
            "seen": listed.seen.as_millis(),
            "label": listed.label.as_ref().map(|label| label.as_str()),
            "current": listed.current,
        })
    });
    Ok(Json(sessions.collect()))
}

async fn end(session: Session, handle: Result<Path<String>, PathRejection>) -> Answer {
    let Path(handle) = handle?;
    signed_in(&session).await?;
    // What is no handle at all names no session either.
    let handle: Handle = handle.parse().map_err(|_| SessionError::Roster(RosterError::UnknownHandle))?;
    session.end_session(handle).await?;
    ok()
}

async fn end_others(session: Session) -> Answer {
    signed_in(&session).await?;
    session.end_other_sessions().await?;
    ok()
}

async fn end_all(session: Session) -> Answer {
    signed_in(&session).await?;
    session.end_all_sessions().await?;
    ok()
}

async fn password(State(app): State<App>, session: Session, body: Result<Bytes, BytesRejection>) -> Answer {
    let Change { old, new } = read(body)?;
    let user = signed_in(&session).await?;
    let _ = accounts::check(&app, user.name(), &old)?;
    accounts::change_password(&app, &session, user, &new).await?;
    ok()
}

async fn sudo(State(app): State<App>, session: Session, body: Result<Bytes, BytesRejection>) -> Answer {
    let Again { password } = read(body)?;
    let user = signed_in(&session).await?;
    accounts::elevate(&app, &session, user, &password).await?;
    ok()
}

async fn signed_in(session: &Session) -> Result<User, Failure> {
    // A store that is down signs nobody out, also where requests are served without a session.
    session.with(|loaded| loaded.principal()).await?.ok_or_else(Failure::not_signed_in)
}

/// Reads a body, whatever its content type says.
fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    serde_json::from_slice(&body?).map_err(|error| {
        let word = if error.is_data() { "bad_body" } else { "not_json" };
        // Its own words may quote the body, where the password is.
        Failure::new(StatusCode::BAD_REQUEST, word, "the body is no JSON object of what this path takes")
    })
}

fn ok() -> Answer {
    Ok(Json(json!({ "ok": true })))
}
