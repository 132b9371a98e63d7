//! poem, with and without its server-side sessions.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bench_kit::{App, COUNT_KEY, Command, READ_KEY, Shape, announce};
use poem::{
    Endpoint, EndpointExt as _, Request, Response, Route, Server, get, handler,
    http::{StatusCode, header},
    listener::{Acceptor as _, Listener as _, TcpListener},
    session::{CookieConfig, MemoryStorage, RedisStorage, ServerSession, Session},
    web::{Path, cookie::CookieKey},
};
use redis::aio::ConnectionManager;

use crate::run;

/// All names.
pub const SYSTEMS: [&str; 3] = ["poem", "poem-session", "poem-session-redis"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Poem<E>(E);

impl<E: Endpoint> App for Poem<E> {
    type Request = Request;
    type Response = Response;

    fn request(&self, path: &str, cookie: Option<&str>) -> Request {
        let request = Request::builder().uri_str(path);
        match cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
        .finish()
    }

    async fn call(&self, request: Request) -> Response {
        self.0.get_response(request).await
    }

    fn answer(response: &Response) -> (u16, Vec<String>) {
        let cookies = response.headers().get_all(header::SET_COOKIE).iter();
        let cookies = cookies.map(|value| value.to_str().expect("ASCII").to_owned()).collect();
        (response.status().as_u16(), cookies)
    }
}

/// Measures a system in process.
pub async fn measure(system: &str, command: &Command) -> anyhow::Result<()> {
    match system {
        "poem" => run(command, &Poem(bare())).await,
        "poem-session" => run(command, &Poem(routes().with(sessions()))).await,
        other => bail!("there is no system {other}"),
    }
    Ok(())
}

/// Serves until the standard input ends.
pub async fn serve(system: String, redis: String) -> anyhow::Result<()> {
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
    let address = *acceptor.local_addr()[0].as_socket_addr().context("an address")?;
    let server = Server::new_with_acceptor(acceptor);
    match &*system {
        "poem" => {
            announce(address)?;
            server.run(bare()).await?;
        }
        "poem-session" => {
            announce(address)?;
            server.run(routes().with(sessions())).await?;
        }
        "poem-session-redis" => {
            let storage = RedisStorage::new(ConnectionManager::new(redis::Client::open(redis)?).await?);
            announce(address)?;
            server.run(routes().with(ServerSession::new(cookie(), storage))).await?;
        }
        other => bail!("there is no system {other}"),
    }
    Ok(())
}

fn sessions() -> ServerSession<MemoryStorage> {
    ServerSession::new(cookie(), MemoryStorage::new())
}

/// A signed cookie, and an end of what is stored: there is neither by default.
fn cookie() -> CookieConfig {
    CookieConfig::signed(CookieKey::from(&[7; 64])).max_age(DAY)
}

fn bare() -> Route {
    let paths = ["/untouched", "/read", "/change", "/rotate", "/fill/:shape"];
    paths.into_iter().fold(Route::new(), |route, path| route.at(path, get(ok)))
}

fn routes() -> Route {
    Route::new()
        .at("/untouched", get(ok))
        .at("/read", get(read))
        .at("/change", get(change))
        .at("/rotate", get(rotate))
        .at("/fill/:shape", get(fill))
}

#[handler]
async fn ok() -> &'static str {
    "ok"
}

#[handler]
async fn read(session: &Session) -> String {
    session.get::<String>(READ_KEY).map_or(0, |text| text.len()).to_string()
}

#[handler]
async fn change(session: &Session) -> String {
    let count = session.get::<u64>(COUNT_KEY).unwrap_or(0) + 1;
    session.set(COUNT_KEY, count);
    count.to_string()
}

#[handler]
async fn rotate(session: &Session) -> &'static str {
    session.renew();
    "ok"
}

#[handler]
async fn fill(session: &Session, Path(shape): Path<String>) -> poem::Result<&'static str> {
    let shape: Shape = shape.parse().map_err(|_| poem::Error::from(StatusCode::NOT_FOUND))?;
    for (key, text) in shape.pairs() {
        session.set(&key, text);
    }
    Ok("ok")
}

#[cfg(test)]
mod tests {
    use bench_kit::{Readable, check};

    use super::*;

    impl<E: Endpoint> Readable for Poem<E> {
        async fn text(response: Response) -> String {
            response.into_body().into_string().await.expect("text")
        }
    }

    #[tokio::test]
    async fn without_sessions_each_route_answers() {
        check(&Poem(bare()), false).await;
    }

    #[tokio::test]
    async fn sessions_keep_what_they_are_given() {
        check(&Poem(routes().with(sessions())), true).await;
    }
}
