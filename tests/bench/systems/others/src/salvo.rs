//! salvo, with and without its sessions.

use anyhow::bail;
use bench_kit::{App, COUNT_KEY, Command, READ_KEY, Shape, announce};
use salvo::{
    conn::{SocketAddr, TcpListener},
    http::{ReqBody, ResBody, StatusError, header, uri::Scheme},
    hyper::{self, service::Service as HyperService},
    prelude::*,
    session::{MemoryStore, SessionHandler},
};

use crate::run;

/// All names.
pub const SYSTEMS: [&str; 2] = ["salvo", "salvo-session"];

/// What a connection calls for each request.
struct Salvo<H>(H);

type HyperRequest = hyper::Request<ReqBody>;
type HyperResponse = hyper::Response<ResBody>;

impl<H> App for Salvo<H>
where
    H: HyperService<HyperRequest, Response = HyperResponse, Error = hyper::Error>,
{
    type Request = HyperRequest;
    type Response = HyperResponse;

    fn request(&self, path: &str, cookie: Option<&str>) -> Self::Request {
        let request = hyper::Request::get(path).header(header::HOST, "127.0.0.1");
        match cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
        .body(ReqBody::None)
        .expect("a request")
    }

    async fn call(&self, request: Self::Request) -> Self::Response {
        self.0.call(request).await.expect("each error is a response")
    }

    fn answer(response: &Self::Response) -> (u16, Vec<String>) {
        let cookies = response.headers().get_all(header::SET_COOKIE).iter();
        let cookies = cookies.map(|value| value.to_str().expect("ASCII").to_owned()).collect();
        (response.status().as_u16(), cookies)
    }
}

fn connect(router: Router) -> Salvo<impl HyperService<HyperRequest, Response = HyperResponse, Error = hyper::Error>> {
    let address = || SocketAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
    Salvo(Service::new(router).hyper_handler(address(), address(), Scheme::HTTP, None, ConnCtrl::new(), None))
}

/// Measures a system in process.
pub async fn measure(system: &str, command: &Command) -> anyhow::Result<()> {
    run(command, &connect(router(system)?)).await;
    Ok(())
}

/// Serves until the standard input ends.
pub async fn serve(system: String) -> anyhow::Result<()> {
    let router = router(&system)?;
    let acceptor = TcpListener::new("127.0.0.1:0").bind().await;
    announce(acceptor.local_addr()?)?;
    Ok(Server::new(acceptor).try_serve(router).await?)
}

fn router(system: &str) -> anyhow::Result<Router> {
    Ok(match system {
        "salvo" => bare(),
        "salvo-session" => with_sessions(),
        other => bail!("there is no system {other}"),
    })
}

fn bare() -> Router {
    let paths = ["untouched", "read", "change", "rotate", "fill/{shape}"];
    paths.into_iter().fold(Router::new(), |router, path| router.push(Router::with_path(path).get(ok)))
}

/// As they are by default: each request stores the session anew, one that had none too.
fn with_sessions() -> Router {
    let sessions = SessionHandler::builder(MemoryStore::new(), &[7; 64]).build().expect("a key of 64 bytes");
    Router::new()
        .hoop(sessions)
        .push(Router::with_path("untouched").get(ok))
        .push(Router::with_path("read").get(read))
        .push(Router::with_path("change").get(change))
        .push(Router::with_path("rotate").get(rotate))
        .push(Router::with_path("fill/{shape}").get(fill))
}

#[handler]
async fn ok() -> &'static str {
    "ok"
}

#[handler]
async fn read(depot: &mut Depot) -> String {
    let text = depot.session().and_then(|session| session.get::<String>(READ_KEY));
    text.map_or(0, |text| text.len()).to_string()
}

#[handler]
async fn change(depot: &mut Depot) -> Result<String, StatusError> {
    let session = depot.session_mut().ok_or_else(StatusError::internal_server_error)?;
    let count = session.get::<u64>(COUNT_KEY).unwrap_or(0) + 1;
    session.insert(COUNT_KEY, count).map_err(|_| StatusError::internal_server_error())?;
    Ok(count.to_string())
}

#[handler]
async fn rotate(depot: &mut Depot) -> Result<&'static str, StatusError> {
    depot.session_mut().ok_or_else(StatusError::internal_server_error)?.regenerate();
    Ok("ok")
}

#[handler]
async fn fill(request: &mut Request, depot: &mut Depot) -> Result<&'static str, StatusError> {
    let shape: String = request.param("shape").ok_or_else(StatusError::not_found)?;
    let shape: Shape = shape.parse().map_err(|_| StatusError::not_found())?;
    let session = depot.session_mut().ok_or_else(StatusError::internal_server_error)?;
    for (key, text) in shape.pairs() {
        session.insert(&key, text).map_err(|_| StatusError::internal_server_error())?;
    }
    Ok("ok")
}

#[cfg(test)]
mod tests {
    use bench_kit::{Readable, check};

    use super::*;

    impl<H> Readable for Salvo<H>
    where
        H: HyperService<HyperRequest, Response = HyperResponse, Error = hyper::Error>,
    {
        async fn text(response: HyperResponse) -> String {
            match response.into_body() {
                ResBody::Once(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn without_sessions_each_route_answers() {
        check(&connect(bare()), false).await;
    }

    #[tokio::test]
    async fn sessions_keep_what_they_are_given() {
        check(&connect(with_sessions()), true).await;
    }
}
