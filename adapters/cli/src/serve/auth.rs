//! Who may ask.

use std::{env, ffi::OsString, fmt, net::IpAddr};

use anyhow::{Context as _, anyhow, bail};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HOST, HeaderName},
    http::uri::Authority,
};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::refusal::Refusal;

/// The fewest characters of a token: what is shorter can be guessed.
const MIN_TOKEN: usize = 16;
/// The most.
const MAX_TOKEN: usize = 1024;

/// What `--auth` says: an environment variable, written as `env:NAME`.
///
/// It may be the token itself, by mistake, so it is taken as it is, to be read where no error repeats it.
#[derive(Clone)]
pub(super) struct AuthSource(OsString);

impl From<OsString> for AuthSource {
    fn from(text: OsString) -> Self {
        Self(text)
    }
}

impl fmt::Debug for AuthSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthSource(..)")
    }
}

impl AuthSource {
    /// Returns the name of the variable.
    fn name(&self) -> anyhow::Result<&str> {
        let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let name = self.0.to_str().and_then(|text| text.strip_prefix("env:")).filter(|name| !name.is_empty());
        name.filter(is_name).context("--auth needs the name of a variable: env:NAME")
    }
}

/// The digests of the tokens that are taken; none where everybody may ask.
pub(super) struct Auth(Vec<[u8; 32]>);

impl Auth {
    pub(super) fn read(sources: &[AuthSource]) -> anyhow::Result<Self> {
        let digest = |source: &AuthSource| {
            let name = source.name()?;
            let token = env::var(name).map_err(|_| anyhow!("--auth: the environment variable {name} has no token"))?;
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
            if !(MIN_TOKEN..=MAX_TOKEN).contains(&token.len()) || !token.bytes().all(is_token) {
                bail!(
                    "--auth: the token in {name} must have {MIN_TOKEN} to {MAX_TOKEN} letters, digits and -._~+/= alone"
                );
            }
            Ok(Sha256::digest(token.as_bytes()).into())
        };
        Ok(Self(sources.iter().map(digest).collect::<anyhow::Result<_>>()?))
    }

    /// Tells whether everybody may ask.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.is_open() {
            return self.admit_host(headers);
        }
        let line = single(headers, &AUTHORIZATION).unwrap_or_default();
        let (scheme, token) = line.split_once(' ').unwrap_or_default();
        // Digests have one length, and their comparison takes one time, whichever of the tokens it is.
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let is_known = self.0.iter().fold(Choice::from(0), |known, token| known | token.ct_eq(&digest));
        match bool::from(is_known) && scheme.eq_ignore_ascii_case("Bearer") {
            true => Ok(()),
            false => Err(Refusal::Unauthorized),
        }
    }

    /// Where everybody on this machine may ask, a page in its browser must not: with a name of its own that leads here, it
    /// could.
    fn admit_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = single(headers, &HOST).and_then(|host| host.parse::<Authority>().ok());
        let is_ours = host.is_some_and(|host| {
            let name = host.host().trim_start_matches('[').trim_end_matches(']');
            name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        });
        if is_ours { Ok(()) } else { Err(Refusal::Misdirected) }
    }
}

/// What the terminal says.
impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => f.write_str("none: everybody on this machine is served"),
            1 => f.write_str("a bearer token"),
            count => write!(f, "{count} bearer tokens"),
        }
    }
}

/// Returns the only line of a header.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?.to_str().ok()?;
    lines.next().is_none().then_some(first)
}
