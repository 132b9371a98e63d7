//! tower-sessions.

use axum::Router;
use bench_kit::{COUNT_KEY, READ_KEY, Shape};
use tower_sessions::{MemoryStore, SessionManagerLayer, cookie::Key};
use tower_sessions_of_redis as of_redis;
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike as _, Config, Pool},
};

use crate::bytes_store::BytesStore;

pub fn plain() -> Router {
    latest::router().layer(SessionManagerLayer::new(MemoryStore::default()))
}

pub fn signed() -> Router {
    latest::router().layer(SessionManagerLayer::new(MemoryStore::default()).with_signed(Key::generate()))
}

pub fn bytes_signed() -> Router {
    latest::router().layer(SessionManagerLayer::new(BytesStore::default()).with_signed(Key::generate()))
}

pub async fn in_redis(url: &str, is_signed: bool) -> anyhow::Result<Router> {
    // The size that its documentation shows.
    let pool = Pool::new(Config::from_url(url)?, None, None, None, 6)?;
    pool.init().await?;
    let layer = of_redis::SessionManagerLayer::new(RedisStore::new(pool));
    Ok(match is_signed {
        true => of_this::router().layer(layer.with_signed(Key::generate())),
        false => of_this::router().layer(layer),
    })
}

/// The same handlers for the two versions.
macro_rules! routes {
    ($name:ident, $tower_sessions:ident) => {
        mod $name {
            use ::$tower_sessions::{Session, session::Error};
            use axum::{Router, extract::Path, http::StatusCode, routing::get};

            use super::{COUNT_KEY, READ_KEY, Shape};

            pub(super) fn router() -> Router {
                Router::new()
                    .route("/untouched", get(|| async { "ok" }))
                    .route("/read", get(read))
                    .route("/change", get(change))
                    .route("/rotate", get(rotate))
                    .route("/fill/{shape}", get(fill))
            }

            fn failed(_: Error) -> StatusCode {
                StatusCode::INTERNAL_SERVER_ERROR
            }

            async fn read(session: Session) -> Result<String, StatusCode> {
                let text = session.get::<String>(READ_KEY).await.map_err(failed)?;
                Ok(text.unwrap_or_default().len().to_string())
            }

            async fn change(session: Session) -> Result<String, StatusCode> {
                let n = session.get::<u64>(COUNT_KEY).await.map_err(failed)?.unwrap_or(0) + 1;
                session.insert(COUNT_KEY, n).await.map_err(failed)?;
                Ok(n.to_string())
            }

            async fn rotate(session: Session) -> Result<&'static str, StatusCode> {
                session.cycle_id().await.map_err(failed)?;
                Ok("ok")
            }

            async fn fill(Path(shape): Path<String>, session: Session) -> Result<&'static str, StatusCode> {
                let shape = shape.parse::<Shape>().map_err(|_| StatusCode::NOT_FOUND)?;
                for (key, value) in shape.pairs() {
                    session.insert(&key, value).await.map_err(failed)?;
                }
                Ok("ok")
            }
        }
    };
}

routes!(latest, tower_sessions);
routes!(of_this, tower_sessions_of_redis);
