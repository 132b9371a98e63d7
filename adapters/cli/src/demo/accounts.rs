//! Signing in and what goes with it, the same for people and for programs.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use cloakroom_core::{Excess, Lifetime, Login};
use cloakroom_tower::Session;

use super::{
    App,
    error::Failure,
    users::{Proof, User, Users},
};

/// How many sessions a user may have; the oldest gives way.
pub(super) const MAX_SESSIONS: usize = 20;
/// How long a session lives that is to be remembered.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The longest lifetime of a session, whatever that of the others is.
pub(super) fn longest(usual: Lifetime) -> Lifetime {
    Lifetime::new(usual.idle().max(REMEMBERED), usual.absolute().max(REMEMBERED))
}

pub(super) fn check(app: &App, name: &str, password: &str) -> Result<Proof, Failure> {
    app.0.users.check(name, password).ok_or_else(wrong_password)
}

/// Signs a user in: it is stored when this returns.
pub(super) async fn sign_in(
    app: &App,
    session: &Session,
    proof: Proof,
    headers: &HeaderMap,
    remember: bool,
) -> Result<(), Failure> {
    let mut login = Login::new();
    // Without an index nobody can count them.
    if app.0.sessions.has_index() {
        login = login.at_most(MAX_SESSIONS, Excess::EndOldest);
    }
    if let Some(agent) = headers.get(header::USER_AGENT) {
        login = login.label(&String::from_utf8_lossy(agent.as_bytes()));
    }
    if remember {
        login = login.lifetime(Lifetime::new(REMEMBERED, REMEMBERED).persistent());
    }
    session.login(&proof.user(), login).await?;
    session.save().await?;
    // A change of the password ends the sessions that are listed by then. This one is listed, or sees the change.
    if !app.0.users.holds(proof) {
        sign_out(session).await?;
        return Err(wrong_password());
    }
    Ok(())
}

pub(super) async fn sign_out(session: &Session) -> Result<(), Failure> {
    session.logout().await?;
    Ok(session.save().await?)
}

/// Tells whether the password was given so lately that it need not be asked for.
pub(super) async fn is_recent(app: &App, session: &Session) -> Result<bool, Failure> {
    Ok(session.authenticated_within(app.0.sudo).await?)
}

/// Notes that the password was given again.
pub(super) async fn elevate(app: &App, session: &Session, user: User, password: &str) -> Result<(), Failure> {
    let _ = check(app, user.name(), password)?;
    session.elevate().await?;
    Ok(session.save().await?)
}

/// Changes the password and ends all other sessions.
pub(super) async fn change_password(app: &App, session: &Session, user: User, new: &str) -> Result<(), Failure> {
    if !Users::fits(new) {
        let (min, max) = (Users::MIN_PASSWORD, Users::MAX_PASSWORD);
        let message = format!("a password has {min} to {max} characters");
        return Err(Failure::new(StatusCode::BAD_REQUEST, Failure::BAD_PASSWORD, message));
    }
    app.0.users.change(user, new);
    Ok(session.credentials_changed().await?)
}

/// The same for a user that there is not.
fn wrong_password() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, Failure::WRONG_PASSWORD, "the user or the password is wrong")
}
