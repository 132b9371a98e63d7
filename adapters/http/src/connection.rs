//! One connection to the service.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use cloakroom_runtime::{Runtime, Stream, Task};
use cloakroom_store::Fault;
use futures_io::{AsyncRead, AsyncWrite};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{Builder, SendRequest},
};

use crate::{env::Env, failure::Failure, io::Io, pool::Progress, request::Request};

/// Lines of an answer's head.
const MAX_HEADERS: usize = 64;
/// Bytes of an answer's head.
const MAX_HEAD: usize = 32 * 1024;

/// A connection that one request has at a time. Dropping it closes it.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Option<Task>,
}

/// An answer, whole.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(env: &Env) -> Result<Self, Failure> {
        let place = &env.settings.place;
        let opened = env.runtime.connect(&place.endpoint).await;
        let stream: Box<dyn Stream> = opened.map_err(|error| place.unreached(&error))?;
        match &place.tls_name {
            None => Self::over(&*env.runtime, stream).await,
            Some(name) => {
                let secured = env.tls().await?.connect(name.clone(), stream).await;
                Self::over(&*env.runtime, secured.map_err(|error| place.unreached(&error))?).await
            }
        }
    }

    async fn over(
        runtime: &dyn Runtime,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, Failure> {
        let mut http = Builder::new();
        http.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
        let made = http.handshake(Io::new(stream)).await;
        let (sender, driver) = made.map_err(|error| Failure::unsent(Fault::Unavailable, &words(&error)))?;
        // How it ends is told to whoever waits for an answer.
        let driver = runtime.spawn(Box::pin(async move { drop(driver.await) }));
        Ok(Self { sender, driver: Some(driver) })
    }

    /// Tells whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &Request, progress: &Progress) -> Result<Reply, Failure> {
        let unsent = |error: &hyper::Error| Failure::unsent(Fault::Unavailable, &words(error));
        self.sender.ready().await.map_err(|error| unsent(&error))?;
        progress.sent();
        let answer = self.sender.try_send_request(request.build()).await.map_err(|mut error| {
            // What comes back never left.
            match error.take_message() {
                Some(_) => unsent(error.error()),
                None => Failure::sent(Fault::Unavailable, &words(error.error())),
            }
        })?;
        let (head, body) = answer.into_parts();
        let body = read(body, request.max_answer).await?;
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.cancel();
        }
    }
}

async fn read(mut body: Incoming, max: usize) -> Result<Bytes, Failure> {
    let too_long = || Failure::sent(Fault::Internal, "the answer is longer than the largest value");
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        return Err(too_long());
    }
    let mut whole = BytesMut::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::sent(Fault::Unavailable, &words(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max - whole.len() {
            return Err(too_long());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The words of the HTTP library and of the operating system, which know nothing of what is sent.
fn words(error: &hyper::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {source}"),
    }
}
