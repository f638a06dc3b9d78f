use super::*;
use crate::config::{
    Machine,
    tests::{BASE, config, config_on, machine, reason, refusal},
};

/// `--base-role-arn`
fn base_flag(arn: &str) -> String {
    format!("--base-role-arn={arn}")
}

/// Table A of the cases from kube2iam: base ARNs.
#[test]
fn a_base_arn_is_checked() {
    for (arn, base) in [
        (format!("{BASE}my-role"), format!("{BASE}my-role/")),
        (
            format!("{BASE}path/to/role"),
            format!("{BASE}path/to/role/"),
        ),
        (
            "arn:aws-cn:iam::123456789012:role/my-role".to_owned(),
            "arn:aws-cn:iam::123456789012:role/my-role/".to_owned(),
        ),
        (format!("{BASE}my.role"), format!("{BASE}my.role/")),
        (BASE.to_owned(), BASE.to_owned()),
        (BASE.trim_end_matches('/').to_owned(), BASE.to_owned()),
    ] {
        let roles = config(&[&base_flag(&arn)]).unwrap().roles;
        assert_eq!(roles.base.unwrap().as_str(), base, "{arn}");
    }
    for wrong in [
        "my role of choice",
        "arn:aws:s3:::bucket",
        "arn:aws:iam::123456789012:user/my-user",
        "arn:aws:iam:eu-west-1:123456789012:role/",
        "arn:aws:iam::123456789012:rolefoo",
        " ",
    ] {
        let says = refusal(&[&base_flag(wrong)]);
        assert!(
            says.starts_with("--base-role-arn cannot be used: "),
            "{wrong}: {says}"
        );
    }
    // Empty is what charts write where none is set.
    assert_eq!(
        config(&["--base-role-arn="]).unwrap().roles,
        Roles::default()
    );
}

/// Table B of the cases from kube2iam, for the default role: the rest is with [`BaseArn::resolve`].
#[test]
fn the_default_role_is_a_name_below_the_base_or_an_arn() {
    let other = "arn:aws:iam::999999999999:role/web";
    for (base, role, resolved) in [
        (Some(BASE), "web", format!("{BASE}web")),
        (Some(BASE), "/web", format!("{BASE}web")),
        (
            Some("arn:aws:iam::123456789012:role/team"),
            "web",
            format!("{BASE}team/web"),
        ),
        (Some(BASE), other, other.to_owned()),
        (None, other, other.to_owned()),
        (None, "ARN:aws:iam::999999999999:role/web", other.to_owned()),
    ] {
        let flags = [
            base_flag(base.unwrap_or_default()),
            format!("--default-role={role}"),
        ];
        let roles = config(&flags.each_ref().map(String::as_str)).unwrap().roles;
        assert_eq!(roles.default.unwrap().as_str(), resolved, "{role}");
    }
    let base = base_flag(BASE);
    for (flags, says) in [
        (
            &["--default-role=web"] as &[_],
            "\"web\" is a role name; give the whole ARN, or --base-role-arn",
        ),
        (
            &[&base, "--default-role=arn:aws:iam::1:role/web"],
            "\"arn:aws:iam::1:role/web\" has no account of 12 digits",
        ),
        (
            &[&base, "--default-role=a b"],
            "\"arn:aws:iam::123456789012:role/a b\" has no role name that IAM takes (1 to 64 of \
             letters, digits and _+=,.@-)",
        ),
        (
            &["--auto-discover-base-arn", "--default-role=a b"],
            "\"arn:aws:iam::000000000000:role/a b\" has no role name that IAM takes (1 to 64 of \
             letters, digits and _+=,.@-)",
        ),
    ] {
        assert_eq!(
            refusal(flags),
            format!("--default-role cannot be used: {says}")
        );
    }
}

#[test]
fn what_is_given_is_not_discovered_as_well() {
    let base = base_flag(BASE);
    for (flags, says) in [
        (
            &[&base, "--auto-discover-base-arn"],
            "--auto-discover-base-arn and --base-role-arn are both given; give one of them",
        ),
        (
            &["--default-role=web", "--auto-discover-default-role=true"],
            "--auto-discover-default-role and --default-role are both given; give one of them",
        ),
    ] {
        assert_eq!(refusal(flags), says);
    }
    let flags = [&base, "--auto-discover-base-arn=false", "--default-role="];
    let config = config(&flags).unwrap();
    assert_eq!((config.discover, config.roles.default), (None, None));
}

#[test]
fn nothing_is_discovered_where_the_metadata_service_is_not_to_be_asked() {
    let disabled = |value: &str| Machine {
        metadata_disabled: Some(value.to_owned()),
        ..machine()
    };
    for flag in ["--auto-discover-base-arn", "--auto-discover-default-role"] {
        let says = |why: &str| {
            format!(
                "{why}, so that nothing can be discovered; give --metadata-addr, or \
                 --base-role-arn and --default-role"
            )
        };
        for value in ["true", "True"] {
            let refused = reason(config_on(disabled(value), &[flag]));
            assert_eq!(refused, says("$AWS_EC2_METADATA_DISABLED is true"));
            // Whoever types an address means it.
            let flags = [flag, "--metadata-addr=127.0.0.1:1"];
            assert!(config_on(disabled(value), &flags).is_ok());
        }
        let refused = refusal(&[flag, "--metadata-addr=off"]);
        assert_eq!(refused, says("--metadata-addr is off"));
        for value in ["", "false"] {
            assert!(config_on(disabled(value), &[flag]).is_ok(), "{value}");
        }
    }
    assert!(config_on(disabled("true"), &[]).is_ok());
}

#[test]
fn what_the_node_says_completes_what_was_given() {
    let found = || Discovered {
        base: BASE.parse().unwrap(),
        role: Some("node-role".to_owned()),
    };
    let other = "arn:aws:iam::999999999999:role/";
    let other_flag = base_flag(other);
    for (flags, base, default) in [
        (&["--auto-discover-base-arn"] as &[_], BASE, None),
        (
            &["--auto-discover-base-arn", "--default-role=web"],
            BASE,
            Some(format!("{BASE}web")),
        ),
        (
            &[
                "--auto-discover-base-arn",
                "--default-role=arn:aws:iam::999999999999:role/web",
            ],
            BASE,
            Some(format!("{other}web")),
        ),
        (
            &["--auto-discover-default-role"],
            BASE,
            Some(format!("{BASE}node-role")),
        ),
        (
            &["--auto-discover-default-role", "--auto-discover-base-arn"],
            BASE,
            Some(format!("{BASE}node-role")),
        ),
        (
            // kube2iam would forget what was given.
            &["--auto-discover-default-role", &other_flag],
            other,
            Some(format!("{BASE}node-role")),
        ),
    ] {
        let config = config(flags).unwrap();
        assert_eq!(config.roles.default, None, "{flags:?}");
        let config = config.with(found()).unwrap();
        assert_eq!(config.discover, None);
        assert_eq!(config.roles.base.unwrap().as_str(), base, "{flags:?}");
        let role = config.roles.default.map(|role| role.to_string());
        assert_eq!(role, default, "{flags:?}");
    }
    let given = config(&[&other_flag]).unwrap().with(found()).unwrap();
    assert_eq!(given.roles.base.unwrap().as_str(), other);
}

#[test]
fn what_is_to_be_discovered_is_printed_so() {
    for (flags, printed) in [
        (
            &["--auto-discover-base-arn", "--default-role=web"] as &[_],
            "--base-role-arn=(to be discovered) --default-role=web ",
        ),
        (
            &["--auto-discover-default-role"],
            "--base-role-arn=(to be discovered) --default-role=(to be discovered) ",
        ),
        (
            &["--auto-discover-base-arn"],
            "--base-role-arn=(to be discovered) --default-role=(none) ",
        ),
    ] {
        let config = config(flags).unwrap().to_string();
        assert!(config.contains(printed), "{config}");
    }
}

#[test]
fn keys_are_what_the_api_server_takes_as_keys_of_annotations() {
    let long = format!("a.b/{}", "k".repeat(63));
    for key in [
        "role",
        "iam.amazonaws.com/role",
        "A/B",
        "a-b.c/D_e.f-g",
        "0/0",
        &*long,
    ] {
        let keys = config(&["--iam-role-key", key]).unwrap().keys;
        assert_eq!(keys.role, key);
    }
    let longer = format!("{long}k");
    for flag in ["--iam-role-key", "--iam-external-id", "--namespace-key"] {
        for key in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "a b",
            "-a",
            "a-",
            "a_b/c",
            "a..b/c",
            "caf\u{e9}",
            "a/b\n",
            &longer,
        ] {
            assert_eq!(
                refusal(&[&format!("{flag}={key}")]),
                format!(
                    "{flag} is {key:?}, which is no key of an annotation; give one such as \
                     iam.amazonaws.com/role"
                )
            );
        }
    }
    assert_eq!(
        refusal(&["--iam-role-key=a/b", "--iam-external-id=a/b"]),
        "--iam-role-key and --iam-external-id are both \"a/b\"; give two keys"
    );
}
