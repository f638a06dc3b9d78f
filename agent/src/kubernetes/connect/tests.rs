use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

use super::*;
use crate::creds::Secret;

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

/// A text, and what is said of it.
type Wrong<'a> = (&'a str, &'a str);

async fn is_refused(wrong: &[Wrong<'_>]) {
    for (text, expected) in wrong {
        let (_dir, settings) = kubeconfig(text);
        let refusal = refusal(&settings).await;
        let expected = format!("--kubeconfig {settings} cannot be used: {expected}");
        assert_eq!(refusal, expected, "{text}");
    }
}

#[tokio::test]
async fn a_kubeconfig_that_says_no_server_is_refused_with_what_is_wrong() {
    is_refused(&[
        (
            "{",
            "it is no kubeconfig (line 1, column 1); its text is not repeated, as it may have secrets in it",
        ),
        (
            "{apiVersion: v1, kind: Config}",
            "it has no current-context; choose one with `kubectl config use-context`, or --api-server",
        ),
        (
            "{apiVersion: v1, kind: Config, current-context: nowhere}",
            "its current-context \"nowhere\" is not in it; the contexts in it have other names",
        ),
        (
            &context(SERVER, "").replace("users: [{name: u", "users: [{name: other"),
            "the user \"u\" of its current-context is not in it",
        ),
        (
            &context(SERVER, "").replace("clusters: [{name: c", "clusters: [{name: other"),
            "the cluster \"c\" of its current-context is not in it",
        ),
        (&context("", ""), "the cluster of its current-context has no server"),
        (
            &context("server: 'https://a b'", ""),
            "the server of its cluster is no URL: invalid uri character",
        ),
        (
            &context(&format!("{SERVER}, proxy-url: 'http://proxy:3128'"), ""),
            "it asks for a proxy, which is not supported",
        ),
    ])
    .await;
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named() {
    let authority = |said: &str| context(&format!("{SERVER}, certificate-authority{said}"), "");
    is_refused(&[
        (
            &authority(": /missing/ca.crt"),
            "its certificate authority cannot be read from /missing/ca.crt: No such file or directory \
             (os error 2)",
        ),
        (
            &authority("-data: bm9uZQ=="),
            "its certificate authority has no certificate in PEM",
        ),
        (&authority("-data: '!'"), "its certificate authority is no base64"),
        (
            &context(SERVER, "client-certificate-data: bm9uZQ=="),
            "its client key is missing; give the certificate and the key of a client, or neither",
        ),
        (
            &context(SERVER, "client-certificate-data: bm9uZQ==, client-key-data: bm9uZQ=="),
            "its certificates or what proves who we are cannot be used: identity PEM is missing a \
             private key: the key must be PKCS8 or RSA/PKCS1",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_token_of_a_kubeconfig_that_no_header_takes_is_refused() {
    is_refused(&[(
        &context(SERVER, "token: \"c2VjcmV0\\nc2VjcmV0\""),
        "the token of its user cannot be used: it has a line break or another character in it that no \
         HTTP header takes",
    )])
    .await;
    // As a block of text it ends with a line break.
    for token in ["\"c2VjcmV0\\n\"", "''"] {
        let (_dir, settings) = kubeconfig(&context(SERVER, &format!("token: {token}")));
        assert_eq!(refusal(&settings).await, "it is taken", "{token}");
    }
}

#[tokio::test]
async fn the_lines_around_a_mistake_are_not_repeated() {
    for text in [
        "apiVersion: v1\nusers:\n- name: u\n  user:\n    token: \"hunter2\n",
        "apiVersion: v1\nusers:\n- name: u\n  user:\n    token: [hunter2]\n",
        "apiVersion: v1\nusers:\n- name: u\n  user: hunter2\n",
        "apiVersion: v1\nusers:\n- name: u\n  user:\n    token: hunter2: x\n",
    ] {
        let (_dir, settings) = kubeconfig(text);
        let error = connect(&settings).await.err().unwrap();
        let all = format!("{:#}", anyhow::Error::from(error));
        assert!(all.contains("it is no kubeconfig (line "), "{all}");
        assert!(!all.contains("hunter2") && !all.contains('\n'), "{all}");
    }
}

/// A kubeconfig whose user has this script for a plugin.
fn plugin(script: &str) -> (TempDir, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let (program, path) = (dir.path().join("plugin"), dir.path().join("config"));
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: ./plugin}";
    fs::write(&path, context(SERVER, exec)).unwrap();
    let trust = Trust::Authorities;
    (dir, Settings::Kubeconfig { path, trust })
}

#[tokio::test]
async fn a_plugin_that_proves_nothing_is_named_and_what_it_prints_is_not_repeated() {
    let credential = |status: &str| {
        format!(
            "echo '{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\"{status}}}'"
        )
    };
    let token = |token: &str| credential(&format!(", \"status\": {{\"token\": \"{token}\"}}"));
    let unusable = "of its user prints is no ExecCredential that can be used";
    for (script, expected) in [
        ("echo '{\"status\": hunter2: x'", unusable),
        ("echo hunter2", unusable),
        (&credential(""), unusable),
        (&token("hunter2\\\\nhunter2"), unusable),
        (
            "echo hunter2; exit 3",
            "of its user failed (exit status: 3); run it by hand",
        ),
    ] {
        let (dir, settings) = plugin(script);
        let error = connect(&settings)
            .await
            .err()
            .unwrap_or_else(|| panic!("{script}"));
        let all = format!("{:#}", anyhow::Error::from(error));
        let program = dir.path().join("./plugin");
        for part in [expected, &format!("{}", program.display()), "--kubeconfig "] {
            assert!(all.contains(part), "{script}: {part} in {all}");
        }
        assert!(!all.contains("hunter2") && !all.contains('\n'), "{all}");
    }
    let (_dir, settings) = plugin(&token("hunter2"));
    assert_eq!(refusal(&settings).await, "it is taken");
}

#[tokio::test]
async fn a_plugin_that_is_not_there_is_named() {
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: /missing/plugin}";
    is_refused(&[(
        &context(SERVER, exec),
        "the plugin \"/missing/plugin\" of its user cannot be started: No such file or directory (os error 2)",
    )])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_hangs_is_given_up() {
    let (_dir, settings) = plugin("exec sleep 5");
    let start = std::time::Instant::now();
    let refusal = refusal(&settings).await;
    assert!(
        refusal.contains("has not ended after 15s; run it by hand"),
        "{refusal}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "nobody waited for it"
    );
}

#[tokio::test]
async fn a_file_without_a_token_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let (_dir, settings) = kubeconfig(&context(SERVER, &format!("tokenFile: {}", path.display())));
    let begin = format!(
        "cannot read the token for the API server from {}: ",
        path.display()
    );
    assert_eq!(
        refusal(&settings).await,
        format!("{begin}No such file or directory (os error 2)")
    );
    fs::write(&path, "\n").unwrap();
    assert_eq!(refusal(&settings).await, format!("{begin}it is empty"));
}

#[test]
fn an_address_is_without_what_may_be_secret() {
    for (url, printed) in [
        ("https://10.0.0.1:6443/", "https://10.0.0.1:6443"),
        (
            "http://user:hunter2@a.example/hunter2?hunter2",
            "http://a.example",
        ),
        ("https://[fd00::1]:6443", "https://[fd00::1]:6443"),
    ] {
        assert_eq!(Address::of(&url.parse().unwrap()).to_string(), printed);
    }
}

#[tokio::test]
async fn who_cannot_be_reached_is_named() {
    let server = Server::parse("http://127.0.0.1:1", None, Trust::Authorities).unwrap();
    let client = connect(&Settings::Server(server)).await.unwrap();
    let error = client.apiserver_version().await.unwrap_err();
    let told = chain(&error);
    assert!(told.contains("http://127.0.0.1:1: "), "{told}");
    assert!(told.contains("refused"), "{told}");
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
}

#[tokio::test]
async fn nothing_is_asked_before_somebody_asks() {
    let token = Some(Secret::new("c2VjcmV0"));
    let server = Server::parse("https://127.0.0.1:1", token, Trust::Anybody).unwrap();
    assert!(connect(&Settings::Server(server)).await.is_ok());
    let (_dir, settings) = kubeconfig(&context(SERVER, "token: c2VjcmV0"));
    assert!(connect(&settings).await.is_ok());
}
