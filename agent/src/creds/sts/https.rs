//! The HTTP client of the SDK: rustls over ring, and the certificates that it trusts.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_sdk_sts::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};

/// A connection that nobody uses is kept for the next call of a burst, and no longer: its buffers still have the last
/// answer, with the keys in it.
const IDLE: Duration = Duration::from_secs(1);

/// A file of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not PEM.
    #[error("{} is not PEM", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// One of its certificates is none.
    #[error("certificate {number} of {} is not usable", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        number: usize,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// It has no certificate.
    #[error("{} has no certificate", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// A client that trusts the certificates in `bundle`; those of the system where there is none.
pub(super) fn client(bundle: Option<&Path>) -> Result<SharedHttpClient, BundleError> {
    let trusted = match bundle {
        Some(path) => TrustStore::empty().with_pem_certificate(read(path)?),
        None => TrustStore::default(),
    };
    Ok(Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(trusting(trusted))
        .pool_idle_timeout(IDLE)
        .build_https())
}

fn trusting(certificates: TrustStore) -> TlsContext {
    let context = TlsContext::builder().with_trust_store(certificates);
    context.build().expect("it only collects settings")
}

/// The file, checked: the SDK would panic on a wrong one with the first call.
fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    let to_path = || path.to_owned();
    let file = fs::read(path).map_err(|source| BundleError::Read {
        path: to_path(),
        source,
    })?;
    let mut store = RootCertStore::empty();
    for (certificate, number) in CertificateDer::pem_slice_iter(&file).zip(1..) {
        let certificate = certificate.map_err(|source| BundleError::Pem {
            path: to_path(),
            source,
        })?;
        store
            .add(certificate)
            .map_err(|source| BundleError::Certificate {
                path: to_path(),
                number,
                source,
            })?;
    }
    if store.is_empty() {
        return Err(BundleError::Empty { path: to_path() });
    }
    Ok(file)
}
