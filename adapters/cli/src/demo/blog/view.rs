//! What the blog looks like.

use cloakroom_core::Listed;
use cloakroom_tower::{CsrfLayer, ReturnTo};
use maud::{Markup, PreEscaped, html};

use super::{Frame, HOME, LOGIN, device};
use crate::demo::{
    accounts::MAX_SESSIONS,
    posts::{Draft, Post},
    users::{User, Users},
    view::{document, moment},
};

/// Which post is written.
pub(super) enum Writing {
    New,
    Old(u64),
}

pub(super) fn posts(frame: &Frame, user: User, posts: &[Post]) -> Markup {
    let body = html! {
        div.title { h2 { "Posts" } a.button href="/blog/new" { "Write a post" } }
        @for post in posts {
            article.card {
                h3 { (post.draft.title) }
                p.muted {
                    "by " b { (post.author) } ", " (moment(post.written))
                    @if let Some(edited) = post.edited { ", changed " (moment(edited)) }
                    @if post.author == user { " · " a href={ "/blog/posts/" (post.id) } { "Edit" } }
                }
                p.text { (post.draft.text) }
            }
        }
    };
    framed(frame, "Posts", &body)
}

pub(super) fn writing(frame: &Frame, writing: &Writing, draft: &Draft, error: Option<&str>) -> Markup {
    let (title, button, action) = match writing {
        Writing::New => ("Write a post", "Publish", "/blog/new".to_owned()),
        Writing::Old(id) => ("Edit your post", "Save", format!("/blog/posts/{id}")),
    };
    let fields = html! {
        label {
            "Title"
            input name="title" required maxlength=(Draft::MAX_TITLE) value=(draft.title) autocomplete="off";
        }
        // A browser drops the first line break of a field.
        label { "Text" textarea name="text" required maxlength=(Draft::MAX_TEXT) rows="10" { "\n" (draft.text) } }
        div.buttons { button { (button) } a.button.secondary href=(HOME) { "Cancel" } }
    };
    framed(frame, title, &card(title, &form(frame, &action, error, &fields)))
}

pub(super) fn login(frame: &Frame, user: &str, back: &str, error: Option<&str>) -> Markup {
    let fields = html! {
        input type="hidden" name=(ReturnTo::PARAMETER) value=(back);
        label {
            "User"
            input name="user" required value=(user) autocomplete="username" autocapitalize="none" autofocus[user.is_empty()];
        }
        (password_field("Password", "password", "current-password"))
        label.check { input type="checkbox" name="remember"; "Remember me on this device for 30 days" }
        div.buttons { button { "Sign in" } }
    };
    let body = html! {
        (form(frame, LOGIN, error, &fields))
        p.muted {
            "The users are " code { "alice" } " and " code { "bob" } ". Their passwords stand in the terminal where the demo \
             was started."
        }
    };
    framed(frame, "Sign in", &card("Sign in", &body))
}

pub(super) fn sudo(frame: &Frame, back: &str, error: Option<&str>) -> Markup {
    let fields = html! {
        input type="hidden" name=(ReturnTo::PARAMETER) value=(back);
        (username(frame))
        (password_field("Password", "password", "current-password"))
        div.buttons { button { "Go on" } a.button.secondary href=(HOME) { "Cancel" } }
    };
    let body = html! {
        p { "What comes next can lock you out. Give your password again, so that nobody else does it in your place; it counts \
             for a few minutes." }
        (form(frame, "/blog/sudo", error, &fields))
    };
    framed(frame, "Is it you?", &card("Is it you?", &body))
}

pub(super) fn password(frame: &Frame, error: Option<&str>) -> Markup {
    let hint = format!("New password, {} to {} characters", Users::MIN_PASSWORD, Users::MAX_PASSWORD);
    let fields = html! {
        (username(frame))
        (password_field(&hint, "new", "new-password"))
        (password_field("The same again", "again", "new-password"))
        div.buttons { button { "Change the password" } }
    };
    let body = html! {
        p { "This session goes on under a new id, and all your other sessions end." }
        (form(frame, "/blog/password", error, &fields))
        p.muted { "It is kept in the memory of this process: a restart, and another process that shares the store, know the \
                   first one." }
    };
    framed(frame, "Password", &card("Change the password", &body))
}

pub(super) fn devices(frame: &Frame, listed: Option<&[Listed]>) -> Markup {
    let body = html! {
        section.card {
            h2 { "Your devices" }
            @match listed {
                Some(listed) => {
                    p.muted {
                        "Where you are signed in, at most " (MAX_SESSIONS) " times: one more ends the oldest. End what you do \
                         not know, and change your password then."
                    }
                    ul.devices {
                        @for session in listed { li { (row(frame, session)) } }
                    }
                }
                None => p.muted { "Where you are signed in cannot be listed: there is no index of your sessions here." }
            }
            div.buttons {
                @if listed.is_none_or(|listed| listed.len() > 1) {
                    (form(frame, "/blog/devices/end-others", None, &html! { button.danger { "End all others" } }))
                }
                (form(frame, "/blog/devices/end-all", None, &html! { button.danger { "Sign out everywhere" } }))
            }
        }
    };
    framed(frame, "Your devices", &body)
}

fn row(frame: &Frame, session: &Listed) -> Markup {
    let label = session.label.as_ref().map_or("", |label| label.as_str());
    let end = html! {
        input type="hidden" name="handle" value=(session.handle);
        button.secondary { "End this one" }
    };
    html! {
        div {
            b title=(label) { (device::name(label)) }
            @if session.current { " " span.chip.good { "this device" } }
            p.muted {
                "signed in " (moment(session.created)) ", last seen " (moment(session.seen))
                br;
                "handle " code { (session.handle) }
            }
        }
        (form(frame, "/blog/devices/end", None, &end))
    }
}

/// A form that sends the token against forgery.
fn form(frame: &Frame, action: &str, error: Option<&str>, fields: &Markup) -> Markup {
    html! {
        form.stack method="post" action=(action) {
            @if let Some(error) = error { p.flash.error role="alert" { (error) "." } }
            input type="hidden" name=(CsrfLayer::FIELD) value=(frame.token);
            (fields)
        }
    }
}

fn password_field(label: &str, name: &str, autocomplete: &str) -> Markup {
    html! {
        label { (label) input type="password" name=(name) required maxlength=(Users::MAX_PASSWORD) autocomplete=(autocomplete); }
    }
}

/// Tells the browser's keeper of passwords whose it is.
fn username(frame: &Frame) -> Markup {
    html! { @if let Some(user) = frame.user { input hidden value=(user) autocomplete="username" readonly; } }
}

fn card(title: &str, body: &Markup) -> Markup {
    html! { section.card { h2 { (title) } (body) } }
}

fn framed(frame: &Frame, title: &str, body: &Markup) -> Markup {
    let body = html! {
        main.blog {
            @if let Some(user) = frame.user {
                nav.account aria-label="Account" {
                    span { "Signed in as " b { (user) } }
                    a href=(HOME) { "Posts" }
                    a href="/blog/devices" { "Your devices" }
                    a href="/blog/password" { "Password" }
                    (form(frame, "/blog/logout", None, &html! { button.quiet { "Sign out" } }))
                }
            }
            @for message in &frame.messages { p.flash.(message.level) role="status" { (message.text) } }
            (body)
        }
    };
    PreEscaped(document(&format!("Cloakroom: {title}"), &body).into_string())
}
