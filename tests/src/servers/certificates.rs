//! Certificates for servers that speak TLS.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority of its own, and a certificate by it for `localhost` and `127.0.0.1`, as PEM files in a folder.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them.
    pub fn make(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let certificates = Self { folder: folder.to_owned() };
        fs::write(certificates.authority(), authority.pem()).unwrap();
        fs::write(certificates.certificate(), certificate.pem()).unwrap();
        fs::write(certificates.key(), key.serialize_pem()).unwrap();
        certificates
    }

    /// Returns the file of the authority's certificate, which clients have to trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Returns the file of the server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// Returns the file of the server's key.
    pub fn key(&self) -> PathBuf {
        self.folder.join("server.key")
    }
}
