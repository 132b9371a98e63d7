//! A request from its head to its response.

use anyhow::bail;
use bench_kit::{App, COUNT_KEY, READ_KEY, Shape};
use pavex::{
    Response,
    cookie::{
        Key, Processor, ProcessorConfig, ResponseCookies,
        config::{CryptoAlgorithm, CryptoRule},
        extract_request_cookies, inject_response_cookies,
    },
    http::{HeaderMap, Method, Uri, Version, header},
    request::RequestHead,
};
use pavex_session::{IncomingSession, Session, SessionConfig, SessionStore, finalize_session};
use pavex_session_memory_store::InMemorySessionStore;

/// All names.
pub const SYSTEMS: [&str; 2] = ["pavex", "pavex_session"];

/// What outlives a request; no sessions where there is no store.
pub struct Pavex(Option<Singletons>);

struct Singletons {
    store: SessionStore,
    config: SessionConfig,
    processor: Processor,
}

impl Pavex {
    /// Returns a system by its name.
    pub fn new(system: &str) -> anyhow::Result<Self> {
        Ok(match system {
            "pavex" => Self(None),
            "pavex_session" => Self(Some(Singletons::new())),
            other => bail!("there is no system {other}"),
        })
    }
}

impl Singletons {
    /// The defaults, in memory, with a signed cookie: the least that it accepts while nothing is kept by the client.
    fn new() -> Self {
        let config = SessionConfig::new();
        let mut cookies = ProcessorConfig::default();
        cookies.crypto_rules = vec![CryptoRule {
            cookie_names: vec![config.cookie.name.clone()],
            algorithm: CryptoAlgorithm::Signing,
            key: Key::from(vec![7; 64]),
            fallbacks: vec![],
        }];
        Self { store: InMemorySessionStore::new().into(), config, processor: cookies.into() }
    }

    async fn answer(&self, head: &RequestHead) -> anyhow::Result<Response> {
        let cookies = extract_request_cookies(head, &self.processor)?;
        let incoming = IncomingSession::extract(&cookies, &self.config.cookie);
        let mut session = Session::new(&self.store, &self.config, incoming);
        let response = handle(head.target.path(), &mut session).await?;
        let mut cookies = ResponseCookies::new();
        let response = finalize_session(response, &mut cookies, &self.processor, session).await?;
        Ok(inject_response_cookies(response, cookies, &self.processor)?)
    }
}

async fn handle(path: &str, session: &mut Session<'_>) -> anyhow::Result<Response> {
    Ok(match path {
        "/read" => {
            let text: Option<String> = session.get(READ_KEY).await?;
            Response::ok().set_typed_body(text.map_or(0, |text| text.len()).to_string())
        }
        "/change" => {
            let count = session.get::<u64>(COUNT_KEY).await?.unwrap_or(0) + 1;
            session.insert(COUNT_KEY, count).await?;
            Response::ok().set_typed_body(count.to_string())
        }
        "/rotate" => {
            session.cycle_id();
            Response::ok().set_typed_body("ok")
        }
        _ => {
            if let Some(shape) = path.strip_prefix("/fill/") {
                for (key, text) in shape.parse::<Shape>()?.pairs() {
                    session.insert(key, text).await?;
                }
            }
            Response::ok().set_typed_body("ok")
        }
    })
}

impl App for Pavex {
    type Request = RequestHead;
    type Response = Response;

    fn request(&self, path: &str, cookie: Option<&str>) -> RequestHead {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = cookie {
            headers.insert(header::COOKIE, cookie.parse().expect("ASCII"));
        }
        let target: Uri = path.parse().expect("a path");
        RequestHead { method: Method::GET, target, version: Version::HTTP_11, headers }
    }

    async fn call(&self, head: RequestHead) -> Response {
        match &self.0 {
            Some(singletons) => singletons.answer(&head).await.expect("a response"),
            None => Response::ok().set_typed_body("ok"),
        }
    }

    fn answer(response: &Response) -> (u16, Vec<String>) {
        let cookies = response.headers().get_all(header::SET_COOKIE).iter();
        let cookies = cookies.map(|value| value.to_str().expect("ASCII").to_owned()).collect();
        (response.status().as_u16(), cookies)
    }
}

#[cfg(test)]
mod tests {
    use bench_kit::{Readable, check};
    use http_body_util::BodyExt as _;

    use super::*;

    impl Readable for Pavex {
        async fn text(response: Response) -> String {
            let body = response.into_parts().1.collect().await.expect("a body");
            String::from_utf8(body.to_bytes().to_vec()).expect("text")
        }
    }

    async fn check_it(system: &str, keeps_sessions: bool) {
        check(&Pavex::new(system).expect("a system"), keeps_sessions).await;
    }

    #[tokio::test]
    async fn without_sessions_each_route_answers() {
        check_it("pavex", false).await;
    }

    #[tokio::test]
    async fn sessions_keep_what_they_are_given() {
        check_it("pavex_session", true).await;
    }
}
