//! The layer that gives each request its session, and settles it before the response's headers leave.

use std::{
    fmt,
    marker::PhantomData,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use cloakroom_core::{RequestInfo, TrustedProxies};
use cloakroom_store::{Sessions, StoreFailure};
use http::{
    Extensions, HeaderMap, HeaderName, Request, Response,
    header::{COOKIE, USER_AGENT},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    address::{AddressSource, ClientAddr},
    future::ResponseFuture,
    refusal::{Refusal, StatusOnly},
    session::{LoginWay, Main, Session, SessionName},
};

/// Gives each request a [`Session`], and stores what it did before the response's headers leave: also for streamed
/// bodies, redirects and upgrades.
///
/// * A client that hangs up does not cut a commit in half: what is left of it is spawned on the runtime.
/// * A response with a 5xx status drops the request's edits, but never an end.
/// * What cannot be stored is never told to have succeeded: the response is replaced (see [`Refusal`]).
/// * `Vary` and `Cache-Control` are merged with what the handler set.
///
/// Layers that see the request's cookies or set the response's `Vary` go around or inside it as one likes; a layer that
/// answers in place of handlers, such as a timeout, goes around it.
pub struct SessionLayer<N = Main, R = StatusOnly> {
    settings: Arc<Settings<R>>,
    name: PhantomData<fn() -> N>,
}

/// What of a request a session is bound to.
type BindingSource = for<'r> fn(&'r HeaderMap, &'r Extensions) -> Option<&'r [u8]>;

pub(crate) struct Settings<R> {
    pub(crate) sessions: Sessions,
    pub(crate) address: AddressSource,
    pub(crate) binding: BindingSource,
    pub(crate) failure: StoreFailure,
    pub(crate) login_page: Option<Arc<str>>,
    pub(crate) saves_on_server_error: bool,
    pub(crate) traces: bool,
    pub(crate) refusal: R,
}

impl SessionLayer {
    /// Makes the layer of an application that has one session.
    pub fn new(sessions: Sessions) -> Self {
        Self::named(sessions)
    }
}

impl<N: SessionName> SessionLayer<N> {
    /// Makes the layer of one session among several. Each needs an engine with a name and a cookie of its own.
    pub fn named(sessions: Sessions) -> Self {
        let (address, failure) = (AddressSource::default(), StoreFailure::default());
        let settings = Settings {
            sessions,
            address,
            binding: |_, _| None,
            failure,
            login_page: None,
            saves_on_server_error: false,
            traces: false,
            refusal: StatusOnly,
        };
        Self { settings: Arc::new(settings), name: PhantomData }
    }
}

impl<N: SessionName, R: Clone> SessionLayer<N, R> {
    /// Sets what requests see of a store that is down; by default a 503.
    #[must_use = "this returns the changed layer"]
    pub fn on_store_failure(self, failure: StoreFailure) -> Self {
        self.with(|settings| Settings { failure, ..settings })
    }

    /// Sets where a request's extensions have the address that its connection comes from, if they have one; by default it
    /// is in [`PeerAddr`](crate::PeerAddr).
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use axum::extract::ConnectInfo;
    /// # use cloakroom_tower::SessionLayer;
    ///
    /// # fn with(layer: SessionLayer) -> SessionLayer {
    /// // In axum, with `Router::into_make_service_with_connect_info::<SocketAddr>()`.
    /// layer.peer(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip()))
    /// # }
    /// ```
    #[must_use = "this returns the changed layer"]
    pub fn peer(self, peer: fn(&Extensions) -> Option<IpAddr>) -> Self {
        self.with(|settings| Settings { address: AddressSource { peer, ..settings.address }, ..settings })
    }

    /// Sets the proxies whose word on the client's address is taken; by default none.
    ///
    /// Handlers find the address in [`ClientAddr`](crate::ClientAddr). Where the proxies' header cannot be read there is
    /// none, and a record with the event `no_client_address` and the reason goes to `tracing`.
    #[must_use = "this returns the changed layer"]
    pub fn trusted_proxies(self, proxies: TrustedProxies) -> Self {
        self.with(|settings| Settings { address: AddressSource { proxies, ..settings.address }, ..settings })
    }

    /// Sets what of a request its session is bound to where the engine asks for bytes of the application's
    /// ([`Binding::bytes`](crate::Binding::bytes)): the digest of a client certificate, for instance, that the server put into the
    /// extensions. By default there is nothing, which counts as a value of its own.
    #[must_use = "this returns the changed layer"]
    pub fn binding(self, binding: for<'r> fn(&'r HeaderMap, &'r Extensions) -> Option<&'r [u8]>) -> Self {
        self.with(|settings| Settings { binding, ..settings })
    }

    /// Names the page on which one signs in, a path of this site: [`Principal`](crate::Principal) and
    /// [`RequireLogin`](crate::RequireLogin) send there who wants to see a page, with the way back in the query, to be read
    /// by [`ReturnTo::parse`](crate::ReturnTo::parse) alone. By default they answer with a 401.
    #[must_use = "this returns the changed layer"]
    pub fn login_page(self, path: &str) -> Self {
        let login_page = Some(Arc::from(path));
        self.with(|settings| Settings { login_page, ..settings })
    }

    /// Stores edits also when the response has a 5xx status.
    #[must_use = "this returns the changed layer"]
    pub fn save_on_server_error(self) -> Self {
        self.with(|settings| Settings { saves_on_server_error: true, ..settings })
    }

    /// Puts a [`SessionTrace`](crate::SessionTrace) into the extensions of each response whose session was accessed, for the
    /// services around the layer.
    #[must_use = "this returns the changed layer"]
    pub fn trace_responses(self) -> Self {
        self.with(|settings| Settings { traces: true, ..settings })
    }

    /// Sets the response that goes out in place of one whose session could not be settled. See [`Refusal`], also for which
    /// answers do not go through it.
    #[must_use = "this returns the changed layer"]
    pub fn refusal<Q>(self, refusal: Q) -> SessionLayer<N, Q> {
        self.with(
            |Settings { sessions, address, binding, failure, login_page, saves_on_server_error, traces, .. }| {
                Settings { sessions, address, binding, failure, login_page, saves_on_server_error, traces, refusal }
            },
        )
    }

    fn with<Q>(self, change: impl FnOnce(Settings<R>) -> Settings<Q>) -> SessionLayer<N, Q> {
        let Settings { sessions, address, binding, failure, login_page, saves_on_server_error, traces, refusal } =
            &*self.settings;
        let settings = Settings {
            sessions: sessions.clone(),
            address: address.clone(),
            binding: *binding,
            failure: *failure,
            login_page: login_page.clone(),
            saves_on_server_error: *saves_on_server_error,
            traces: *traces,
            refusal: refusal.clone(),
        };
        SessionLayer { settings: Arc::new(change(settings)), name: PhantomData }
    }
}

impl<N, R> Clone for SessionLayer<N, R> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings), name: PhantomData }
    }
}

impl<N, R> fmt::Debug for SessionLayer<N, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("sessions", &self.settings.sessions).finish_non_exhaustive()
    }
}

impl<S, N, R> Layer<S> for SessionLayer<N, R> {
    type Service = SessionService<S, N, R>;

    fn layer(&self, inner: S) -> SessionService<S, N, R> {
        SessionService { inner, settings: Arc::clone(&self.settings), name: PhantomData }
    }
}

/// The service of [`SessionLayer`].
pub struct SessionService<S, N = Main, R = StatusOnly> {
    inner: S,
    settings: Arc<Settings<R>>,
    name: PhantomData<fn() -> N>,
}

impl<S: Clone, N, R> Clone for SessionService<S, N, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), settings: Arc::clone(&self.settings), name: PhantomData }
    }
}

impl<S: fmt::Debug, N, R> fmt::Debug for SessionService<S, N, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, N, R, B, C> Service<Request<B>> for SessionService<S, N, R>
where
    S: Service<Request<B>, Response = Response<C>>,
    N: SessionName,
    R: Refusal<C>,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C, S::Error, N, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
        const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
        let client = self.settings.address.find(&request);
        let headers = request.headers();
        let mut facts = RequestInfo::new().method(request.method().as_str());
        // One pass costs less than two names hashed. Of several lines the first counts.
        let (mut mode, mut site) = (None, None);
        for (name, value) in headers {
            if *name == SEC_FETCH_MODE {
                mode.get_or_insert(value);
            } else if *name == SEC_FETCH_SITE {
                site.get_or_insert(value);
            }
        }
        if let Some(mode) = mode {
            facts = facts.sec_fetch_mode(mode.as_bytes());
        }
        if let Some(site) = site {
            facts = facts.sec_fetch_site(site.as_bytes());
        }
        if self.settings.sessions.engine().binds_sessions() {
            if let Some(agent) = headers.get(USER_AGENT) {
                facts = facts.user_agent(agent.as_bytes());
            }
            if let Some(ClientAddr(Ok(address))) = client {
                facts = facts.address(address);
            }
            if let Some(bytes) = (self.settings.binding)(headers, request.extensions()) {
                facts = facts.binding(bytes);
            }
        }
        let cookies = headers.get_all(COOKIE).iter().map(|line| line.as_bytes());
        let session = self.settings.sessions.open(cookies, &facts, self.settings.failure);
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        let way = |page: &Arc<str>| LoginWay { page: Arc::clone(page), back: request.uri().path_and_query().cloned() };
        let login = self.settings.login_page.as_ref().map(way);
        request.extensions_mut().insert(Session::<N>::new(session.clone(), login));
        ResponseFuture::new(self.inner.call(request), session, Arc::clone(&self.settings))
    }
}
