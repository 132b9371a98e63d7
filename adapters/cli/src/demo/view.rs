//! What the page looks like.

use std::{
    fmt::Write as _,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use axum::http::{HeaderValue, StatusCode};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloakroom_core::{CookiePolicy, UnixTime};
use cloakroom_tower::CsrfLayer;
use humantime::{format_duration, format_rfc3339_seconds};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::{
    Facts,
    error::Failure,
    history::Settled,
    page::{Seen, Stored},
    ring::Ring,
    store::Place,
};

const STYLE: &str = include_str!("style.css");
const ICON: &str = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' \
                    stroke='%23d9822b' stroke-width='2.4' stroke-linecap='round' stroke-linejoin='round'>\
                    <path d='M9.5 6a2.5 2.5 0 1 1 3.4 2.3c-.6.3-.9.7-.9 1.4v.8l9.4 6.3c1.2.8.6 \
                    2.2-.6 2.2H3.2c-1.2 0-1.8-1.4-.6-2.2L12 10.5'/></svg>";
/// Characters of a value that are shown.
const MAX_SHOWN: usize = 2000;

/// The content security policy: our own style, our own forms, and nothing else.
pub(super) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

pub(super) fn page(facts: &Facts, seen: &Seen, history: &[Settled]) -> Markup {
    let body = html! {
        main.columns {
            (session(facts, seen))
            (decisions(history))
        }
        (programs(facts))
    };
    document("Cloakroom", &body)
}

pub(super) fn failure(failure: &Failure) -> Markup {
    let body = html! {
        main.columns {
            section.card {
                h2 { (failure.status.canonical_reason().unwrap_or("It did not work")) }
                p.message { (failure.message) "." }
                p.muted { "Error " (failure.status.as_u16()) ", " code { (failure.word) } }
                @if failure.status == StatusCode::UNAUTHORIZED {
                    p { a.button href="/blog/login" { "Sign in" } }
                } @else {
                    p { a.button href="/" { "Back to the session" } }
                }
            }
        }
    };
    document("Cloakroom: error", &body)
}

pub(super) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { a href="/" { "Cloakroom" } }
                    p { "The browser holds a ticket that only we can print; the store holds the coat." }
                    nav aria-label="Pages" { a href="/" { "The session" } a href="/blog" { "The blog" } }
                }
                (body)
            }
        }
    }
}

fn session(facts: &Facts, seen: &Seen) -> Markup {
    let token = html! { input type="hidden" name=(CsrfLayer::FIELD) value=(seen.token); };
    html! {
        section.card aria-labelledby="session" {
            h2 #session { "Your session" }
            p.visits {
                strong { (seen.visits) } " "
                @if seen.visits == 1 { "visit" } @else { "visits" }
                @match seen.stored {
                    Some(_) => { span.chip.good { "stored" } }
                    None => { span.chip.set { "new: this answer brings its ticket" } }
                }
            }
            table.values {
                thead { tr { th scope="col" { "Key" } th scope="col" { "Value, as JSON" } td {} } }
                tbody {
                    @for (key, text) in &seen.values {
                        tr {
                            th scope="row" { code { (key) } }
                            td { code { (clipped(text)) } }
                            td {
                                form method="post" action="/remove" {
                                    (token)
                                    input type="hidden" name="key" value=(key);
                                    button.quiet title={ "Remove " (key) } { "Remove" }
                                }
                            }
                        }
                    }
                }
            }
            form.set method="post" action="/set" {
                (token)
                label { "Key" input name="key" required maxlength="1024" placeholder="color" autocomplete="off"; }
                label { "Value" input name="value" placeholder="JSON or text" autocomplete="off"; }
                button { "Set" }
            }
            div.actions {
                form method="post" action="/rotate" { (token) button.secondary { "Rotate the id" } }
                form method="post" action="/end" { (token) button.danger { "End the session" } }
            }
            p.aside {
                @match seen.user {
                    Some(user) => { "Signed in as " b { (user) } ": see " a href="/blog/devices" { "your devices" } "." }
                    None => { "Nobody is signed in. Who signs in at " a href="/blog" { "the blog" } " gets a new session." }
                }
            }
            (facts_of(facts, seen.stored.as_ref()))
        }
    }
}

fn facts_of(facts: &Facts, stored: Option<&Stored>) -> Markup {
    let (idle, absolute) = (format_duration(facts.lifetime.idle()), format_duration(facts.lifetime.absolute()));
    html! {
        dl {
            dt { "Made" }
            dd { @match stored { Some(stored) => (moment(stored.created)), None => "by this request" } }
            dt { "Ends" }
            dd {
                (idle) " after its last request, and " (absolute) " after it was made"
                @if let Some(stored) = stored { ", at " (moment(stored.deadline)) }
            }
            dt { "Handle" }
            dd {
                @match stored {
                    Some(stored) => {
                        code { (stored.handle) }
                        span.muted { " names it in a list of devices, and opens nothing" }
                    }
                    None => "from the next request on",
                }
            }
            dt { "Cookie" }
            dd { code { (facts.cookie) } }
            dt { "Store" }
            dd {
                @match &facts.place {
                    Place::Cookie(None) => "The cookie: a copy of one works until its deadline, whatever was ended",
                    Place::Cookie(Some(_)) => "The cookie; the server keeps what was ended, and nothing else",
                    Place::File(path) => {
                        "The file " code { (path.file_name().unwrap_or_default().display()) }
                        ": sessions survive a restart"
                    }
                    Place::Memcached(place) => {
                        "memcached at " code { (place) }
                        ": sessions survive a restart of this process, not of the servers"
                    }
                    Place::Http(place) => { "The service at " code { (place) } ": sessions survive a restart of this process" }
                    Place::Memory => "This process's memory: all sessions end with it",
                    Place::Redis(place) => { "Redis at " code { (place) } ": sessions survive a restart of this process" }
                }
                @match (&facts.ring, &facts.place) {
                    (Ring::Given, _) => {}
                    (Ring::Kept { .. }, _) => ", and so do the keys that sign tickets",
                    (Ring::Run, Place::Memory) => ", and so do the keys that sign tickets",
                    (Ring::Run, _) => ", but the keys that sign tickets do not",
                }
                "."
            }
            dt { "Runtime" }
            dd { (facts.runtime) }
        }
    }
}

fn decisions(history: &[Settled]) -> Markup {
    html! {
        section.card.wide aria-labelledby="decisions" {
            h2 #decisions { "What the engine decided" }
            p.muted {
                "The last requests of everybody who uses this demo, the latest first. This page's own request is settled \
                 after it is drawn: its row is there when you "
                a href="/" { "load it again" } ". A ticket is checked, and its session loaded, when a handler first asks."
            }
            div.scroll tabindex="0" role="region" aria-labelledby="decisions" {
                table.history {
                    thead {
                        tr {
                            th scope="col" { "Time" }
                            th scope="col" { "Request" }
                            th scope="col" { "Ticket" }
                            th scope="col" { "Operations" }
                            th scope="col" { "Cookie" }
                            th scope="col" { "Noticed" }
                        }
                    }
                    tbody {
                        @for settled in history { (row(settled)) }
                        @if history.is_empty() { tr { td.muted colspan="6" { "Nothing yet." } } }
                    }
                }
            }
        }
    }
}

fn row(settled: &Settled) -> Markup {
    let failed = settled.status.is_client_error() || settled.status.is_server_error();
    let ops = settled.ops();
    html! {
        tr {
            td.muted { time { (clock(settled.at)) } }
            td {
                span.request { b { (settled.method) } " " code { (settled.path) } }
                " " span.status.bad[failed] { (settled.status.as_u16()) }
            }
            td { span.ticket.bad[settled.ticket() == "refused"] { (settled.ticket()) } }
            td.ops {
                @if ops.is_empty() { span.muted { "none" } }
                @for op in ops.split(',').filter(|op| !op.is_empty()) { span class={ "chip " (op) } { (op) } " " }
            }
            td { span class={ "chip " (settled.cookie()) } { (settled.cookie()) } }
            td.events {
                @for event in settled.events() { span { (event.name().replace('_', " ")) } " " }
            }
        }
    }
}

fn programs(facts: &Facts) -> Markup {
    let url = &facts.url;
    html! {
        section.card.programs aria-labelledby="programs" {
            h2 #programs { "For programs" }
            p {
                "The same in JSON, under " code { "/api" } ". Every answer says which operations its session asked the \
                 store for, in " code { "X-Session-Ops" } ", and what became of the cookie, in "
                code { "X-Session-Cookie" } ". Look at "
                a href="/api/session" { "your session" } ", "
                a href="/api/untouched" { "a request that never touches it" } " or "
                a href="/api/metrics" { "what was counted" } "."
            }
            pre tabindex="0" {
                code {
                    "# two requests at a time, one session: no visit is lost\n"
                    "curl -sic jar -b jar -X PUT " (url) "/api/session/color -d '\"blue\"'\n"
                    "curl -sb jar -X POST '" (url) "/api/session/n/add?n=1&delay_ms=500' &\n"
                    "curl -sb jar -X POST '" (url) "/api/session/n/add?n=1&delay_ms=500' & wait\n"
                    "curl -sb jar " (url) "/api/session\n\n"
                    "# a ticket that nobody minted: refused before the store sees it\n"
                    "curl -si -H 'Cookie: " (cookie_name(facts)) "=AQ" ("A".repeat(42)) "' " (url) "/api/session\n\n"
                    "# sign in with the password that the terminal shows, and see on which devices one is\n"
                    "curl -sic jar -b jar " (url) "/api/login -d '{\"user\":\"alice\",\"password\":\"..\"}'\n"
                    "curl -sb jar " (url) "/api/sessions\n\n"
                    "curl -sic jar -b jar -X POST " (url) "/api/rotate\n"
                    "curl -sic jar -b jar -X POST " (url) "/api/destroy\n"
                }
            }
        }
    }
}

fn cookie_name(facts: &Facts) -> &str {
    facts.cookie.split(';').next().unwrap_or(CookiePolicy::NAME)
}

/// Cuts what is too long to be looked at.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{} … ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Writes a time of the far future as well as one of this one.
pub(super) fn moment(time: UnixTime) -> String {
    let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(time.as_millis())) else {
        return "the end of time".to_owned();
    };
    let mut text = String::new();
    // It has no years of more than four digits.
    match write!(text, "{}", format_rfc3339_seconds(time)) {
        Ok(()) => text.replace('T', " ").replace('Z', " UTC"),
        Err(_) => "after the year 9999".to_owned(),
    }
}

fn clock(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let text = moment(UnixTime::EPOCH.saturating_add(since));
    text.get(11..19).unwrap_or_default().to_owned()
}
