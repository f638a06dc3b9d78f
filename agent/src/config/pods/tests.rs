use std::fs;

use tempfile::TempDir;

use super::*;
use crate::config::tests::{config, refusal};

fn pods(flags: &[&str]) -> Pods {
    config(flags).unwrap().pods
}

fn warnings(flags: &[&str]) -> Vec<String> {
    let warnings = config(flags).unwrap().warnings;
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn pods_come_from_a_directory_that_is_there() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().display();
    let file = dir.path().join("pod.yaml");
    fs::write(&file, "").unwrap();
    let place = format!("file:{path}");
    assert_eq!(
        pods(&["--pods", &place]),
        Pods::Files(dir.path().to_owned())
    );
    for wrong in ["", "file:", "/pods", "FILE:/pods", "kube:x", "KUBE"] {
        assert_eq!(
            refusal(&["--pods", wrong]),
            format!(
                "--pods is {wrong:?}; give kube, or file:DIR where DIR has the pods' manifests"
            )
        );
    }
    assert_eq!(
        refusal(&["--pods", &format!("file:{path}/none")]),
        format!(
            "--pods is {path}/none, which cannot be used; give a directory that is there: \
             No such file or directory (os error 2)"
        )
    );
    let file = file.display();
    assert_eq!(
        refusal(&["--pods", &format!("file:{file}")]),
        format!("--pods is {file}, which is no directory; give one")
    );
}

#[test]
fn the_api_server_is_the_clusters_own_unless_another_is_given() {
    let server = |token: Option<&str>, trust| {
        let token = token.map(Secret::new);
        let server = Server::parse("https://10.0.0.1:6443", token, trust).unwrap();
        Pods::Kube(Settings::Server(server))
    };
    let file = |trust| {
        Pods::Kube(Settings::Kubeconfig {
            path: "/k".into(),
            trust,
        })
    };
    let url = "--api-server=https://10.0.0.1:6443";
    for (flags, expected) in [
        (&[] as &[_], Pods::Kube(Settings::InCluster)),
        (&["--insecure"], Pods::Kube(Settings::InCluster)),
        (&["--kubeconfig=/k"], file(Trust::Authorities)),
        (
            &["--kubeconfig=/k", "--insecure=true"],
            file(Trust::Anybody),
        ),
        (&["--kubeconfig=/k", url], file(Trust::Authorities)),
        (&[url], server(None, Trust::Authorities)),
        (
            &[url, "--api-token=t"],
            server(Some("t"), Trust::Authorities),
        ),
        (
            &[url, "--api-token=t", "--insecure"],
            server(Some("t"), Trust::Anybody),
        ),
    ] {
        assert_eq!(
            pods(&[&["--pods=kube"], flags].concat()),
            expected,
            "{flags:?}"
        );
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (flags, says) in [
        (
            &["--pods=kube", "--api-token=c2VjcmV0"] as &[_],
            "--api-token is given without --api-server; give both, or neither to use the cluster's own",
        ),
        (
            &["--pods=kube", "--api-token=c2VjcmV0", "--api-server="],
            "--api-token is given without --api-server; give both, or neither to use the cluster's own",
        ),
        (
            &[
                "--pods=kube",
                "--api-token=c2VjcmV0",
                "--api-server=10.0.0.1",
            ],
            "--api-server cannot be used: \"10.0.0.1\" is no URL of an API server, such as \
             https://10.0.0.1:6443",
        ),
        (
            &["--pods=file:/", "--credentials=web-identity"],
            "--credentials is web-identity, which needs the tokens of an API server; give --pods kube",
        ),
    ] {
        assert_eq!(refusal(flags), says);
    }
}

#[test]
fn who_trusts_anybody_is_told_so() {
    let kubeconfig = &["--pods=kube", "--kubeconfig=/k", "--insecure"];
    let server = &[
        "--pods=kube",
        "--api-server=https://a",
        "--api-token=t",
        "--insecure",
    ];
    let warning = "--insecure: WHOEVER PASSES FOR THE API SERVER DECIDES WHICH POD GETS WHICH ROLE, \
                   AND GETS OUR TOKEN; this is for tests only";
    assert_eq!(warnings(kubeconfig), [warning]);
    assert_eq!(warnings(server), [warning]);
    assert_eq!(
        warnings(&["--pods=kube", "--kubeconfig=/k", "--insecure=false"]),
        [""; 0]
    );
}

#[test]
fn flags_that_are_not_used_are_told() {
    let server = "--api-server=https://a";
    for (flags, says) in [
        (
            &["--pods=kube", "--insecure"] as &[_],
            &["--insecure: not used, as a cluster's pods know the certificate of its API server"]
                as &[_],
        ),
        (
            &["--pods=kube", "--kubeconfig=/k", server, "--api-token=t"],
            &["--api-server: not used, as --kubeconfig is given"],
        ),
        (
            &["--pods=kube", server],
            &[
                "--api-server: it is asked without a token, as --api-token is not given; kube2iam \
                 would have asked the cluster's own",
            ],
        ),
        (
            &["--pods=file:/", "--kubeconfig=/k", server, "--insecure"],
            &[
                "--kubeconfig: not used, as --pods is a directory",
                "--api-server: not used, as --pods is a directory",
                "--insecure: not used, as --pods is a directory",
            ],
        ),
        (&["--pods=kube", server, "--api-token=t"], &[]),
        (
            &["--pods=kube", "--api-server=http://a", "--api-token=t"],
            &[
                "--api-server: http:// is not encrypted: WHOEVER IS ON THE WAY READS OUR TOKEN, and \
                 decides which pod gets which role; give https://",
            ],
        ),
    ] {
        assert_eq!(warnings(flags), says, "{flags:?}");
    }
}

#[test]
fn a_token_that_no_header_takes_is_refused_and_not_repeated() {
    let server = "--api-server=https://a";
    for token in ["c2VjcmV0\nc2VjcmV0", "c2Vj\0", "c2Vj\x7f"] {
        let token = format!("--api-token={token}");
        for flags in [
            &["--pods=kube", server, token.as_str()] as &[&str],
            &[&token],
        ] {
            assert_eq!(
                refusal(flags),
                "--api-token ($BPF2IAM_API_TOKEN) cannot be used: it has a line break or another \
                 character in it that no HTTP header takes"
            );
        }
    }
    let expected = Server::parse("https://a", Some(Secret::new("t")), Trust::Authorities);
    assert_eq!(
        pods(&["--pods=kube", server, "--api-token= t\r\n"]),
        Pods::Kube(Settings::Server(expected.unwrap()))
    );
}
