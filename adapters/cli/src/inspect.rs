//! `cloakroom inspect`: what a token is worth.

use std::{
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use cloakroom_core::{CookieName, CookiePolicy, Engine, EngineBuilder, Keyring, Refusal};

use crate::{demo::INSECURE_COOKIE, keys::KeySource};

/// Say which key of a ring signed a token, or why it is refused.
///
/// Exits with 0 when a key signed it, with 1 when it is refused, with 2 when it could not be checked. It asks no store:
/// a token that is signed may stand for a session that ended long ago.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The token, alone or as NAME=TOKEN; `-` reads it from standard input.
    ///
    /// Others can see the command lines of your processes, and a token opens a session: prefer `-`.
    #[arg(allow_hyphen_values = true)]
    token: String,
    /// The ring: a file, or env:NAME.
    #[arg(long, value_name = "FILE|env:NAME", default_value = "env:SESSION_KEYS")]
    keys: KeySource,
    /// The cookie that the token was in; by default `__Host-id` and `id` are tried.
    #[arg(long, value_name = "NAME")]
    cookie: Option<CookieName>,
    /// The engine that made it.
    #[arg(long, value_name = "NAME", default_value = EngineBuilder::NAME)]
    engine: String,
}

/// Bytes read from standard input; no token is that long.
const MAX_INPUT: u64 = 8192;

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { token, keys, cookie, engine } = options;
    let token = if token == "-" { from_stdin()? } else { token };
    // No token has a `=` in it.
    let (name, token) = match token.split_once('=') {
        Some((name, token)) => (CookieName::new(name.trim()).ok(), token),
        None => (None, token.as_str()),
    };
    let cookies = match cookie.or(name) {
        Some(name) => vec![name],
        None => vec![CookiePolicy::default().name().clone(), INSECURE_COOKIE.parse()?],
    };
    let ring = keys.read()?;
    let mut out = io::stdout().lock();
    let mut refusal = None;
    for cookie in &cookies {
        match check(&ring, &engine, cookie, token.trim())? {
            Ok(role) => {
                writeln!(out, "signed by {role}, for the cookie {cookie} of the engine {engine}")?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(refused) => refusal = Some(refused),
        }
    }
    if let Some(refusal) = refusal {
        let cookies = cookies.iter().map(CookieName::as_str).collect::<Vec<_>>().join(" and ");
        writeln!(out, "refused: {refusal} (as the cookie {cookies} of the engine {engine})")?;
    }
    Ok(ExitCode::FAILURE)
}

/// Says which key signed the token.
fn check(ring: &Keyring, engine: &str, cookie: &CookieName, token: &str) -> anyhow::Result<Result<String, Refusal>> {
    let engine = Engine::builder(ring.clone()).name(engine).cookie(CookiePolicy::named(cookie.clone())).build()?;
    let primary = ring.primary().id();
    Ok(engine.inspect(token.as_bytes()).map(|key| match key {
        Some(id) if id == primary => format!("key {id}, the primary"),
        Some(id) => format!("key {id}, which is accepted; the primary is key {primary}"),
        None => "a scheme without key ids".to_owned(),
    }))
}

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text).context("cannot read the token")?;
    Ok(text)
}
