//! An application behind the layer, over a store that records what it is asked and fails when told.

use std::{
    fmt::Debug,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, http::header, routing::get};
use cloakroom_core::{Engine, Keyring, Members, OpKind, StoreKey, Stored, Value, Version};
use cloakroom_store::{
    Created, Directory, DynDirectory, DynStore, Fault, MemoryStore, Removed, Sessions, Store, StoreError, StoreFailure,
    Written,
};
use cloakroom_tokio::Tokio;
use cloakroom_tower::{Session, SessionError, SessionLayer};
use http::{HeaderName, Request, Response};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

pub(crate) const RING: &str = "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw";

pub(crate) fn ring() -> Keyring {
    RING.parse().unwrap()
}

/// Runs a test inside a runtime of its own.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// A store around another. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    inner: Arc<dyn DynStore>,
    seen: Arc<Mutex<Vec<(OpKind, StoreKey)>>>,
    failing: Arc<Mutex<Vec<OpKind>>>,
}

impl Recorder {
    pub(crate) fn around(inner: impl Store) -> Self {
        Self { inner: Arc::new(inner), seen: Arc::default(), failing: Arc::default() }
    }

    /// Lets operations of these kinds fail from here on.
    pub(crate) fn fail(&self, kinds: &[OpKind]) {
        *self.failing.lock().unwrap() = kinds.to_vec();
    }

    /// Takes the operations since the last call, by name.
    pub(crate) fn take(&self) -> String {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.iter().map(|(kind, _)| kind.name()).collect::<Vec<_>>().join(",")
    }

    /// Every key that was asked for since the last [`Recorder::take`].
    pub(crate) fn keys(&self) -> Vec<StoreKey> {
        self.seen.lock().unwrap().iter().map(|(_, key)| key.clone()).collect()
    }

    fn indexes(&self) -> Result<&dyn DynDirectory, StoreError> {
        Store::directory(&self.inner).ok_or_else(|| StoreError::failed(Fault::Internal))
    }

    fn note(&self, kind: OpKind, key: &StoreKey) -> Result<(), StoreError> {
        self.seen.lock().unwrap().push((kind, key.clone()));
        match self.failing.lock().unwrap().contains(&kind) {
            true => Err(StoreError::failed(Fault::Unavailable).with_source("it was told to fail")),
            false => Ok(()),
        }
    }
}

impl Store for Recorder {
    async fn load(&self, key: &StoreKey) -> Result<Option<Stored>, StoreError> {
        self.note(OpKind::Load, key)?;
        Store::load(&self.inner, key).await
    }

    async fn create(&self, key: &StoreKey, value: &Value, ttl: Duration) -> Result<Created, StoreError> {
        self.note(OpKind::Create, key)?;
        Store::create(&self.inner, key, value, ttl).await
    }

    async fn replace(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        self.note(OpKind::Replace, key)?;
        Store::replace(&self.inner, key, at, value, ttl).await
    }

    async fn touch(&self, key: &StoreKey, at: &Version, value: &Value, ttl: Duration) -> Result<Written, StoreError> {
        self.note(OpKind::Touch, key)?;
        Store::touch(&self.inner, key, at, value, ttl).await
    }

    async fn remove(&self, key: &StoreKey, at: &Version) -> Result<Removed, StoreError> {
        self.note(OpKind::Remove, key)?;
        Store::remove(&self.inner, key, at).await
    }

    fn directory(&self) -> Option<&dyn DynDirectory> {
        Store::directory(&self.inner).map(|_| self as _)
    }
}

impl Directory for Recorder {
    async fn enroll(&self, index: &StoreKey, member: &StoreKey, ttl: Duration) -> Result<(), StoreError> {
        self.note(OpKind::Enroll, index)?;
        self.indexes()?.enroll(index, member, ttl).await
    }

    async fn unenroll(&self, index: &StoreKey, member: &StoreKey) -> Result<(), StoreError> {
        self.note(OpKind::Unenroll, index)?;
        self.indexes()?.unenroll(index, member).await
    }

    async fn list(&self, index: &StoreKey, limit: usize) -> Result<Members, StoreError> {
        self.note(OpKind::List, index)?;
        self.indexes()?.list(index, limit).await
    }
}

/// The application, and the store under it.
pub(crate) struct Site {
    pub(crate) store: Recorder,
    pub(crate) sessions: Sessions,
    pub(crate) app: Router,
}

impl Site {
    /// Must be made inside a runtime.
    pub(crate) fn new() -> Self {
        Self::over(MemoryStore::new(Tokio))
    }

    pub(crate) fn over(store: impl Store) -> Self {
        let store = Recorder::around(store);
        let sessions = Sessions::builder(Engine::new(ring()), store.clone(), Tokio).build();
        let app = app(SessionLayer::new(sessions.clone()));
        Self { store, sessions, app }
    }

    /// The same store, where requests are served without a session while it is down.
    pub(crate) fn serving_without(&self) -> Router {
        app(SessionLayer::new(self.sessions.clone()).on_store_failure(StoreFailure::ServeWithout))
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answer {
        get_from(&self.app, path, cookie).await
    }

    /// The ticket of a fresh session, as a `Cookie` line.
    pub(crate) async fn sign_in(&self) -> String {
        self.get("/write", "").await.ticket().unwrap()
    }
}

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    headers: http::HeaderMap,
}

impl Answer {
    /// All lines of a header, joined as a list.
    pub(crate) fn header(&self, name: &HeaderName) -> String {
        let lines = self.headers.get_all(name).iter().map(|line| line.to_str().unwrap());
        lines.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn set_cookies(&self) -> Vec<String> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    /// The ticket that it sets, as a `Cookie` line; a removal sets none.
    pub(crate) fn ticket(&self) -> Option<String> {
        let lines = self.set_cookies();
        let ours: Vec<_> = lines.iter().filter(|line| line.starts_with("__Host-id=")).collect();
        assert!(ours.len() <= 1, "never two cookies of one name: {ours:?}");
        let pair = ours.first()?.split(';').next().unwrap();
        (pair != "__Host-id=").then(|| pair.to_owned())
    }

    /// The ticket is set, and nothing was refused.
    pub(crate) fn expect_ticket(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.ticket().unwrap_or_else(|| panic!("no ticket: {self:?}"))
    }
}

pub(crate) async fn get_from(app: &Router, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path);
    let request = if cookie.is_empty() { request } else { request.header(header::COOKIE, cookie) };
    let response: Response<Body> = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status.as_u16(), text, headers: parts.headers }
}

type Told = Result<String, SessionError>;

/// What handlers store for whoever signs in.
pub(crate) const SECRET: &str = "correct-horse-battery";

/// Every way in which a handler uses its session; the paths that end in `-cached` say that they may be cached.
fn app(layer: SessionLayer) -> Router {
    let cached = || [(header::CACHE_CONTROL, "public, max-age=3600"), (header::VARY, "Accept-Encoding")];
    Router::new()
        .route("/untouched", get(async |_: Session| "untouched"))
        .route(
            "/read",
            get(async |s: Session| -> Told { Ok(s.get("name").await?.unwrap_or_else(|| "anonymous".to_owned())) }),
        )
        .route("/wrong", get(async |s: Session| -> Told { Ok(s.get::<u64>("name").await?.unwrap_or(0).to_string()) }))
        .route(
            "/write",
            get(async |s: Session| -> Told { Ok(s.insert("name", SECRET).await.map(|()| String::new())?) }),
        )
        .route(
            "/add",
            get(async |s: Session| -> Told {
                Ok(s.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await?.to_string())
            }),
        )
        .route("/rotate", get(async |s: Session| -> Told { Ok(s.rotate().await.map(|()| String::new())?) }))
        .route("/end", get(async |s: Session| -> Told { Ok(s.destroy().await.map(|()| String::new())?) }))
        .route(
            "/end-and-save",
            get(async |s: Session| -> Told {
                s.destroy().await?;
                s.save().await?;
                Ok(String::new())
            }),
        )
        .route(
            "/end-and-write",
            get(async |s: Session| -> Told {
                s.destroy().await?;
                s.insert("name", "another").await?;
                Ok(String::new())
            }),
        )
        .route(
            "/write-cached",
            get(async move |s: Session| {
                s.insert("name", SECRET).await.unwrap();
                cached()
            }),
        )
        .route(
            "/read-cached",
            get(async move |s: Session| {
                s.get::<String>("name").await?;
                Ok::<_, SessionError>(cached())
            }),
        )
        .route(
            "/end-cached",
            get(async move |s: Session| {
                s.destroy().await.unwrap();
                cached()
            }),
        )
        .route("/untouched-cached", get(async move |_: Session| cached()))
        .route(
            "/save-then-fail",
            get(async |s: Session| {
                s.insert("name", SECRET).await.unwrap();
                s.save().await.unwrap();
                http::StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .layer(layer)
}
