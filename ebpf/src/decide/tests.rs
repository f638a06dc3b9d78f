use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const POD: u64 = 200;
const AGENT: u64 = 100;
const DEADLINE: u64 = 1_000;
const PROXY_PORT: u16 = 40_123;

fn config() -> Config {
    Config {
        owner: 1,
        proxy_ip6: "fd77::1".parse::<Ipv6Addr>().unwrap().octets(),
        proxy_ip4: [10, 77, 0, 1],
        proxy_port: PROXY_PORT,
        on_expiry: Config::DENY,
        mode: Config::REDIRECT,
    }
}

/// The rules while nobody was there before.
fn only(config: Config) -> Rules {
    Rules {
        lease_deadline_ns: DEADLINE,
        config,
        before: Config::default(),
    }
}

fn rules() -> Rules {
    only(config())
}

fn address(text: &str) -> Address {
    let ip: Ipv6Addr = text
        .parse::<Ipv4Addr>()
        .map_or_else(|_| text.parse().unwrap(), |v4| v4.to_ipv6_mapped());
    Address::from_octets(ip.octets())
}

const POD_NOW: Caller = Caller {
    cgroup_id: POD,
    exempt: false,
    now_ns: DEADLINE,
};
const POD_LATE: Caller = Caller {
    cgroup_id: POD,
    exempt: false,
    now_ns: DEADLINE + 1,
};
const AGENT_LATE: Caller = Caller {
    cgroup_id: AGENT,
    exempt: true,
    now_ns: DEADLINE + 1,
};

/// The verdict on a whole `connect()`; `None` when it is none of our business.
fn verdict(
    to: (&str, u16),
    transport: Transport,
    caller: Caller,
    rules: &Rules,
) -> Option<Verdict> {
    let to = (address(to.0), to.1);
    let destination = destination(to.0, to.1, rules)?;
    Some(connect(destination, to, transport, caller, rules))
}

#[test]
fn what_becomes_of_a_connect() {
    use Transport::{Other, Tcp};
    let redirect = |proxy: &str| Some(Verdict::Redirect(address(proxy)));
    let record = Some(Verdict::Record);
    let not_for_us = Some(Verdict::Pass(Pass::NotForUs));
    let refuse = |why| Some(Verdict::Refuse(why));
    for (to, transport, caller, expected) in [
        (("169.254.169.254", 80), Tcp, POD_NOW, redirect("10.77.0.1")),
        (("fd00:ec2::254", 80), Tcp, POD_NOW, redirect("fd77::1")),
        (
            ("169.254.169.254", 80),
            Other,
            POD_NOW,
            refuse(Refusal::NotTcp),
        ),
        (
            ("fd00:ec2::254", 80),
            Other,
            POD_NOW,
            refuse(Refusal::NotTcp),
        ),
        (
            ("169.254.169.254", 443),
            Tcp,
            POD_NOW,
            refuse(Refusal::Port),
        ),
        (
            ("169.254.169.254", 53),
            Other,
            POD_NOW,
            refuse(Refusal::NotTcp),
        ),
        (
            ("fd00:ec2::254", PROXY_PORT),
            Tcp,
            POD_NOW,
            refuse(Refusal::Port),
        ),
        (
            ("169.254.169.254", 80),
            Tcp,
            POD_LATE,
            refuse(Refusal::LeaseExpired),
        ),
        (
            ("169.254.169.254", 80),
            Tcp,
            AGENT_LATE,
            Some(Verdict::Pass(Pass::Exempt)),
        ),
        (
            ("169.254.169.254", 53),
            Other,
            AGENT_LATE,
            Some(Verdict::Pass(Pass::Exempt)),
        ),
        (("10.77.0.1", PROXY_PORT), Tcp, POD_NOW, record),
        (("fd77::1", PROXY_PORT), Tcp, POD_NOW, record),
        (("10.77.0.1", PROXY_PORT), Other, POD_NOW, not_for_us),
        (("10.77.0.1", PROXY_PORT), Tcp, POD_LATE, not_for_us),
        (("10.77.0.1", PROXY_PORT), Tcp, AGENT_LATE, not_for_us),
        (("10.77.0.1", 80), Tcp, POD_NOW, None),
        (("10.77.0.2", PROXY_PORT), Tcp, POD_NOW, None),
        (("fd77::2", PROXY_PORT), Tcp, POD_NOW, None),
        (("169.254.169.253", 53), Other, POD_NOW, None),
        (("10.96.0.1", 443), Tcp, POD_LATE, None),
    ] {
        assert_eq!(
            verdict(to, transport, caller, &rules()),
            expected,
            "{to:?} {transport:?}"
        );
    }
}

#[test]
fn an_expired_lease_opens_the_way_only_where_it_was_wanted() {
    let allow = only(Config {
        on_expiry: Config::ALLOW,
        ..config()
    });
    let imds = ("169.254.169.254", 80);
    let passed = Verdict::Pass(Pass::LeaseExpired);
    assert_eq!(
        verdict(imds, Transport::Tcp, POD_LATE, &allow),
        Some(passed)
    );
    assert_eq!(
        verdict(imds, Transport::Tcp, POD_NOW, &allow),
        Some(Verdict::Redirect(address("10.77.0.1")))
    );
    assert_eq!(send(POD_LATE, &allow), passed);
    let nonsense = only(Config {
        on_expiry: 7,
        ..config()
    });
    let refused = Verdict::Refuse(Refusal::LeaseExpired);
    assert_eq!(
        verdict(imds, Transport::Tcp, POD_LATE, &nonsense),
        Some(refused)
    );
    assert_eq!(send(POD_LATE, &nonsense), refused);
}

#[test]
fn without_a_proxy_in_its_family_a_connect_is_refused() {
    let refused = Some(Verdict::Refuse(Refusal::NoProxy));
    let only_v4 = only(Config {
        proxy_ip6: [0; 16],
        ..config()
    });
    assert_eq!(
        verdict(("fd00:ec2::254", 80), Transport::Tcp, POD_NOW, &only_v4),
        refused
    );
    let only_v6 = only(Config {
        proxy_ip4: [0; 4],
        ..config()
    });
    assert_eq!(
        verdict(("169.254.169.254", 80), Transport::Tcp, POD_NOW, &only_v6),
        refused
    );
}

#[test]
fn unconfigured_programs_refuse_and_touch_nothing_else() {
    let refused = Verdict::Refuse(Refusal::Off);
    let off = only(Config::default());
    assert_eq!(
        verdict(("169.254.169.254", 80), Transport::Tcp, POD_NOW, &off),
        Some(refused)
    );
    assert_eq!(send(POD_NOW, &off), refused);
    for elsewhere in [("0.0.0.0", 0), ("::", 0), ("10.77.0.1", PROXY_PORT)] {
        assert_eq!(
            verdict(elsewhere, Transport::Tcp, POD_NOW, &off),
            None,
            "{elsewhere:?}"
        );
    }
}

#[test]
fn the_proxy_before_is_still_told_who_connects() {
    let before = Config {
        owner: 2,
        proxy_ip4: [10, 77, 0, 9],
        proxy_port: PROXY_PORT + 1,
        ..config()
    };
    let both = Rules { before, ..rules() };
    let old = ("10.77.0.9", PROXY_PORT + 1);
    let now = |to| verdict(to, Transport::Tcp, POD_NOW, &both);
    assert_eq!(now(old), Some(Verdict::Record));
    assert_eq!(now(("10.77.0.1", PROXY_PORT)), Some(Verdict::Record));
    // Its address with the other's port is neither's.
    assert_eq!(now(("10.77.0.9", PROXY_PORT)), None);
    let imds = now(("169.254.169.254", 80));
    assert_eq!(imds, Some(Verdict::Redirect(address("10.77.0.1"))));
}

#[test]
fn one_number_picks_the_configuration_and_its_lease() {
    let (first, second) = (config(), Config::default());
    let leases = [DEADLINE, DEADLINE + 1].map(|deadline_ns| Lease { deadline_ns });
    for (config, expected, deadline) in [
        (0, (first, second), DEADLINE),
        (1, (second, first), DEADLINE + 1),
    ] {
        let rules = Rules::new(Active { config }, leases, [first, second]);
        assert_eq!((rules.config, rules.before), expected);
        assert_eq!(rules.lease_deadline_ns, deadline);
    }
}

fn any_config() -> impl Strategy<Value = Config> {
    (
        any::<u64>(),
        any::<[u8; 16]>(),
        any::<[u8; 4]>(),
        any::<u16>(),
        any::<[u8; 2]>(),
    )
        .prop_map(|(owner, ip6, ip4, port, [on_expiry, mode])| Config {
            owner,
            proxy_ip6: ip6,
            proxy_ip4: ip4,
            proxy_port: port,
            on_expiry,
            mode,
        })
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (any::<u64>(), any_config(), any_config()).prop_map(|(lease_deadline_ns, config, before)| {
        Rules {
            lease_deadline_ns,
            config,
            before,
        }
    })
}

proptest! {
    #[test]
    fn nothing_reaches_the_metadata_address_but_by_the_two_exceptions(
        rules in any_rules(),
        v6 in any::<bool>(),
        port in prop_oneof![Just(80), any::<u16>()],
        tcp in any::<bool>(),
        exempt in any::<bool>(),
        now_ns in any::<u64>(),
    ) {
        let imds = if v6 { Address::METADATA_V6 } else { Address::METADATA_V4 };
        let transport = if tcp { Transport::Tcp } else { Transport::Other };
        let caller = Caller { cgroup_id: POD, exempt, now_ns };
        let verdict = connect(Destination::Metadata, (imds, port), transport, caller, &rules);
        match verdict {
            Verdict::Pass(Pass::Exempt) => prop_assert!(exempt),
            Verdict::Pass(Pass::LeaseExpired) => {
                prop_assert!(now_ns > rules.lease_deadline_ns);
                prop_assert_eq!(rules.config.on_expiry, Config::ALLOW);
            }
            Verdict::Pass(Pass::NotForUs) | Verdict::Record => prop_assert!(false),
            Verdict::Redirect(proxy) => {
                prop_assert!(tcp && port == METADATA_PORT);
                prop_assert_eq!(proxy.is_v4(), imds.is_v4());
                prop_assert_eq!(Some(proxy), proxy_for(imds, &rules.config));
            }
            Verdict::Refuse(_) => {}
        }
    }

    #[test]
    fn other_destinations_are_none_of_our_business(
        rules in any_rules(), ip in any::<[u8; 16]>(), port in any::<u16>(),
    ) {
        let address = Address::from_octets(ip);
        let proxy = [rules.config, rules.before].iter().any(|config| is_proxy(address, port, config));
        prop_assume!(!address.is_metadata() && !proxy);
        prop_assert_eq!(destination(address, port, &rules), None);
    }
}
