//! The sessions of the user, and ending them.

use axum::{
    extract::{Form, rejection::FormRejection},
    http::StatusCode,
};
use cloakroom_core::RosterError;
use cloakroom_tower::{Principal, Session, SessionError, cloakroom_store::SessionError as Kind};
use serde::Deserialize;

use super::{Answer, Frame, LOGIN, go, page, view};
use crate::demo::users::User;

const DEVICES: &str = "/blog/devices";

#[derive(Deserialize)]
pub(super) struct Named {
    handle: String,
}

pub(super) async fn show(session: Session, user: Principal<User>) -> Answer {
    let frame = Frame::of(&session, Some(*user)).await?;
    let listed = match session.user_sessions().await {
        Ok(listed) => Some(listed),
        Err(Kind::Roster(RosterError::NoIndex)) => None,
        Err(error) => return Err(SessionError::from(error).into()),
    };
    page(StatusCode::OK, &view::devices(&frame, listed.as_deref()))
}

pub(super) async fn end(session: Session, form: Result<Form<Named>, FormRejection>) -> Answer {
    let Form(Named { handle }) = form?;
    let ended = match handle.parse() {
        Ok(handle) => session.end_session(handle).await,
        Err(_) => Err(RosterError::UnknownHandle.into()),
    };
    match ended {
        // Unless it was this one.
        Ok(()) if session.principal::<User>().await?.is_some() => {
            session.flash("info", "That session is ended.").await?;
        }
        Ok(()) => return go(LOGIN),
        Err(Kind::Roster(RosterError::UnknownHandle)) => {
            session.flash("error", "That session had ended before.").await?;
        }
        Err(error) => return Err(SessionError::from(error).into()),
    }
    go(DEVICES)
}

pub(super) async fn end_others(session: Session) -> Answer {
    session.end_other_sessions().await?;
    session.flash("info", "All your other sessions are ended.").await?;
    go(DEVICES)
}

pub(super) async fn end_all(session: Session) -> Answer {
    session.end_all_sessions().await?;
    go(LOGIN)
}
