//! The certificate of the public listener: read at the start, and again when it was renewed. Who may connect is not
//! decided here.

use crate::config::Tls;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

/// Why there is no certificate to show. Each says which file, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {} ({key}): {error}; make it readable for the server, or set {key} to another file", path.display())]
    Unreadable { key: &'static str, path: PathBuf, error: io::Error },
    #[error("{} (server.tls_cert) holds no certificate in PEM: {detail}; name the file that begins with BEGIN CERTIFICATE", path.display())]
    NoCertificate { path: PathBuf, detail: String },
    #[error("{} (server.tls_key) holds no private key in PEM without a passphrase: {detail}; name the file with BEGIN PRIVATE KEY", path.display())]
    NoKey { path: PathBuf, detail: String },
    #[error("{} (server.tls_key) is not the key of the first certificate in {} (server.tls_cert); name two files that belong together", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("{} (server.tls_cert) and {} (server.tls_key) cannot be used: {detail}", cert.display(), key.display())]
    Unusable { cert: PathBuf, key: PathBuf, detail: String },
}

/// The certificate that new connections are shown. Clones are one: what one of them reads, all show.
#[derive(Clone)]
pub struct Certificate(Arc<Shown>);

struct Shown {
    current: watch::Sender<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

impl Certificate {
    pub(super) fn load(files: &Tls) -> Result<Self, CertificateError> {
        let provider = Arc::new(ring::default_provider());
        let current = watch::Sender::new(Arc::new(read(files, &provider)?));
        Ok(Self(Arc::new(Shown { current, provider })))
    }

    /// Reads the files again. New connections see what they hold now; those that are open go on. Files that cannot be
    /// used change nothing: the certificate stays the one that it was.
    pub fn reload(&self, files: &Tls) -> Result<(), CertificateError> {
        match read(files, &self.0.provider) {
            Ok(read) => {
                self.0.current.send_replace(Arc::new(read));
                log::info!(file:% = files.cert.display(); "the certificate was read again");
                Ok(())
            }
            Err(error) => {
                log::error!(error:%; "the certificate stays the one that was read before");
                Err(error)
            }
        }
    }

    /// HTTP/1.1 alone, which actix adds to what is offered: it gives an HTTP/2 connection neither a limit of streams nor a time for a head, and a reader
    /// that takes nothing would hide behind the others of its connection, where no socket option finds it.
    pub(super) fn server_config(&self) -> Result<ServerConfig, rustls::Error> {
        let config = ServerConfig::builder_with_provider(self.0.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.0.clone());
        Ok(config)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.borrow().clone())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

fn read(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let Tls { cert, key } = files;
    let text = |name, path: &Path| {
        let failed = |error| CertificateError::Unreadable { key: name, path: path.into(), error };
        fs::read(path).map_err(failed)
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&text("server.tls_cert", cert)?).collect();
    let chain = chain.and_then(|chain| match chain.is_empty() {
        true => Err(pem::Error::NoItemsFound),
        false => Ok(chain),
    });
    let chain = chain.map_err(|error| CertificateError::NoCertificate {
        path: cert.clone(),
        detail: error.to_string(),
    })?;
    let secret = PrivateKeyDer::from_pem_slice(&text("server.tls_key", key)?);
    // What stood there is not repeated: it may be the key.
    let secret = secret.map_err(|error| CertificateError::NoKey {
        path: key.clone(),
        detail: match error {
            pem::Error::NoItemsFound => "there is none in it".into(),
            _ => "it is not PEM".into(),
        },
    })?;
    if fs::metadata(key).is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
        log::warn!(file:% = key.display(); "everybody on this machine can read the key of the certificate; chmod it to 640");
    }
    CertifiedKey::from_der(chain, secret, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            CertificateError::Mismatch { cert: cert.clone(), key: key.clone() }
        }
        error => CertificateError::Unusable {
            cert: cert.clone(),
            key: key.clone(),
            detail: error.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pair in two files.
    fn pair(folder: &Path, name: &str) -> Tls {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let (cert, key) = (folder.join(format!("{name}.cert")), folder.join(format!("{name}.key")));
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Tls { cert, key }
    }

    #[test]
    fn a_pair_that_cannot_be_used_is_named_with_its_file_and_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| pair(folder.path(), name));
        assert!(Certificate::load(&one).is_ok());
        let absent = folder.path().join("absent");
        let secret = fs::read_to_string(&one.key).unwrap();
        for (cert, key, expected) in [
            (&one.cert, &two.key, "is not the key of the first certificate"),
            (&one.key, &one.key, "(server.tls_cert) holds no certificate"),
            (&one.cert, &one.cert, "(server.tls_key) holds no private key"),
            (&absent, &one.key, "(server.tls_cert): No such file"),
            (&one.cert, &absent, "(server.tls_key): No such file"),
        ] {
            let files = Tls { cert: cert.clone(), key: key.clone() };
            let error = Certificate::load(&files).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!secret.lines().any(|line| error.contains(line)), "{error}");
        }
    }

    #[test]
    fn a_bad_new_pair_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| pair(folder.path(), name));
        let certificate = Certificate::load(&one).ok().unwrap();
        let shown = || certificate.0.current.borrow().cert.clone();
        let first = shown();
        let mixed = Tls { cert: two.cert.clone(), key: one.key.clone() };
        assert!(matches!(certificate.reload(&mixed), Err(CertificateError::Mismatch { .. })));
        assert_eq!(shown(), first);
        certificate.clone().reload(&two).unwrap();
        assert_ne!(shown(), first);
    }
}
