//! A router that is called without a network.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::header::{COOKIE, SET_COOKIE},
    response::Response,
};
use bench_kit::App;
use tower_service::Service as _;

/// Is called as `axum::serve` calls it: its routes are made once, and each request gets a clone of the connection's router,
/// which costs a counter.
pub struct Routed(Router);

impl Routed {
    pub fn new(router: Router) -> Self {
        Self(router.with_state(()))
    }
}

impl App for Routed {
    type Request = Request;
    type Response = Response;

    fn request(&self, path: &str, cookie: Option<&str>) -> Request {
        let request = Request::get(path);
        let request = match cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        };
        request.body(Body::empty()).expect("path and cookie are legal")
    }

    async fn call(&self, request: Request) -> Response {
        match self.0.clone().call(request).await {
            Ok(response) => response,
            Err(error) => never(error),
        }
    }

    fn answer(response: &Response) -> (u16, Vec<String>) {
        let lines = response.headers().get_all(SET_COOKIE).iter();
        let lines = lines.map(|line| line.to_str().expect("cookies are ASCII").to_owned());
        (response.status().as_u16(), lines.collect())
    }
}

fn never(error: Infallible) -> ! {
    match error {}
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use bench_kit::{Readable, check};

    use super::*;
    use crate::{IN_PROCESS, router};

    impl Readable for Routed {
        async fn text(response: Response) -> String {
            let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a whole body");
            String::from_utf8(bytes.to_vec()).expect("a text")
        }
    }

    #[tokio::test]
    async fn each_system_does_what_is_measured() {
        for system in IN_PROCESS {
            let app = Routed::new(router(system, "-").await.expect("it needs no server"));
            check(&app, !system.starts_with("axum-") && system != "axum").await;
        }
    }
}
