//! The demo for people: a page and its forms, which need no scripts.

use axum::{
    Router,
    extract::{Form, State, rejection::FormRejection},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect},
    routing::{get, post},
};
use cloakroom_core::{EditError, Handle, Json, Loaded, UnixTime};
use cloakroom_tower::Session;
use serde::Deserialize;

use super::{
    App,
    error::{Failure, Shown},
    users::User,
    view,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(show))
        .route("/end", post(end))
        .route("/favicon.ico", get(StatusCode::NO_CONTENT))
        .route("/remove", post(remove))
        .route("/rotate", post(rotate))
        .route("/set", post(set))
}

/// A session as the page shows it.
pub(super) struct Seen {
    /// `None` while it is new.
    pub(super) stored: Option<Stored>,
    /// Against forgery; each form has it.
    pub(super) token: String,
    pub(super) user: Option<User>,
    pub(super) values: Vec<(String, String)>,
    pub(super) visits: u64,
}

/// What a session has once it is stored.
pub(super) struct Stored {
    pub(super) created: UnixTime,
    pub(super) deadline: UnixTime,
    pub(super) handle: Handle,
}

impl Seen {
    fn of(loaded: &Loaded) -> Result<Self, EditError> {
        let values = loaded.data()?.iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        let stored = loaded.created().zip(loaded.deadline()).zip(loaded.handle());
        let stored = stored.map(|((created, deadline), handle)| Stored { created, deadline, handle });
        Ok(Self {
            stored,
            token: String::new(),
            user: loaded.principal()?,
            values,
            visits: loaded.get("visits")?.unwrap_or(0),
        })
    }
}

async fn show(State(app): State<App>, session: Session) -> Result<impl IntoResponse, Shown> {
    let seen = session.with(|loaded| {
        let count = |text: Option<&str>| {
            // Whatever else the visitor put there, counting starts again.
            let visits = text.and_then(|text| Json::read::<u64>(text).ok());
            Json::of(&visits.unwrap_or(0).saturating_add(1))
        };
        loaded.update_text("visits", Box::new(count))?;
        Seen::of(loaded)
    });
    let seen = Seen { token: session.csrf_token().await?, ..seen.await? };
    let page = view::page(&app.0.facts, &seen, &app.0.history.latest());
    Ok(([(header::CACHE_CONTROL, "no-store")], Html(page.into_string())))
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    value: String,
}

async fn set(session: Session, form: Result<Form<Entry>, FormRejection>) -> Result<Redirect, Shown> {
    let Form(Entry { key, value }) = form?;
    if key.is_empty() {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_form", "a value needs a key").into());
    }
    match Json::parse(&value) {
        Ok(json) => session.insert(&key, &json).await?,
        Err(_) => session.insert(&key, &value).await?,
    }
    Ok(back())
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

async fn remove(session: Session, form: Result<Form<Key>, FormRejection>) -> Result<Redirect, Shown> {
    let Form(Key { key }) = form?;
    session.remove(&key).await?;
    Ok(back())
}

async fn rotate(session: Session) -> Result<Redirect, Shown> {
    session.rotate().await?;
    Ok(back())
}

async fn end(session: Session) -> Result<Redirect, Shown> {
    session.destroy().await?;
    Ok(back())
}

/// Lets the browser load the page anew, so that a reload repeats no form.
fn back() -> Redirect {
    Redirect::to("/")
}
