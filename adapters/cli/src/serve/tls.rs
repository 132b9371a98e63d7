//! TLS, by rustls.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use futures_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// Reads a certificate and its key.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| format!("--tls-cert: cannot read {}", certificate.display()))?;
    ensure!(!chain.is_empty(), "--tls-cert: {} has no certificate", certificate.display());
    let secret =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("--tls-key: cannot read {}", key.display()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
    let config = config.with_single_cert(chain, secret).context("--tls-cert, --tls-key: they do not fit")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
