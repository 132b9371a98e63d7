//! The policy for a store that is down, for some routes.

use std::{
    marker::PhantomData,
    task::{Context, Poll},
};

use cloakroom_store::StoreFailure;
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::session::{Main, Session, SessionName};

/// Sets what the routes inside it see of a store that is down, in place of what the
/// [`SessionLayer`](crate::SessionLayer) around it says.
#[derive(Clone, Copy, Debug)]
pub struct StoreFailureLayer<N = Main> {
    failure: StoreFailure,
    name: PhantomData<fn() -> N>,
}

impl StoreFailureLayer {
    /// Makes the layer for the session of an application that has one.
    pub fn new(failure: StoreFailure) -> Self {
        Self::named(failure)
    }
}

impl<N: SessionName> StoreFailureLayer<N> {
    /// Makes the layer for the session of a name.
    pub fn named(failure: StoreFailure) -> Self {
        Self { failure, name: PhantomData }
    }
}

impl<S, N: SessionName> Layer<S> for StoreFailureLayer<N> {
    type Service = OnStoreFailure<S, N>;

    fn layer(&self, inner: S) -> OnStoreFailure<S, N> {
        OnStoreFailure { inner, failure: self.failure, name: PhantomData }
    }
}

/// The service of [`StoreFailureLayer`].
#[derive(Clone, Debug)]
pub struct OnStoreFailure<S, N = Main> {
    inner: S,
    failure: StoreFailure,
    name: PhantomData<fn() -> N>,
}

impl<S: Service<Request<B>>, B, N: SessionName> Service<Request<B>> for OnStoreFailure<S, N> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        if let Some(session) = request.extensions().get::<Session<N>>() {
            session.on_store_failure(self.failure);
        }
        self.inner.call(request)
    }
}
