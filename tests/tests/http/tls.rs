//! TLS.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use cloakroom_http::{
    ConnectError,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
};
use cloakroom_runtime::{BoxFuture, Endpoint, Runtime, Stream, Task};
use cloakroom_store::{Fault, StoreError};
use cloakroom_tests::servers::{Certificates, Service, ServiceOptions};
use cloakroom_tokio::Tokio;

use crate::common::{config, create, load, on_tokio, replace};

tests! {
    a_service_whose_certificate_is_trusted_is_reached,
    a_certificate_that_nobody_vouches_for_is_refused,
    a_certificate_for_another_name_is_refused,
    a_service_that_speaks_tls_speaks_nothing_else,
}

fn service() -> Service {
    Service::start(ServiceOptions::new("memory:").tls().token("one-0123456789.abcdef").set("--log", "error"))
}

/// Trusts one authority alone.
fn trusting(certificates: &Certificates) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificates.authority()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}

async fn refused(url: &str, tls: Arc<ClientConfig>) -> StoreError {
    match config(url).token("one-0123456789.abcdef").unwrap().tls(tls).connect(Tokio).await {
        Err(ConnectError::Unreachable(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn a_service_whose_certificate_is_trusted_is_reached() {
    let service = service();
    let tls = trusting(service.certificates().unwrap());
    on_tokio(async {
        let config = config(&service.url()).token("one-0123456789.abcdef").unwrap().tls(tls);
        let store = config.connect(Tokio).await.unwrap();
        let version = create(&store, "k", &"x".repeat(1 << 20)).await.unwrap();
        replace(&store, "k", &version, "two").await.unwrap();
        assert_eq!(load(&store, "k").await.unwrap().as_deref(), Some("two"));
    });
}

fn a_certificate_that_nobody_vouches_for_is_refused() {
    let service = service();
    let folder = tempfile::tempdir().unwrap();
    let other = Certificates::make(folder.path());
    on_tokio(async {
        let error = refused(&service.url(), trusting(&other)).await;
        assert_eq!((error.fault(), error.may_have_happened()), (Fault::Unavailable, false));
        assert!(format!("{error:?}").contains("TLS"), "{error:?}");
    });
}

/// Tokio on a machine where every name stands for one address.
#[derive(Debug)]
struct Elsewhere(SocketAddr);

impl Runtime for Elsewhere {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Tokio.sleep(duration)
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Task {
        Tokio.spawn(future)
    }

    fn unblock(&self, function: Box<dyn FnOnce() + Send + 'static>) -> Task {
        Tokio.unblock(function)
    }

    fn connect(&self, _endpoint: &Endpoint) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Tokio.connect(&Endpoint::Tcp(self.0))
    }

    fn now(&self) -> SystemTime {
        Tokio.now()
    }
}

fn a_certificate_for_another_name_is_refused() {
    let service = service();
    let tls = trusting(service.certificates().unwrap());
    on_tokio(async {
        for (name, is_right) in [("localhost", true), ("sessions.example", false), ("127.0.0.2", false)] {
            let config = config(&format!("https://{name}")).token("one-0123456789.abcdef").unwrap();
            match config.tls(tls.clone()).connect(Elsewhere(service.address())).await {
                Ok(_) => assert!(is_right, "{name}"),
                Err(error) => assert!(!is_right && format!("{error:?}").contains("TLS"), "{name}: {error:?}"),
            }
        }
    });
}

fn a_service_that_speaks_tls_speaks_nothing_else() {
    let service = service();
    on_tokio(async {
        let url = service.url().replace("https", "http");
        let store = config(&url).token("one-0123456789.abcdef").unwrap().lazy(Tokio);
        load(&store, "k").await.unwrap_err();
    });
}
