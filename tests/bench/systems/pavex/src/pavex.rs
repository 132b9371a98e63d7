//! A request from its head to its response, in process and over loopback.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::{bail, ensure};
use bench_kit::{App, COUNT_KEY, READ_KEY, Shape, announce};
use hyper::{Request, body::Incoming};
use pavex::{
    Response,
    connection::ConnectionInfo,
    cookie::{
        Key, Processor, ProcessorConfig, ResponseCookies,
        config::{CryptoAlgorithm, CryptoRule},
        extract_request_cookies, inject_response_cookies,
    },
    http::{HeaderMap, Method, Uri, Version, header},
    request::RequestHead,
    server::{IncomingStream, Server, ServerConfiguration},
};
use pavex_session::{IncomingSession, Session, SessionConfig, SessionStore, finalize_session};
use pavex_session_memory_store::InMemorySessionStore;
use pavex_session_redis::{RedisSessionStore, RedisSessionStoreConfig};
use redis::{Client, aio::ConnectionManager};

/// All names.
pub const SYSTEMS: [&str; 3] = ["pavex", "pavex_session", "pavex_session-redis"];

/// What outlives a request; no sessions where there is no store.
pub struct Pavex(Option<Singletons>);

struct Singletons {
    store: SessionStore,
    config: SessionConfig,
    processor: Processor,
}

impl Pavex {
    /// Returns a system by its name; `redis` is the URL of a server, or `-`.
    pub async fn new(system: &str, redis: &str) -> anyhow::Result<Self> {
        Ok(match system {
            "pavex" => Self(None),
            "pavex_session" => Self(Some(Singletons::new(InMemorySessionStore::new().into()))),
            "pavex_session-redis" => {
                ensure!(redis != "-", "{system} needs Redis");
                let connection = ConnectionManager::new(Client::open(redis)?).await?;
                let store = RedisSessionStore::new(connection, RedisSessionStoreConfig::default());
                Self(Some(Singletons::new(store.into())))
            }
            other => bail!("there is no system {other}"),
        })
    }

    /// Serves until the standard input ends.
    pub async fn serve(self, threads: usize) -> anyhow::Result<()> {
        let incoming = IncomingStream::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        announce(incoming.local_addr()?)?;
        let config = ServerConfiguration::new().set_n_workers(threads);
        Server::new().set_config(config).listen(incoming).serve(handler, Arc::new(self)).await;
        Ok(())
    }

    async fn respond(&self, head: &RequestHead) -> anyhow::Result<Response> {
        match &self.0 {
            Some(singletons) => singletons.respond(head).await,
            None => Ok(Response::ok().set_typed_body("ok")),
        }
    }
}

/// As the server calls it; an error of a component is a response.
async fn handler(request: Request<Incoming>, _: Option<ConnectionInfo>, app: Arc<Pavex>) -> Response {
    let head = RequestHead::from(request.into_parts().0);
    app.respond(&head).await.unwrap_or_else(|_| Response::internal_server_error())
}

impl Singletons {
    /// The defaults, with a signed cookie: the least that it accepts while nothing is kept by the client.
    fn new(store: SessionStore) -> Self {
        let config = SessionConfig::new();
        let mut cookies = ProcessorConfig::default();
        cookies.crypto_rules = vec![CryptoRule {
            cookie_names: vec![config.cookie.name.clone()],
            algorithm: CryptoAlgorithm::Signing,
            key: Key::from(vec![7; 64]),
            fallbacks: vec![],
        }];
        Self { store, config, processor: cookies.into() }
    }

    async fn respond(&self, head: &RequestHead) -> anyhow::Result<Response> {
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
        self.respond(&head).await.expect("a response")
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
        check(&Pavex::new(system, "-").await.expect("a system"), keeps_sessions).await;
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
