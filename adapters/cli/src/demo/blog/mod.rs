//! A small blog on sessions: users, forms, and what goes with them, without scripts.

mod account;
mod device;
mod devices;
mod view;

use axum::{
    Router,
    extract::{
        Form, Path, State,
        rejection::{FormRejection, PathRejection},
    },
    http::StatusCode,
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use cloakroom_tower::{Principal, RequireLogin, Session, cloakroom_store::Flash};
use maud::Markup;

use self::view::Writing;
use super::{
    App,
    error::{Failure, Shown},
    posts::{Draft, Post},
    users::User,
};

/// Where one is once signed in.
pub(super) const HOME: &str = "/blog";
/// Where one signs in.
pub(super) const LOGIN: &str = "/blog/login";

type Answer = Result<Response, Shown>;

pub(super) fn routes() -> Router<App> {
    let members = Router::new()
        .route(HOME, get(list))
        .route("/blog/devices", get(devices::show))
        .route("/blog/devices/end", post(devices::end))
        .route("/blog/devices/end-all", post(devices::end_all))
        .route("/blog/devices/end-others", post(devices::end_others))
        .route("/blog/logout", post(account::sign_out))
        .route("/blog/new", get(blank).post(write))
        .route("/blog/password", get(account::password_page).post(account::change_password))
        .route("/blog/posts/{id}", get(open).post(edit))
        .route("/blog/sudo", get(account::sudo_page).post(account::elevate))
        .route_layer(RequireLogin::new());
    members.route(LOGIN, get(account::login_page).post(account::sign_in))
}

/// What all pages of the blog have.
struct Frame {
    user: Option<User>,
    messages: Vec<Flash>,
    /// Against forgery; each form has it.
    token: String,
}

impl Frame {
    /// Takes the messages that wait: whoever asks for a frame shows it.
    async fn of(session: &Session, user: Option<User>) -> Result<Self, Failure> {
        let messages = session.take_flashes().await?;
        Ok(Self { user, messages, token: session.csrf_token().await? })
    }
}

fn page(status: StatusCode, page: &Markup) -> Answer {
    Ok((status, Html(page.0.clone())).into_response())
}

fn go(to: &str) -> Answer {
    Ok(Redirect::to(to).into_response())
}

async fn list(State(app): State<App>, session: Session, user: Principal<User>) -> Answer {
    let frame = Frame::of(&session, Some(*user)).await?;
    page(StatusCode::OK, &view::posts(&frame, *user, &app.0.posts.latest()))
}

async fn blank(session: Session, user: Principal<User>) -> Answer {
    let frame = Frame::of(&session, Some(*user)).await?;
    page(StatusCode::OK, &view::writing(&frame, &Writing::New, &Draft::default(), None))
}

async fn write(
    State(app): State<App>,
    session: Session,
    user: Principal<User>,
    form: Result<Form<Draft>, FormRejection>,
) -> Answer {
    let Form(draft) = form?;
    if let Err(error) = draft.check() {
        let frame = Frame::of(&session, Some(*user)).await?;
        return page(StatusCode::BAD_REQUEST, &view::writing(&frame, &Writing::New, &draft, Some(&error)));
    }
    session.flash("info", &format!("“{}” is published.", draft.title)).await?;
    app.0.posts.write(*user, draft, app.now());
    go(HOME)
}

async fn open(
    State(app): State<App>,
    session: Session,
    user: Principal<User>,
    id: Result<Path<u64>, PathRejection>,
) -> Answer {
    let post = of_author(&app, *user, id)?;
    let frame = Frame::of(&session, Some(*user)).await?;
    page(StatusCode::OK, &view::writing(&frame, &Writing::Old(post.id), &post.draft, None))
}

async fn edit(
    State(app): State<App>,
    session: Session,
    user: Principal<User>,
    id: Result<Path<u64>, PathRejection>,
    form: Result<Form<Draft>, FormRejection>,
) -> Answer {
    let Form(draft) = form?;
    let post = of_author(&app, *user, id)?;
    if let Err(error) = draft.check() {
        let frame = Frame::of(&session, Some(*user)).await?;
        return page(StatusCode::BAD_REQUEST, &view::writing(&frame, &Writing::Old(post.id), &draft, Some(&error)));
    }
    session.flash("info", &format!("“{}” is changed.", draft.title)).await?;
    // Others may have written so many meanwhile that it is gone.
    if !app.0.posts.edit(post.id, draft, app.now()) {
        return Err(Failure::not_found().into());
    }
    go(HOME)
}

/// Finds a post that the user may change.
fn of_author(app: &App, user: User, id: Result<Path<u64>, PathRejection>) -> Result<Post, Failure> {
    let Path(id) = id?;
    let post = app.0.posts.find(id).ok_or_else(Failure::not_found)?;
    match post.author == user {
        true => Ok(post),
        false => Err(Failure::new(StatusCode::FORBIDDEN, "not_yours", "only its author changes a post")),
    }
}
