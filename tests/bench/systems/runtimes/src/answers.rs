//! What the servers answer: the routes of [`bench_kit`].

use std::{convert::Infallible, hint::black_box};

use bench_by_hand::ByHand;
use bench_kit::{COUNT_KEY, READ_KEY, Shape};
use bytes::Bytes;
use cloakroom_tower::Session;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{COOKIE, SET_COOKIE},
};
use tower::util::BoxCloneSyncService;

/// What answers, whatever it is made of.
pub(crate) type Service = BoxCloneSyncService<Request<Incoming>, Response<Full<Bytes>>, Infallible>;

type Answer = Result<Response<Full<Bytes>>, Infallible>;

pub(crate) async fn plain(_request: Request<Incoming>) -> Answer {
    Ok(Response::new("ok".into()))
}

/// Works about as long as sessions in memory take, and has nothing to do with them: what it adds, any work would.
pub(crate) async fn with_work(request: Request<Incoming>) -> Answer {
    const TEXT: &str =
        r#"{"name":"Ada","seen":[1700000000000,1700000001000,17],"place":{"city":"London","zip":"NW1"}}"#;
    let times = if request.uri().path() == "/change" { 5 } else { 3 };
    let mut read = 0;
    for _ in 0..times {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(black_box(TEXT)) else { continue };
        read += black_box(value.to_string()).len();
    }
    Ok(Response::new(read.to_string().into()))
}

pub(crate) async fn with_session(request: Request<Incoming>) -> Answer {
    Ok(match answer(&request).await {
        Ok(text) => Response::new(text.into()),
        Err(error) => failed(&error),
    })
}

async fn answer(request: &Request<Incoming>) -> anyhow::Result<String> {
    let session: Session = Session::find(request.extensions())?;
    Ok(match request.uri().path() {
        "/read" => session.get::<String>(READ_KEY).await?.map_or(0, |name| name.len()).to_string(),
        "/change" => session.update(COUNT_KEY, |count: Option<u64>| count.unwrap_or(0) + 1).await?.to_string(),
        "/rotate" => {
            session.rotate().await?;
            "ok".to_owned()
        }
        fill if fill.starts_with("/fill/") => {
            let shape: Shape = fill["/fill/".len()..].parse()?;
            for (key, text) in shape.pairs() {
                session.insert(&key, &text).await?;
            }
            "ok".to_owned()
        }
        _ => "ok".to_owned(),
    })
}

pub(crate) async fn by_hand(hand: ByHand, request: Request<Incoming>) -> Answer {
    let cookies = request.headers().get(COOKIE).and_then(|value| value.to_str().ok());
    Ok(match hand.answer(request.uri().path(), cookies).await {
        Ok((text, cookie)) => {
            let mut response = Response::new(text.into());
            if let Some(value) = cookie.and_then(|cookie| cookie.parse().ok()) {
                response.headers_mut().insert(SET_COOKIE, value);
            }
            response
        }
        Err(error) => failed(&error),
    })
}

fn failed(error: &anyhow::Error) -> Response<Full<Bytes>> {
    let mut response = Response::new(format!("{error:#}").into());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
