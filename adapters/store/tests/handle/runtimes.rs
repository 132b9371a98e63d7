//! A runtime is a value: one store and one ring serve several at the same time.

use std::{
    io,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, SystemTime},
};

use cloakroom_core::{CommitError, Engine, RequestInfo};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_store::{DynStore, Finish, Session, SessionError, Sessions, StoreFailure};
use cloakroom_tokio::Tokio;

use crate::common::{TestStore, add_one, cookie, let_run, poll_once, ring};

/// A runtime of nothing but threads.
#[derive(Clone, Copy, Debug)]
struct Threads;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}

impl Runtime for Threads {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let done = cloakroom_runtime::run_blocking(self, move || thread::sleep(duration));
        Box::pin(async move { done.await.unwrap() })
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        drop(thread::spawn(|| block_on(future)));
        Task::new(|| ())
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        drop(thread::spawn(function));
        Task::new(|| ())
    }

    fn connect(&self, _endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

async fn add(sessions: &Sessions, ticket: &str, times: u32) {
    for _ in 0..times {
        loop {
            let session = sessions.open([ticket.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);
            session.update("n", add_one).await.unwrap();
            match Session::commit(&session, Finish::Keep).await.result() {
                Ok(()) => break,
                Err(SessionError::Commit(CommitError::Contention)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

#[test]
fn one_store_serves_several_runtimes_at_once() {
    let store: Arc<dyn DynStore> = Arc::new(TestStore::default());
    let on_threads = Sessions::new(ring(), Arc::clone(&store), Threads);
    let on_tokio = Sessions::builder(Engine::new(ring()), Arc::clone(&store), Tokio).build();
    let erased: Arc<dyn Runtime> = Arc::new(Threads);
    let on_erased = Sessions::new(ring(), store, erased);

    let first = on_threads.open([], &RequestInfo::new(), StoreFailure::Refuse);
    let ticket = block_on(async {
        first.insert("n", &0).await.unwrap();
        cookie(&Session::commit(&first, Finish::Keep).await).unwrap()
    });

    let (done, all_done) = mpsc::channel();
    thread::scope(|scope| {
        for sessions in [&on_threads, &on_erased] {
            let (ticket, done) = (&ticket, done.clone());
            scope.spawn(move || {
                block_on(add(sessions, ticket, 50));
                done.send(()).unwrap();
            });
        }
        // The same sessions inside two tokio runtimes.
        for _ in 0..2 {
            let (sessions, ticket, done) = (&on_tokio, &ticket, done.clone());
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                runtime.unwrap().block_on(add(sessions, ticket, 50));
                done.send(()).unwrap();
            });
        }
    });
    assert_eq!(all_done.try_iter().count(), 4);
    let last = on_threads.open([ticket.as_bytes()], &RequestInfo::new(), StoreFailure::Refuse);
    assert_eq!(block_on(last.get::<u64>("n")).unwrap(), Some(200));
}

#[test]
fn a_commit_whose_runtime_shuts_down_is_interrupted_and_never_hangs() {
    let store = TestStore::default();
    store.always(cloakroom_core::OpKind::Create, crate::common::Trouble::Hang);
    let sessions = Sessions::new(ring(), store, Tokio);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut commit = None;
    runtime.block_on(async {
        let session = sessions.open([], &RequestInfo::new(), StoreFailure::Refuse);
        session.insert("n", &0).await.unwrap();
        commit = Some(Session::commit(&session, Finish::Keep));
    });
    drop(runtime);
    assert!(matches!(block_on(commit.unwrap()).result(), Err(SessionError::Interrupted)));
}

#[test]
fn a_commit_that_is_dropped_where_nothing_can_be_spawned_ends_as_if_the_process_had() {
    let store = TestStore::default();
    let gate = crate::common::Gate::default();
    store.once(cloakroom_core::OpKind::Create, crate::common::Trouble::Hold(gate.clone()));
    let sessions = Sessions::new(ring(), store.clone(), Tokio);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut commit = None;
    runtime.block_on(async {
        let session = sessions.open([], &RequestInfo::new(), StoreFailure::Refuse);
        session.insert("n", &0).await.unwrap();
        let commit = commit.insert(Session::commit(&session, Finish::Keep));
        assert!(poll_once(commit).is_pending());
    });
    drop(commit);
    gate.open();
    runtime.block_on(let_run());
    assert_eq!(store.live(), 0);
}
