use std::{
    future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bpf2iam_standins::imds::{Config, Imds, Instance, TokenPolicy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const BASE: &str = "arn:aws:iam::123456789012:role/";

fn addr(socket: SocketAddr) -> MetadataAddr {
    socket.to_string().parse().ok().unwrap()
}

/// A node with this role, where nobody is answered without a token.
fn node(role: &str, region: &str) -> Imds {
    let instance = Instance {
        role: Some(role.to_owned()),
        region: region.to_owned(),
        ..Instance::default()
    };
    let tokens = TokenPolicy::Required;
    let config = Config {
        instance,
        tokens,
        ..Config::default()
    };
    Imds::start(config).unwrap()
}

/// Why it was not found out, with all causes.
fn reason(outcome: Result<Discovered, Error>) -> String {
    format!("{:#}", anyhow::Error::new(outcome.unwrap_err()))
}

#[tokio::test]
async fn the_base_arn_and_the_nodes_role_are_found_with_a_token() {
    for (region, base) in [
        ("eu-west-1", BASE),
        ("cn-north-1", "arn:aws-cn:iam::123456789012:role/"),
        ("us-gov-west-1", "arn:aws-us-gov:iam::123456789012:role/"),
    ] {
        let imds = node("node-role", region);
        let found = ask(&addr(imds.addr()), &Discover::DefaultRole)
            .await
            .unwrap();
        assert_eq!(found.base.as_str(), base);
        assert_eq!(found.role.as_deref(), Some("node-role"));
        let found = ask(&addr(imds.addr()), &Discover::Base(None))
            .await
            .unwrap();
        assert_eq!((found.base.as_str(), found.role), (base, None));
        let asked = imds.requests().entries();
        let paths: Vec<_> = asked.iter().map(|seen| seen.path.as_str()).collect();
        let token = "/latest/api/token";
        assert_eq!(
            paths,
            [token, INFO, ROLES, token, INFO],
            "keys are nobody's business here"
        );
    }
}

/// Table C of the cases from kube2iam, and the profile with a path from kiam's.
#[test]
fn a_base_arn_follows_from_the_arn_of_an_instance_profile() {
    let info = |arn: &str| {
        let info = serde_json::json!({ "Code": "Success", "InstanceProfileArn": arn });
        base(info.to_string().as_bytes())
    };
    for (arn, base) in [
        ("arn:aws:iam::123456789012:instance-profile/my-role", BASE),
        (
            "arn:aws:iam::123456789012:instance-profile/team/a/my-role",
            BASE,
        ),
        (
            "arn:aws-cn:iam::123456789012:instance-profile/my-role",
            "arn:aws-cn:iam::123456789012:role/",
        ),
    ] {
        assert_eq!(info(arn).unwrap().as_str(), base);
    }
    for wrong in [
        "",
        "arn:aws:iam::123456789012:instance-profile",
        "arn:aws:iam::123456789012:instance-profile/",
        "arn:aws:iam::123456789012:role/my-role",
        "arn:aws:iam::1:instance-profile/my-role",
        "arn:aws:s3:::instance-profile/my-role",
    ] {
        let reason = info(wrong).unwrap_err();
        let says =
            format!("{wrong:?} is no ARN of an instance profile; no base ARN follows from it");
        assert_eq!(reason.to_string(), says);
        assert!(reason.is_final());
    }
    for wrong in [
        &b""[..],
        b"{}",
        b"[]",
        b"<html>",
        b"{\"InstanceProfileArn\":7}",
    ] {
        assert!(matches!(base(wrong), Err(Reason::Info(_))));
    }
}

#[test]
fn the_nodes_role_is_the_first_line_and_a_roles_name() {
    let base = BASE.parse().unwrap();
    let role = |list: &str| role(list.as_bytes(), &base);
    for list in [
        "node-role",
        "node-role\n",
        "node-role\r\n",
        "node-role\nother",
    ] {
        assert_eq!(role(list).unwrap(), "node-role");
    }
    for wrong in [
        "",
        "\nnode-role",
        "a b",
        "a/b",
        "<?xml version=\"1.0\"?>",
        "arn:aws:iam::999999999999:role/node-role",
    ] {
        let reason = role(wrong).unwrap_err();
        assert!(matches!(reason, Reason::Role { .. }), "{wrong}");
        assert!(reason.is_final());
    }
}

/// A service that answers the n-th connection with `script(n)`, or not at all.
async fn service(script: fn(usize) -> Option<&'static str>) -> (MetadataAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = addr(listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = script(counted.fetch_add(1, Ordering::Relaxed));
            tokio::spawn(async move {
                let mut request = [0; 2048];
                let read = stream.read(&mut request).await.unwrap();
                assert!(read > 0);
                match answer {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    None => future::pending().await,
                }
            });
        }
    });
    (addr, count)
}

const TOKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntoken";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
const NONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const FOUND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n\
    {\"InstanceProfileArn\":\"arn:aws:iam::123456789012:instance-profile/node-role\"}";
const STRANGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\n\
    {\"InstanceProfileArn\":\"arn:aws:iam::1:role/r\"}  ";

#[tokio::test]
async fn a_service_that_comes_late_is_asked_again() {
    let (addr, count) = service(|number| match number {
        0 => Some(BUSY),
        2 => Some(NONE),
        1 | 3 => Some(TOKEN),
        _ => Some(FOUND),
    })
    .await;
    let found = ask(&addr, &Discover::Base(None)).await.unwrap();
    assert_eq!(found.base.as_str(), BASE);
    assert_eq!(count.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn an_answer_that_will_not_change_is_final() {
    let (addr, count) = service(|number| Some(if number == 0 { TOKEN } else { STRANGE })).await;
    assert_eq!(
        reason(ask(&addr, &Discover::Base(None)).await),
        format!(
            "cannot find out this node's role from {addr}; give --base-role-arn, and --default-role \
             if there is to be one: \"arn:aws:iam::1:role/r\" is no ARN of an instance profile; no \
             base ARN follows from it"
        )
    );
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_ever() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = addr(free.local_addr().unwrap());
    drop(free);
    let (silent, _) = service(|_| None).await;
    for addr in [nobody, silent] {
        let start = Instant::now();
        let says = reason(ask(&addr, &Discover::DefaultRole).await);
        let took = start.elapsed();
        assert!(took > PATIENCE / 2 && took < PATIENCE * 3 / 2, "{took:?}");
        assert!(says.starts_with(&format!("cannot find out this node's role from {addr}; ")));
    }
}
