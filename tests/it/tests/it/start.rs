//! An agent that cannot start says why, and what to do.

use std::net::TcpListener;

use crate::world::Setup;

async fn refusal(setup: Setup) -> String {
    match setup.open().await {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = format!("--listen-port={}", address.port());
    let said = refusal(Setup::default().arg(port)).await;
    let expected = format!(
        "{address} is in use by another process; give another --listen-port, or 0 for any free one"
    );
    assert_eq!(said, expected);
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused() {
    let said = refusal(Setup::default().arg("--node-ip=192.0.2.1")).await;
    assert!(
        said.starts_with("192.0.2.1 is no address of this machine"),
        "{said}"
    );
}

#[tokio::test]
async fn a_second_agent_does_not_take_the_place_of_the_first() {
    let first = Setup::default().start().await;
    let same = format!("--runtime-dir={}", first.runtime_dir().display());
    let said = refusal(Setup::default().arg(same)).await;
    assert!(said.contains("control.sock"), "{said}");
    assert_eq!(first.status().await.node, "node-1");
}

#[tokio::test]
async fn pods_from_nowhere_are_refused() {
    let said = refusal(Setup::default().arg("--pods=file:/nonexistent")).await;
    assert!(
        said.contains("--pods") && said.contains("/nonexistent"),
        "{said}"
    );
}
