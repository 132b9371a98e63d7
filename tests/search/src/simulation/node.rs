//! A node of the site: the glue as applications use it, on a runtime that knows for which request it works.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use cloakroom_core::{CookiePolicy, Engine, Keyring, Lifetime};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_sim::SimRuntime;
use cloakroom_store::{Sessions, StoreFailure};
use cloakroom_tower::{Refusal, SessionError, SessionLayer, SessionService};
use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    model::No,
    routes::Site,
    setting::{Setting, TICK},
    store::Shelf,
    world::World,
};

thread_local! {
    /// The request that whatever runs now works for.
    static CURRENT: Cell<No> = const { Cell::new(0) };
}

pub(super) fn current() -> No {
    CURRENT.get()
}

/// A future of a request on a node; it stands still where the node is dead.
pub(super) struct Work<T> {
    no: No,
    is_dead: Arc<AtomicBool>,
    /// There until this is dropped.
    inner: Option<BoxFuture<'static, T>>,
}

impl<T> Future for Work<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let no = self.no;
        let Some(inner) = &mut self.inner else { return Poll::Pending };
        let before = CURRENT.replace(no);
        let poll = inner.as_mut().poll(context);
        CURRENT.set(before);
        poll
    }
}

impl<T> Drop for Work<T> {
    /// What it spawns when it is dropped is the request's as well.
    fn drop(&mut self) {
        let before = CURRENT.replace(self.no);
        self.inner = None;
        CURRENT.set(before);
    }
}

/// The runtime of a node.
#[derive(Clone)]
pub(super) struct NodeRuntime {
    sim: SimRuntime,
    is_dead: Arc<AtomicBool>,
}

impl NodeRuntime {
    pub(super) fn work<T>(&self, no: No, inner: BoxFuture<'static, T>) -> Work<T> {
        Work { no, is_dead: Arc::clone(&self.is_dead), inner: Some(inner) }
    }
}

impl Runtime for NodeRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sim.sleep(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        self.sim.spawn(Box::pin(self.work(current(), future)))
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        self.sim.unblock(function)
    }

    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        self.sim.connect(endpoint)
    }

    fn now(&self) -> SystemTime {
        self.sim.now()
    }

    /// Goes by ticks as long as a system's are at the most.
    fn coarse_now(&self) -> SystemTime {
        let since_epoch = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_millis(since_epoch.as_millis() as u64 / TICK as u64 * TICK as u64)
    }
}

impl fmt::Debug for NodeRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRuntime").finish_non_exhaustive()
    }
}

/// The body of a response: why it is none of the handler's.
#[derive(Clone, Debug, Default)]
pub(super) struct Body(pub(super) Option<cloakroom_store::SessionError>);

/// Answers in place of the handler, and says why.
#[derive(Clone, Copy, Debug)]
pub(super) struct SayWhy;

impl Refusal<Body> for SayWhy {
    fn refuse(&self, status: StatusCode, error: &SessionError) -> Response<Body> {
        let mut response = Response::new(Body(Some(error.kind().clone())));
        *response.status_mut() = status;
        response
    }
}

/// A node.
pub(super) struct Node {
    pub(super) offset: i64,
    pub(super) sessions: Sessions,
    runtime: NodeRuntime,
    service: SessionService<Site, cloakroom_tower::Main, SayWhy>,
}

impl Node {
    pub(super) fn start(engine: Engine, store: Shelf, world: &World, setting: &Setting, offset: i64) -> Self {
        let ahead = Duration::from_millis(offset.unsigned_abs());
        let sim = if offset < 0 { world.dice.behind(ahead) } else { world.dice.ahead(ahead) };
        let runtime = NodeRuntime { sim, is_dead: Arc::default() };
        let deadline = Duration::from_millis(setting.deadline as u64);
        let sessions = Sessions::builder(engine, store, runtime.clone()).deadline(deadline).build();
        let failure = if setting.serves_without { StoreFailure::ServeWithout } else { StoreFailure::Refuse };
        let layer = SessionLayer::new(sessions.clone()).on_store_failure(failure).refusal(SayWhy);
        let service = layer.layer(Site { world: world.clone(), runtime: runtime.clone() });
        Self { offset, sessions, runtime, service }
    }

    /// Answers a request.
    pub(super) fn call(&self, no: No, request: Request<()>) -> Work<Result<Response<Body>, std::convert::Infallible>> {
        let mut service = self.service.clone();
        self.runtime.work(no, Box::pin(async move { service.call(request).await }))
    }

    /// Kills the process: whatever it was about to do is not done.
    pub(super) fn crash(&self) {
        self.runtime.is_dead.store(true, Ordering::Relaxed);
    }
}

/// The ring before it is rotated, and after.
const RINGS: [&str; 2] = [
    "1:primary:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw 2:accept:bmV3LZIvWKNo4vJ8RFUlWsEAW0Al5iXgbDBzCkeVLzk",
    "1:accept:b2xkLfqXkm3PJVTVE_Ec7PZUR8w8ugMvAfqTKmlWcBw 2:primary:bmV3LZIvWKNo4vJ8RFUlWsEAW0Al5iXgbDBzCkeVLzk",
];

#[allow(clippy::expect_used, reason = "constants")]
pub(super) fn ring(is_rotated: bool) -> Keyring {
    RINGS[usize::from(is_rotated)].parse().expect("a ring")
}

/// The engine of all nodes.
#[allow(clippy::expect_used, reason = "settings that fit together")]
pub(super) fn engine(setting: &Setting, is_rotated: bool) -> Engine {
    let millis = |millis: i64| Duration::from_millis(millis as u64);
    let Setting { idle, absolute, remember, .. } = *setting;
    let mut builder = Engine::builder(ring(is_rotated))
        .cookie(CookiePolicy::default())
        .lifetime(Lifetime::new(millis(idle), millis(absolute)))
        .longest(Lifetime::new(millis(idle * remember), millis(absolute * remember)))
        .touch_part(setting.touch_part as u32)
        .grace(millis(setting.grace))
        .max_request(millis(setting.max_request))
        .clock_skew(millis(setting.skew));
    if let Some(after) = setting.renew_after {
        builder = builder.renew_after(millis(after));
    }
    builder.build().expect("settings that fit together")
}
