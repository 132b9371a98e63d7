//! The application, in process and over loopback.

use std::net::TcpListener;

use actix_http::Request;
use actix_session::{
    Session, SessionMiddleware,
    storage::{RedisSessionStore, SessionStore},
};
use actix_web::{
    App as Application, Error, HttpServer,
    cookie::Key,
    dev::{Service, ServiceResponse},
    http::header,
    test,
    web::{self, ServiceConfig},
};
use anyhow::{Context as _, bail};
use bench_kit::{App, COUNT_KEY, READ_KEY, Shape, announce};

use crate::store::ByteStore;

/// All names.
pub const SYSTEMS: [&str; 3] = ["actix", "actix-session", "actix-session-redis"];

/// A service of actix-web, called as a worker does.
pub struct Actix<S>(pub S);

impl<S> App for Actix<S>
where
    S: Service<Request, Response = ServiceResponse, Error = Error>,
{
    type Request = Request;
    type Response = ServiceResponse;

    fn request(&self, path: &str, cookie: Option<&str>) -> Request {
        let request = test::TestRequest::get().uri(path);
        match cookie {
            Some(cookie) => request.insert_header((header::COOKIE, cookie)),
            None => request,
        }
        .to_request()
    }

    async fn call(&self, request: Request) -> ServiceResponse {
        self.0.call(request).await.expect("each error is a response")
    }

    fn answer(response: &ServiceResponse) -> (u16, Vec<String>) {
        let cookies = response.headers().get_all(header::SET_COOKIE);
        let cookies = cookies.map(|value| value.to_str().expect("ASCII").to_owned()).collect();
        (response.status().as_u16(), cookies)
    }
}

/// No sessions.
pub async fn bare() -> impl Service<Request, Response = ServiceResponse, Error = Error> {
    test::init_service(Application::new().configure(bare_routes)).await
}

/// actix-session as it is by default: a private cookie.
pub async fn session() -> impl Service<Request, Response = ServiceResponse, Error = Error> {
    let middleware = SessionMiddleware::new(ByteStore::default(), key());
    test::init_service(Application::new().wrap(middleware).configure(routes)).await
}

/// Serves until the standard input ends.
pub async fn serve(system: &str, threads: usize, redis: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(listener.local_addr()?)?;
    match system {
        "actix" => {
            let server = HttpServer::new(|| Application::new().configure(bare_routes));
            server.workers(threads).listen(listener)?.run().await?;
        }
        "actix-session" => serve_sessions(ByteStore::default(), threads, listener).await?,
        "actix-session-redis" => {
            let store = RedisSessionStore::new(redis).await.context("a Redis")?;
            serve_sessions(store, threads, listener).await?;
        }
        other => bail!("there is no system {other}"),
    }
    Ok(())
}

async fn serve_sessions<S>(store: S, threads: usize, listener: TcpListener) -> anyhow::Result<()>
where
    S: SessionStore + Clone + Send + 'static,
{
    let key = key();
    let server = HttpServer::new(move || {
        Application::new().wrap(SessionMiddleware::new(store.clone(), key.clone())).configure(routes)
    });
    Ok(server.workers(threads).listen(listener)?.run().await?)
}

fn key() -> Key {
    Key::from(&[7; 64])
}

fn bare_routes(config: &mut ServiceConfig) {
    for path in ["/untouched", "/read", "/change", "/rotate", "/fill/{shape}"] {
        config.route(path, web::get().to(ok));
    }
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/untouched", web::get().to(ok))
        .route("/read", web::get().to(read))
        .route("/change", web::get().to(change))
        .route("/rotate", web::get().to(rotate))
        .route("/fill/{shape}", web::get().to(fill));
}

async fn ok() -> &'static str {
    "ok"
}

async fn read(session: Session) -> Result<String, Error> {
    let text: Option<String> = session.get(READ_KEY)?;
    Ok(text.map_or(0, |text| text.len()).to_string())
}

async fn change(session: Session) -> Result<String, Error> {
    let count = session.get::<u64>(COUNT_KEY)?.unwrap_or(0) + 1;
    session.insert(COUNT_KEY, count)?;
    Ok(count.to_string())
}

async fn rotate(session: Session) -> &'static str {
    session.renew();
    "ok"
}

async fn fill(session: Session, shape: web::Path<String>) -> Result<&'static str, Error> {
    let shape: Shape = shape.parse().map_err(actix_web::error::ErrorNotFound)?;
    for (key, text) in shape.pairs() {
        session.insert(key, text)?;
    }
    Ok("ok")
}

#[cfg(test)]
mod tests {
    use bench_kit::{Readable, check};

    use super::*;

    impl<S> Readable for Actix<S>
    where
        S: Service<Request, Response = ServiceResponse, Error = Error>,
    {
        async fn text(response: ServiceResponse) -> String {
            String::from_utf8(test::read_body(response).await.to_vec()).expect("text")
        }
    }

    #[actix_web::test]
    async fn without_sessions_each_route_answers() {
        check(&Actix(bare().await), false).await;
    }

    #[actix_web::test]
    async fn sessions_keep_what_they_are_given() {
        check(&Actix(session().await), true).await;
    }
}
