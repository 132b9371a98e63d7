//! axum_session.

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use axum_session::{DatabasePool, Key, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};
use axum_session_redispool::SessionRedisPool;
use bench_kit::{COUNT_KEY, READ_KEY, Shape};
use redis_pool::RedisPool;

/// Without a database it keeps sessions in its own memory.
pub async fn in_memory(has_key: bool) -> anyhow::Result<Router> {
    let store = SessionStore::<SessionNullPool>::new(None, config(has_key)).await?;
    Ok(router::<SessionNullPool>().layer(SessionLayer::new(store)))
}

pub async fn in_redis(url: &str, has_key: bool) -> anyhow::Result<Router> {
    let pool = RedisPool::from(redis::Client::open(url)?);
    let store = SessionStore::<SessionRedisPool>::new(Some(pool.into()), config(has_key)).await?;
    Ok(router::<SessionRedisPool>().layer(SessionLayer::new(store)))
}

fn config(has_key: bool) -> SessionConfig {
    let config = SessionConfig::default();
    if has_key { config.with_key(Key::generate()) } else { config }
}

fn router<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static>() -> Router {
    Router::new()
        .route("/untouched", get(|| async { "ok" }))
        .route("/read", get(read::<P>))
        .route("/change", get(change::<P>))
        .route("/rotate", get(rotate::<P>))
        .route("/fill/{shape}", get(fill::<P>))
}

async fn read<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static>(session: Session<P>) -> String {
    session.get::<String>(READ_KEY).unwrap_or_default().len().to_string()
}

async fn change<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static>(session: Session<P>) -> String {
    let n = session.get::<u64>(COUNT_KEY).unwrap_or(0) + 1;
    session.set(COUNT_KEY, n);
    n.to_string()
}

async fn rotate<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static>(
    session: Session<P>,
) -> &'static str {
    session.renew();
    "ok"
}

async fn fill<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static>(
    Path(shape): Path<String>,
    session: Session<P>,
) -> Result<&'static str, StatusCode> {
    let shape = shape.parse::<Shape>().map_err(|_| StatusCode::NOT_FOUND)?;
    for (key, value) in shape.pairs() {
        session.set(&key, value);
    }
    Ok("ok")
}
