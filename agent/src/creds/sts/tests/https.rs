//! The certificates of `AWS_CA_BUNDLE`, over real TLS.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tempfile::TempDir;

use super::{super::https, *};

/// An authority that no machine trusts.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Serves one connection after the other with a certificate of `authority`; what it answers is no STS's.
fn serve(authority: &CertifiedIssuer<'static, KeyPair>) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = StreamOwned::new(connection, stream.unwrap());
            // An error is of a client that does not trust the certificate and hangs up.
            let _answered = answer(stream).is_ok();
        }
    });
    url
}

/// Reads a request to the last of its parameters, and answers it.
fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) -> io::Result<()> {
    let (mut request, mut part) = (String::new(), [0; 4096]);
    while !request.ends_with("DurationSeconds=3600") {
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Ok(());
        }
        request.push_str(&String::from_utf8_lossy(&part[..length]));
    }
    stream.write_all(b"HTTP/1.1 418 Reached\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn bundle(directory: &TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("ca.pem");
    fs::write(&path, text).unwrap();
    path
}

async fn asked_over_tls(url: &str, bundle: &Path) -> String {
    let config = config("eu-west-1", url)
        .into_builder()
        .http_client(https::client(Some(bundle)).unwrap())
        .build();
    let sts = Sts::new(&config, clock()).unwrap();
    sts.fetch(&identity()).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn only_the_certificates_of_the_bundle_are_trusted() {
    let (ours, theirs) = (authority(), authority());
    let directory = TempDir::new().unwrap();
    let trusted = bundle(&directory, &format!("{}{}", theirs.pem(), ours.pem()));
    let reached = asked_over_tls(&serve(&ours), &trusted).await;
    assert!(!reached.contains("certificate"), "{reached}");
    assert!(reached.contains("418"), "{reached}");

    let strange = bundle(&directory, &theirs.pem());
    let refused = asked_over_tls(&serve(&ours), &strange).await;
    assert!(
        refused.contains("UnknownIssuer") || refused.contains("certificate"),
        "{refused}"
    );
}

#[test]
fn a_bundle_of_no_use_is_refused_by_name() {
    let directory = TempDir::new().unwrap();
    let good = authority().pem();
    let wrong = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = good.get(..good.len() / 2).unwrap();
    for (text, expected) in [
        ("", "has no certificate"),
        ("no PEM at all", "has no certificate"),
        (cut, "is not PEM"),
        (wrong, "certificate 1 of"),
        (&format!("{good}{wrong}"), "certificate 2 of"),
    ] {
        let path = bundle(&directory, text);
        let error = https::client(Some(&path)).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
        assert!(error.contains("ca.pem"), "{error}");
    }
    let missing = https::client(Some(&directory.path().join("missing"))).unwrap_err();
    assert!(matches!(missing, BundleError::Read { .. }), "{missing}");
}
