//! What is left when a handler does the store's commands by itself.

use axum::{
    Router,
    extract::State,
    http::{
        HeaderMap, StatusCode, Uri,
        header::{COOKIE, SET_COOKIE},
    },
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use bench_by_hand::ByHand;

pub async fn router(url: &str) -> anyhow::Result<Router> {
    let hand = ByHand::on_tokio(url).await?;
    let mut router = Router::new();
    for path in ["/untouched", "/read", "/change", "/fill/{shape}"] {
        router = router.route(path, get(answer));
    }
    Ok(router.with_state(hand))
}

async fn answer(State(hand): State<ByHand>, uri: Uri, headers: HeaderMap) -> Response {
    let cookies = headers.get(COOKIE).and_then(|line| line.to_str().ok());
    match hand.answer(uri.path(), cookies).await {
        Ok((text, None)) => text.into_response(),
        Ok((text, Some(cookie))) => (AppendHeaders([(SET_COOKIE, cookie)]), text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}
