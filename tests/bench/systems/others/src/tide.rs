//! tide, with and without the sessions of async-session, on async-std. A program of its own: its BLAKE3 and that of salvo
//! have symbols of the same names.

use std::{env, os::unix::process::CommandExt as _, process};

use anyhow::bail;
use async_std::{net::TcpListener, task};
use bench_kit::{App, COUNT_KEY, Command, READ_KEY, Shape, Visit, announce, count_instructions, measure_in_process};
use tide::{
    Server,
    http::{Method, Request, Response, Url, headers},
    sessions::{MemoryStore, SessionMiddleware},
};

const SYSTEMS: [&str; 2] = ["tide", "tide-session"];

/// How many threads async-std starts.
const THREADS: &str = "ASYNC_STD_THREAD_COUNT";

struct Tide {
    server: Server<()>,
    keeps_sessions: bool,
}

impl App for Tide {
    type Request = Request;
    type Response = Response;

    fn request(&self, path: &str, cookie: Option<&str>) -> Request {
        let mut url = Url::parse("http://127.0.0.1").expect("a URL");
        url.set_path(path);
        let mut request = Request::new(Method::Get, url);
        if let Some(cookie) = cookie {
            request.insert_header(headers::COOKIE, cookie);
        }
        request
    }

    async fn call(&self, request: Request) -> Response {
        self.server.respond(request).await.expect("each error is a response")
    }

    fn answer(response: &Response) -> (u16, Vec<String>) {
        let cookies = response.header(headers::SET_COOKIE);
        let cookies = cookies.into_iter().flatten().map(|value| value.as_str().to_owned()).collect();
        (response.status().into(), cookies)
    }

    /// A handler has a copy of the session, with an id of its own: its `regenerate` never reaches the middleware.
    fn can(&self, visit: Visit) -> bool {
        !(self.keeps_sessions && visit == Visit::Rotate)
    }
}

fn main() -> anyhow::Result<()> {
    match &Command::from_args()? {
        Command::List => SYSTEMS.iter().for_each(|system| println!("{system}")),
        Command::Serve { system, threads, .. } => {
            let threads = threads.to_string();
            if env::var(THREADS).ok().as_deref() != Some(&*threads) {
                // The runtime reads it before it starts, and only there.
                let mut again = process::Command::new(env::current_exe()?);
                return Err(again.args(env::args_os().skip(1)).env(THREADS, threads).exec().into());
            }
            let server = app(system)?.server;
            task::block_on(task::spawn(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                announce(listener.local_addr()?)?;
                server.listen(listener).await?;
                anyhow::Ok(())
            }))?;
        }
        Command::InProcess(system, patience) => task::block_on(measure_in_process(system, &app(system)?, *patience)),
        Command::Instructions(system) => task::block_on(count_instructions(&app(system)?)),
    }
    Ok(())
}

fn app(system: &str) -> anyhow::Result<Tide> {
    Ok(match system {
        "tide" => bare(),
        "tide-session" => with_sessions(),
        other => bail!("there is no system {other}"),
    })
}

fn bare() -> Tide {
    let mut server = tide::new();
    for path in ["/untouched", "/read", "/change", "/rotate", "/fill/:shape"] {
        server.at(path).get(ok);
    }
    Tide { server, keeps_sessions: false }
}

/// As they are by default: each request stores the session anew, one that had none too.
fn with_sessions() -> Tide {
    let mut server = tide::new();
    server.with(SessionMiddleware::new(MemoryStore::new(), &[7; 64]));
    server.at("/untouched").get(ok);
    server.at("/read").get(read);
    server.at("/change").get(change);
    server.at("/fill/:shape").get(fill);
    Tide { server, keeps_sessions: true }
}

async fn ok(_: tide::Request<()>) -> tide::Result<&'static str> {
    Ok("ok")
}

async fn read(request: tide::Request<()>) -> tide::Result<String> {
    let text: Option<String> = request.session().get(READ_KEY);
    Ok(text.map_or(0, |text| text.len()).to_string())
}

async fn change(mut request: tide::Request<()>) -> tide::Result<String> {
    let session = request.session_mut();
    let count = session.get::<u64>(COUNT_KEY).unwrap_or(0) + 1;
    session.insert(COUNT_KEY, count)?;
    Ok(count.to_string())
}

async fn fill(mut request: tide::Request<()>) -> tide::Result<&'static str> {
    let shape: Shape = request.param("shape")?.parse()?;
    let session = request.session_mut();
    for (key, text) in shape.pairs() {
        session.insert(&key, text)?;
    }
    Ok("ok")
}

#[cfg(test)]
mod tests {
    use bench_kit::{Readable, check};

    use super::*;

    impl Readable for Tide {
        async fn text(mut response: Response) -> String {
            response.body_string().await.expect("text")
        }
    }

    #[async_std::test]
    async fn without_sessions_each_route_answers() {
        check(&bare(), false).await;
    }

    #[async_std::test]
    async fn sessions_keep_what_they_are_given() {
        check(&with_sessions(), true).await;
    }
}
