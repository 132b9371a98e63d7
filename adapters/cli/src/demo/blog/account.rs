//! Signing in and out, giving the password again, and changing it.

use axum::{
    extract::{
        Form, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
};
use cloakroom_tower::{Principal, ReturnTo, Session};
use serde::Deserialize;

use super::{Answer, Frame, HOME, LOGIN, go, page, view};
use crate::demo::{App, accounts, error::Failure, users::User};

const PASSWORD: &str = "/blog/password";
/// Asks for the password, and leads back to where it is changed.
const SUDO_FOR_PASSWORD: &str = "/blog/sudo?return_to=/blog/password";

/// Where to go on; anything that is no path of this site is as good as nothing, and so is the way to where one is.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Back {
    return_to: String,
}

impl Back {
    pub(super) fn path(&self) -> String {
        let leads_on = |to: &ReturnTo| to.as_str().split(['?', '#']).next() != Some(LOGIN);
        let to = ReturnTo::parse(&self.return_to).filter(leads_on);
        to.map_or_else(|| HOME.to_owned(), |to| to.as_str().to_owned())
    }
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    user: String,
    password: String,
    /// The box sends it only when it is ticked.
    remember: Option<String>,
    #[serde(flatten)]
    back: Back,
}

#[derive(Deserialize)]
pub(super) struct Again {
    password: String,
    #[serde(flatten)]
    back: Back,
}

#[derive(Deserialize)]
pub(super) struct Change {
    new: String,
    again: String,
}

pub(super) async fn login_page(
    session: Session,
    user: Option<Principal<User>>,
    back: Result<Query<Back>, QueryRejection>,
) -> Answer {
    let Query(back) = back?;
    if user.is_some() {
        return go(&back.path());
    }
    let frame = Frame::of(&session, None).await?;
    page(StatusCode::OK, &view::login(&frame, "", &back.path(), None))
}

pub(super) async fn sign_in(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Answer {
    let Form(Credentials { user, password, remember, back }) = form?;
    let signed_in = async {
        let proof = accounts::check(&app, &user, &password)?;
        accounts::sign_in(&app, &session, proof, &headers, remember.is_some()).await?;
        Ok::<_, Failure>(proof.user())
    };
    match signed_in.await {
        Ok(user) => {
            session.flash("info", &format!("You are signed in as {user}.")).await?;
            go(&back.path())
        }
        Err(failure) if failure.is_of_the_form() => {
            let frame = Frame::of(&session, None).await?;
            page(failure.status, &view::login(&frame, &user, &back.path(), Some(&failure.message)))
        }
        Err(failure) => Err(failure.into()),
    }
}

pub(super) async fn sign_out(session: Session) -> Answer {
    accounts::sign_out(&session).await?;
    go(LOGIN)
}

pub(super) async fn sudo_page(
    session: Session,
    user: Principal<User>,
    back: Result<Query<Back>, QueryRejection>,
) -> Answer {
    let Query(back) = back?;
    let frame = Frame::of(&session, Some(*user)).await?;
    page(StatusCode::OK, &view::sudo(&frame, &back.path(), None))
}

pub(super) async fn elevate(
    State(app): State<App>,
    session: Session,
    user: Principal<User>,
    form: Result<Form<Again>, FormRejection>,
) -> Answer {
    let Form(Again { password, back }) = form?;
    match accounts::elevate(&app, &session, *user, &password).await {
        Ok(()) => go(&back.path()),
        Err(failure) if failure.is_of_the_form() => {
            let frame = Frame::of(&session, Some(*user)).await?;
            page(failure.status, &view::sudo(&frame, &back.path(), Some("the password is wrong")))
        }
        Err(failure) => Err(failure.into()),
    }
}

pub(super) async fn password_page(State(app): State<App>, session: Session, user: Principal<User>) -> Answer {
    if !accounts::is_recent(&app, &session).await? {
        return go(SUDO_FOR_PASSWORD);
    }
    let frame = Frame::of(&session, Some(*user)).await?;
    page(StatusCode::OK, &view::password(&frame, None))
}

pub(super) async fn change_password(
    State(app): State<App>,
    session: Session,
    user: Principal<User>,
    form: Result<Form<Change>, FormRejection>,
) -> Answer {
    let Form(Change { new, again }) = form?;
    if !accounts::is_recent(&app, &session).await? {
        return go(SUDO_FOR_PASSWORD);
    }
    let changed = match new == again {
        true => accounts::change_password(&app, &session, *user, &new).await,
        false => Err(Failure::new(StatusCode::BAD_REQUEST, Failure::BAD_PASSWORD, "the two are not the same")),
    };
    match changed {
        Ok(()) => {
            session.flash("info", "The password is changed, and your other sessions are ended.").await?;
            go(PASSWORD)
        }
        Err(failure) if failure.is_of_the_form() => {
            let frame = Frame::of(&session, Some(*user)).await?;
            page(failure.status, &view::password(&frame, Some(&failure.message)))
        }
        Err(failure) => Err(failure.into()),
    }
}
