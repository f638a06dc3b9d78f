use crate::config::{
    Machine,
    tests::{config, config_on, ips, machine, refusal},
};

#[test]
fn addresses_are_one_of_each_family() {
    for (flags, printed) in [
        (&["--node-ip=10.0.0.1"] as &[_], "10.0.0.1"),
        (&["--node-ip=fd00::1"], "fd00::1"),
        (&["--node-ip=fd00::1,10.0.0.1"], "10.0.0.1,fd00::1"),
        (
            &["--node-ip=fd00::1", "--host-ip=10.0.0.1"],
            "10.0.0.1,fd00::1",
        ),
        (&["--node-ip=10.0.0.1, 10.0.0.1"], "10.0.0.1"),
        (&["--node-ip=::ffff:10.0.0.1"], "10.0.0.1"),
        (&["--node-ip=127.0.0.1"], "127.0.0.1"),
    ] {
        assert_eq!(
            config(flags).unwrap().node_ips.to_string(),
            printed,
            "{flags:?}"
        );
    }
}

#[test]
fn wrong_addresses_are_refused() {
    for (flag, says) in [
        (
            "--node-ip=node-1",
            "--node-ip is \"node-1\", which is no IP address; give an address of this node",
        ),
        (
            "--node-ip=10.0.0.1:80",
            "--node-ip is \"10.0.0.1:80\", which is no IP address; give an address of this node",
        ),
        (
            "--node-ip=10.0.0.1,10.0.0.2",
            "--node-ip has 10.0.0.1 and 10.0.0.2; give at most one IPv4 and one IPv6 address",
        ),
        (
            "--node-ip=fd00::1,fd00::2",
            "--node-ip has fd00::1 and fd00::2; give at most one IPv4 and one IPv6 address",
        ),
    ] {
        assert_eq!(refusal(&[flag]), says);
    }
    for unusable in [
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "255.255.255.255",
        "fd00:ec2::254",
        "fe80::1",
        "224.0.0.1",
    ] {
        assert_eq!(
            refusal(&["--node-ip", unusable]),
            format!(
                "--node-ip is {unusable}, to which no pod can connect; give an address of this node"
            )
        );
    }
    let machine = Machine {
        host_ip: Some("host".to_owned()),
        ..machine()
    };
    let error = config_on(machine, &[]).unwrap_err();
    let says = "$HOST_IP is \"host\", which is no IP address; give an address of this node";
    assert_eq!(error.to_string(), says);
}

#[test]
fn a_machine_without_a_usable_address_wants_one_to_be_given() {
    for sources in [
        &[] as &[_],
        &["127.0.0.1", "::1"],
        &["fe80::1", "169.254.3.4"],
    ] {
        let machine = Machine {
            sources: ips(sources),
            ..machine()
        };
        let error = config_on(machine, &[]).unwrap_err();
        let says = "this machine has no default route that tells its address; give --node-ip";
        assert_eq!(error.to_string(), says, "{sources:?}");
    }
}

#[test]
fn what_is_no_nodes_name_is_refused_with_its_origin() {
    let rest = "which is no node's name (lower-case letters, digits, '-' and '.', at most 253); \
                give --node-name as `kubectl get nodes` shows it";
    for name in [
        "Node-1",
        "a_b",
        "-a",
        "a-",
        "a..b",
        ".a",
        "a b",
        "n\u{e9}",
        &"a".repeat(254),
    ] {
        let says = format!("--node-name is {name:?}, {rest}");
        assert_eq!(refusal(&[&format!("--node-name={name}")]), says);
    }
    for (machine, origin) in [
        (
            Machine {
                node_name: Some("a_b".to_owned()),
                ..machine()
            },
            "$NODE_NAME",
        ),
        (
            Machine {
                host_name: Ok("a_b".to_owned()),
                ..machine()
            },
            "the host name",
        ),
    ] {
        let error = config_on(machine, &[]).unwrap_err();
        assert_eq!(error.to_string(), format!("{origin} is \"a_b\", {rest}"));
    }
    let nameless = Machine {
        host_name: Err(std::io::ErrorKind::NotFound.into()),
        ..machine()
    };
    let error = config_on(nameless, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the host name; give --node-name"
    );
}
