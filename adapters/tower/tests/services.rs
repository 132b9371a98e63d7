//! The services of the layers as towers of others see them: when they are ready, whom they call, and what is printed of
//! them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    error::Error,
    future::{Ready, ready},
    task::{Context, Poll},
};

use axum::body::Body;
use cloakroom_core::{CommitError, EditError, Login, RosterError};
use cloakroom_store::{Fault, SessionError as Kind, StoreError};
use cloakroom_tower::{
    CsrfLayer, Main, MissingLayer, Principal, RequireLogin, Session, SessionError, StoreFailure, StoreFailureLayer,
};
use common::World;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

/// A service that is ready from the second time on that it is asked, and only itself: its clones are to be asked anew.
#[derive(Debug, Default)]
struct Gate {
    asked: u32,
}

impl Clone for Gate {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = &'static str;
    type Future = Ready<Result<Response<Body>, &'static str>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.asked += 1;
        if self.asked > 1 {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let outcome = if self.asked > 1 { Ok(Response::new(Body::empty())) } else { Err("called before it was ready") };
        self.asked = 0;
        ready(outcome)
    }
}

async fn call<S: Service<Request<Body>, Error = &'static str>>(mut service: S) -> Result<S::Response, S::Error> {
    service.ready().await?.call(Request::get("/").body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn each_is_ready_when_the_one_inside_is_and_calls_that_one() {
    let w = World::new();
    assert!(call(w.layer().layer(Gate::default())).await.is_ok());
    assert!(call(CsrfLayer::new().layer(Gate::default())).await.is_ok());
    assert!(call(StoreFailureLayer::new(StoreFailure::Refuse).layer(Gate::default())).await.is_ok());
    let signed_in = service_fn(|request: Request<Body>| async move {
        Session::<Main>::find(request.extensions()).unwrap().login("alice", Login::new()).await.unwrap();
        RequireLogin::new().layer(Gate::default()).ready().await?.call(request).await
    });
    assert_eq!(call(w.layer().layer(signed_in)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_is_printed_names_what_it_is_and_no_user() {
    let w = World::new();
    let mut service = w.layer().layer(Gate::default());
    assert!(format!("{:?}", w.layer()).starts_with("SessionLayer {"));
    assert!(format!("{service:?}").starts_with("SessionService { inner: Gate"));
    let request = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(format!("{:?}", service.ready().await.unwrap().call(request)), "ResponseFuture { .. }");
    assert_eq!(MissingLayer.to_string(), "no SessionLayer of this name is around the service");
    let asks = service_fn(|request: Request<Body>| async move {
        let session = Session::<Main>::find(request.extensions()).unwrap();
        session.login("alice", Login::new()).await.unwrap();
        assert!(format!("{session:?}").starts_with("Session {"), "{session:?}");
        let user = Principal::<String>::of(&session).await.unwrap().unwrap();
        assert_eq!((format!("{user:?}"), &**user), ("Principal(..)".to_owned(), "alice"));
        Ok::<_, &'static str>(Response::new(Body::empty()))
    });
    assert!(call(w.layer().layer(asks)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_login_page_is_known_inside() {
    let w = World::new();
    for (layer, page) in [(w.layer(), None), (w.layer().login_page("/login"), Some("/login"))] {
        let asks = service_fn(move |request: Request<Body>| async move {
            assert_eq!(Session::<Main>::find(request.extensions()).unwrap().login_page(), page);
            Ok::<_, &'static str>(Response::new(Body::empty()))
        });
        assert!(call(layer.layer(asks)).await.is_ok());
    }
}

#[test]
fn a_failure_has_the_status_that_tells_whose_it_is() {
    for (error, status) in [
        (Kind::Edit(EditError::NotSignedIn), StatusCode::UNAUTHORIZED),
        (Kind::Edit(EditError::Principal), StatusCode::INTERNAL_SERVER_ERROR),
        (Kind::Roster(RosterError::Contention), StatusCode::CONFLICT),
        (Kind::Roster(RosterError::End(CommitError::Store)), StatusCode::SERVICE_UNAVAILABLE),
        (Kind::Roster(RosterError::Store), StatusCode::SERVICE_UNAVAILABLE),
        (Kind::Roster(RosterError::UnknownHandle), StatusCode::NOT_FOUND),
        (Kind::Roster(RosterError::NoIndex), StatusCode::NOT_IMPLEMENTED),
    ] {
        let text = error.to_string();
        let error = SessionError::from(error);
        assert_eq!((error.status(), error.to_string()), (status, text));
    }
    let error = SessionError::from(Kind::Store(StoreError::failed(Fault::Unavailable).with_source("no route")));
    assert!(error.source().is_some());
}
