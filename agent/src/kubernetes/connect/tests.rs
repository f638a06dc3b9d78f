use std::{error::Error as _, path::Path};

use tempfile::TempDir;

use super::*;
use crate::{chain::chain, creds::Secret};

/// A directory with this kubeconfig.
fn kubeconfig(text: &str) -> (TempDir, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    fs::write(&path, text).unwrap();
    let trust = Trust::Authorities;
    (dir, Settings::Kubeconfig { path, trust })
}

/// A kubeconfig with one context, of this cluster and this user.
fn context(cluster: &str, user: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{{cluster}}}}}], users: [{{name: u, user: {{{user}}}}}]}}"
    )
}

const SERVER: &str = "server: 'https://127.0.0.1:1'";

async fn refusal(settings: &Settings) -> String {
    match connect(settings).await {
        Ok(_) => "it is taken".to_owned(),
        Err(error) => chain(&error),
    }
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_refused_with_what_is_wrong() {
    for (text, expected) in [
        ("{", "parse kubeconfig"),
        ("{apiVersion: v1, kind: Config}", "current context"),
        (
            "{apiVersion: v1, kind: Config, current-context: nowhere}",
            "nowhere",
        ),
        (&context("", ""), "cluster url is missing"),
        (&context("server: 'https://a b'", ""), "parse cluster url"),
        (
            &context(
                &format!("{SERVER}, certificate-authority: /missing/ca.crt"),
                "",
            ),
            "/missing/ca.crt",
        ),
        (
            &context(
                &format!("{SERVER}, certificate-authority-data: bm9uZQ=="),
                "",
            ),
            "no certificate",
        ),
        (
            &context(&format!("{SERVER}, certificate-authority-data: '!'"), ""),
            "base64",
        ),
        (
            &context(&format!("{SERVER}, proxy-url: 'http://proxy:3128'"), ""),
            "proxy",
        ),
        (
            &context(SERVER, "tokenFile: /missing/token"),
            "/missing/token",
        ),
        (
            &context(
                SERVER,
                "exec: {apiVersion: client.authentication.k8s.io/v1, command: /missing/plugin}",
            ),
            "No such file",
        ),
        (
            &context(
                SERVER,
                "client-certificate-data: bm9uZQ==, client-key-data: bm9uZQ==",
            ),
            "cannot be used",
        ),
    ] {
        let (_dir, settings) = kubeconfig(text);
        let refusal = refusal(&settings).await;
        assert!(refusal.contains(expected), "{text}: {refusal}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_is_named() {
    let settings = Settings::Kubeconfig {
        path: "/missing/kubeconfig".into(),
        trust: Trust::Authorities,
    };
    let refusal = refusal(&settings).await;
    assert!(
        refusal.contains("--kubeconfig /missing/kubeconfig"),
        "{refusal}"
    );
    assert!(refusal.contains("No such file"), "{refusal}");
}

#[tokio::test]
async fn outside_of_a_cluster_there_is_no_cluster_to_be_in() {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return; // the tests run in one
    }
    let error = connect(&Settings::InCluster).await.err().unwrap();
    assert!(error.to_string().contains("give --kubeconfig"), "{error}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn nothing_is_asked_before_somebody_asks() {
    let token = Some(Secret::new("c2VjcmV0"));
    let server = Server::parse("https://127.0.0.1:1", token, Trust::Anybody).unwrap();
    assert!(connect(&Settings::Server(server)).await.is_ok());
    let (_dir, settings) = kubeconfig(&context(SERVER, "token: c2VjcmV0"));
    assert!(connect(&settings).await.is_ok());
}

#[test]
fn a_token_is_read_without_the_blanks_around_it_and_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let file = TokenFile(dir.path().join("token"));
    assert!(file.read().is_err());
    for (text, value) in [("abc", "Bearer abc"), (" abc\n", "Bearer abc")] {
        fs::write(&file.0, text).unwrap();
        let read = file.read().unwrap();
        assert_eq!(read.to_str().unwrap(), value);
        assert!(read.is_sensitive());
        assert!(!format!("{read:?}").contains("abc"));
    }
    fs::write(&file.0, "a\nb").unwrap();
    assert!(file.read().is_err(), "no header has two lines");
    fs::remove_file(&file.0).unwrap();
    let mut headers = HeaderMap::new();
    file.prove(&mut headers);
    assert!(headers.is_empty());
    assert!(Path::new(&file.0).is_absolute());
}
