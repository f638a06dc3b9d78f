use std::path::Path;

use clap::{Arg, CommandFactory as _};

use super::*;

mod deploy;

/// `bpf2iam` with these words after it.
fn line(words: &[&str]) -> Result<Args, clap::Error> {
    Args::of(["bpf2iam"].iter().chain(words).map(OsString::from))
}

fn run(flags: &[&str]) -> Result<Run, clap::Error> {
    let Command::Run(run) = line(&[&["run"], flags].concat())?.command else {
        panic!("another command");
    };
    Ok(*run)
}

fn status(flags: &[&str]) -> Result<Status, clap::Error> {
    let Command::Status(status) = line(&[&["status"], flags].concat())?.command else {
        panic!("another command");
    };
    Ok(status)
}

fn doctor(flags: &[&str]) -> Result<Doctor, clap::Error> {
    let Command::Doctor(doctor) = line(&[&["doctor"], flags].concat())?.command else {
        panic!("another command");
    };
    Ok(doctor)
}

fn flags_of(command: &str) -> Vec<Arg> {
    let args = Args::command();
    let command = args.find_subcommand(command).unwrap();
    command.get_arguments().cloned().collect()
}

#[test]
fn what_is_not_typed_has_the_documented_default() {
    let args = run(&[]).unwrap();
    assert_eq!((args.node_name, args.cgroups.kubepods), (None, None));
    assert!(args.node_ip.is_empty());
    assert_eq!(args.listen_port, 0);
    assert_eq!(args.cgroups.root, Path::new("/sys/fs/cgroup"));
    assert_eq!(args.netns_dir.path, Path::new("/run/netns"));
    assert_eq!(args.runtime.dir, Path::new("/run/bpf2iam"));
    assert_eq!(args.admin_listen, None);
    let metadata = args.metadata;
    assert_eq!(
        (metadata.metadata_addr, metadata.availability_zone),
        (None, None)
    );
    let optional = crate::metadata::TokenUse::Optional;
    assert_eq!(metadata.access.imds_tokens, optional);
    assert!(metadata.access.allow_path.is_empty());
    let pods = args.kubernetes;
    assert_eq!((&*pods.pods, pods.kubeconfig), ("kube", None));
    assert_eq!((pods.api_server, pods.api_token), (None, None));
    let roles = args.roles;
    assert_eq!((roles.base_role_arn, roles.default_role), (None, None));
    assert_eq!(roles.iam_role_key, "iam.amazonaws.com/role");
    assert_eq!(roles.iam_external_id, "iam.amazonaws.com/external-id");
    assert_eq!(roles.namespace_key, "iam.amazonaws.com/allowed-roles");
    let glob = crate::pods::restriction::Format::Glob;
    assert_eq!(roles.namespace_restriction_format, glob);
    assert_eq!(roles.compat, crate::pods::compat::Compat::None);
    assert_eq!(roles.credentials, crate::pods::binding::Exchange::Auto);
    assert!(roles.node_role_for.is_empty());
    let sessions = args.sessions;
    assert_eq!(sessions.session_name, "{namespace}.{pod}");
    assert_eq!(sessions.session_tags, None);
    assert_eq!((sessions.cluster_name, sessions.cluster_arn), (None, None));
    let hour = crate::creds::SessionLength::HOUR;
    assert_eq!(sessions.session_duration, hour);
    let log = (args.log.level, args.log.format);
    assert_eq!(log, (crate::telemetry::Level::Info, None));
    let args = status(&[]).unwrap();
    assert_eq!(args.runtime.dir, Path::new("/run/bpf2iam"));
    assert_eq!(args.output, Output::Text);
    for output in [["-o", "json"], ["--output", "json"]] {
        assert_eq!(status(&output).unwrap().output, Output::Json);
    }
}

#[test]
fn the_doctor_looks_where_the_agent_is() {
    let args = doctor(&[]).unwrap();
    assert_eq!(args.cgroups.root, Path::new("/sys/fs/cgroup"));
    assert_eq!((args.cgroups.kubepods, args.metadata_addr), (None, None));
    assert_eq!(args.runtime.dir, Path::new("/run/bpf2iam"));
    assert_eq!(args.pin_dir.path, Path::new("/sys/fs/bpf/bpf2iam"));
    assert_eq!(args.netns_dir.path, Path::new("/run/netns"));
    assert_eq!(args.output, Output::Text);
    // Where a flag of both has a variable, it is the same one.
    let of_run = flags_of("run");
    for arg in flags_of("doctor") {
        let same = of_run
            .iter()
            .find(|other| other.get_long() == arg.get_long());
        if let Some(same) = same {
            assert_eq!(same.get_env(), arg.get_env(), "{arg}");
            assert_eq!(same.get_default_values(), arg.get_default_values(), "{arg}");
        }
    }
    for wrong in ["--output=yaml", "--lease=1s", "--pin-dir="] {
        assert_eq!(doctor(&[wrong]).unwrap_err().exit_code(), 2, "{wrong}");
    }
}

#[test]
fn a_switch_is_typed_as_for_go() {
    let iptables = |flags: &[&str]| run(flags).unwrap().kube2iam.iptables;
    assert_eq!(iptables(&[]), None);
    for on in ["--iptables", "--iptables=true", "--iptables=1"] {
        assert_eq!(iptables(&[on]), Some(Switch::On), "{on}");
    }
    for off in ["--iptables=false", "--iptables="] {
        assert_eq!(iptables(&[off]), Some(Switch::Off), "{off}");
    }
    for (flags, says) in [
        (
            &["--iptables=maybe"] as &[_],
            "invalid value 'maybe' for '--iptables[=<BOOL>]'",
        ),
        (&["--iptables", "true"], "unexpected argument 'true' found"),
    ] {
        let error = run(flags).unwrap_err().to_string();
        assert!(error.contains(says), "{flags:?}: {error}");
    }
}

#[test]
fn session_tags_are_all_of_them_where_nothing_is_said() {
    for (flags, tags) in [
        (&["--session-tags"] as &[_], Some("all")),
        (&["--session-tags=off"], Some("off")),
        (&["--session-tags="], Some("")),
        (&["--session-tags=a=b,c=d"], Some("a=b,c=d")),
        (&["--session-tags", "--session-tags=none"], Some("none")),
    ] {
        let given = run(flags).unwrap().sessions.session_tags;
        assert_eq!(given.as_deref(), tags, "{flags:?}");
    }
    let error = run(&["--session-tags", "all"]).unwrap_err().to_string();
    assert!(error.contains("unexpected argument 'all' found"), "{error}");
}

#[test]
fn what_is_given_twice_is_what_was_given_last() {
    let flags = [
        "--iptables",
        "--node=a",
        "--iptables=false",
        "--node-name=b",
    ];
    let args = run(&flags).unwrap();
    assert_eq!(args.kube2iam.iptables, Some(Switch::Off));
    assert_eq!(args.node_name.as_deref(), Some("b"));
    let args = run(&["--node-ip=10.0.0.1", "--host-ip=fd00::1"]).unwrap();
    assert_eq!(args.node_ip, ["10.0.0.1", "fd00::1"]);
    let args = run(&["--allow-path=a", "--allow-path=b, c"]).unwrap();
    assert_eq!(args.metadata.access.allow_path, ["a", "b, c"]);
}

#[test]
fn every_flag_of_run_has_its_environment_variable() {
    let mut flags = Vec::new();
    for arg in flags_of("run") {
        let flag = arg.get_long().expect("every argument is a flag").to_owned();
        let variable = format!("BPF2IAM_{}", flag.to_uppercase().replace('-', "_"));
        let env = arg.get_env().and_then(|name| name.to_str());
        assert_eq!(env, Some(&*variable), "--{flag}");
        assert!(arg.get_help().is_some(), "--{flag}");
        flags.push(flag);
    }
    // A contract: what is added here has to stay.
    let contract = "node-name node-ip listen-port cgroup-root kubepods netns-dir runtime-dir admin-listen \
        pin-dir lease when-agent-gone daemon-set startup-taint metadata-addr availability-zone imds-tokens allow-path pods kubeconfig api-server \
        api-token insecure base-role-arn \
        auto-discover-base-arn default-role auto-discover-default-role iam-role-key \
        iam-external-id namespace-key namespace-restrictions namespace-restriction-format compat \
        credentials node-role-for session-name session-tags cluster-name cluster-arn session-duration log-level \
        log-format verbose metrics-port iptables host-interface use-regional-sts-endpoint \
        cache-resync-period resolve-duplicate-cache-ips backoff-max-elapsed-time \
        backoff-max-interval iam-role-session-ttl iam-role-error-ttl debug";
    assert_eq!(flags.join(" "), contract);
}

#[test]
fn the_manual_has_every_flag() {
    let manual = include_str!("../../../docs/configuration.md");
    for arg in flags_of("run") {
        let flag = arg.get_long().unwrap();
        assert!(manual.contains(&format!("`--{flag}`")), "--{flag}");
        for alias in arg.get_visible_aliases().unwrap_or_default() {
            assert!(manual.contains(&format!("`--{alias}`")), "--{alias}");
        }
    }
}

#[test]
fn wrong_usage_is_told_by_its_flag_and_value() {
    for (flag, says) in [
        (
            "--listen-port=65536",
            "invalid value '65536' for '--listen-port <PORT>': 65536 is not",
        ),
        (
            "--app-port=http",
            "invalid value 'http' for '--listen-port <PORT>'",
        ),
        (
            "--metrics-port=x",
            "invalid value 'x' for '--metrics-port <PORT>'",
        ),
        (
            "--log-level=loud",
            "invalid value 'loud' for '--log-level <LEVEL>'",
        ),
        (
            "--log-level=loud",
            "[possible values: error, warn, info, debug, trace]",
        ),
        ("--log-format=xml", "[possible values: json, text]"),
        (
            "--namespace-restriction-format=exact",
            "[possible values: glob, regexp]",
        ),
        ("--compat=irsa", "[possible values: none, kube2iam, kiam]"),
        (
            "--credentials=keys",
            "[possible values: auto, assume-role, web-identity]",
        ),
        ("--imds-tokens=v2", "[possible values: optional, required]"),
        (
            "--cache-resync-period=30",
            "invalid value '30' for '--cache-resync-period <DURATION>': it is no duration, such as \
             30m, 2s or 1h30m",
        ),
        (
            "--session-duration=14m59s",
            "invalid value '14m59s' for '--session-duration <DURATION>': a session lasts from 15 \
             minutes to 12 hours",
        ),
        (
            "--session-duration=43201",
            "invalid value '43201' for '--session-duration <DURATION>'",
        ),
        (
            "--session-duration=",
            "invalid value '' for '--session-duration <DURATION>'",
        ),
        (
            "--runtime-dir=",
            "a value is required for '--runtime-dir <DIR>'",
        ),
        (
            "--default-role",
            "a value is required for '--default-role <ROLE>'",
        ),
        ("anything", "unexpected argument 'anything' found"),
    ] {
        let error = run(&[flag]).unwrap_err();
        assert!(error.to_string().contains(says), "{flag}: {error}");
        assert_eq!(error.exit_code(), 2, "{flag}");
    }
    for (words, says) in [
        (&[] as &[_], "Usage: bpf2iam <COMMAND>"),
        (&["fly"], "unrecognized subcommand 'fly'"),
        (&["status", "-o", "yaml"], "[possible values: json, text]"),
        (
            &["status", "--pods=file:/x"],
            "unexpected argument '--pods' found",
        ),
        (&["--strange=1"], "unexpected argument '--strange' found"),
    ] {
        let error = line(words).unwrap_err();
        assert!(error.to_string().contains(says), "{words:?}: {error}");
        assert_eq!(error.exit_code(), 2, "{words:?}");
    }
}

#[test]
fn a_lease_has_bounds() {
    for length in ["500ms", "61m", "soon"] {
        let error = run(&[&format!("--lease={length}")]).unwrap_err();
        let says = format!(
            "invalid value '{length}' for '--lease <DURATION>': a lease lasts from 1s to 1h"
        );
        assert!(error.to_string().contains(&says), "{error}");
    }
    let error = run(&["--when-agent-gone=open"]).unwrap_err();
    assert!(error.to_string().contains("[possible values: deny, allow]"));
}

#[test]
fn kube2iams_command_line_lacks_a_word() {
    for (flag, words) in [
        (
            "--iptables",
            &["--iptables=true", "--host-ip=10.0.0.1"] as &[_],
        ),
        ("--node", &["--node=a", "run"]),
        ("--app-port", &["--app-port", "8181"]),
        ("--api-token", &["--api-token=c2VjcmV0"]),
    ] {
        let error = line(words).unwrap_err();
        let says = format!(
            "{flag} is a flag of `bpf2iam run`; write `run` before all flags, as in `bpf2iam run {flag}`"
        );
        assert!(error.to_string().contains(&says), "{words:?}: {error}");
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn the_token_is_never_shown() {
    let args = run(&["--api-token=c2VjcmV0"]).unwrap();
    assert!(!format!("{args:?}").contains("c2VjcmV0"));
    let token = args.kubernetes.api_token.unwrap();
    assert_eq!(token.expose(), "c2VjcmV0");
    // The help would show what is in the variable.
    let mut flags = flags_of("run").into_iter();
    let flag = flags.find(|arg| arg.get_long() == Some("api-token"));
    assert!(flag.unwrap().is_hide_env_values_set());
}

#[test]
fn the_version_is_told() {
    let version = line(&["--version"]).unwrap_err();
    let says = concat!("bpf2iam ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(version.to_string(), says);
    assert_eq!(version.exit_code(), 0);
    let version = line(&["run", "--iptables", "--version"]).unwrap_err();
    assert_eq!(version.exit_code(), 0);
}
