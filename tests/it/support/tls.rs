//! Certificates of an authority that a test made, and clients that trust it. Nothing here knows a server.

use super::Api;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// An authority of its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, in PEM.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Under the name of the others, a certificate would look as if it had signed itself.
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for this machine's loopback names, and its key, as `tls.cert` and `tls.key` in `folder`.
    pub(crate) fn certify(&self, folder: &Path) -> [PathBuf; 2] {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files = ["tls.cert", "tls.key"].map(|name| folder.join(name));
        fs::write(&files[0], certificate.pem()).expect("a file");
        fs::write(&files[1], key.serialize_pem()).expect("a file");
        files
    }
}

/// The lines of a section `[server]` with TLS.
pub(crate) fn with_tls(files: &[PathBuf; 2]) -> String {
    let [cert, key] = files.each_ref().map(|file| file.display());
    format!("[server]\ntls_cert = \"{cert}\"\ntls_key = \"{key}\"\n")
}

impl Api {
    /// The same server, by a client that trusts this authority and no other.
    pub(crate) fn trusting(&self, authority: &Authority) -> Self {
        let certificate = reqwest::Certificate::from_pem(authority.pem.as_bytes()).expect("PEM");
        let http = seawall::client::http().tls_certs_only([certificate]).build().expect("a client");
        Self { http, ..self.clone() }
    }
}
