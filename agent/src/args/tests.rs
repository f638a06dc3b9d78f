use std::path::Path;

use clap::{Arg, CommandFactory as _};

use super::*;

/// `bpf2iam run` with what it requires, and `flags`.
fn run(flags: &[&str]) -> Result<Run, clap::Error> {
    let required = ["bpf2iam", "run", "--pods", "file:/pods"];
    match Args::try_parse_from(required.iter().chain(flags))?.command {
        Command::Run(run) => Ok(*run),
        Command::Status(_) => panic!("another command"),
    }
}

fn status(flags: &[&str]) -> Result<Status, clap::Error> {
    match Args::try_parse_from(["bpf2iam", "status"].iter().chain(flags))?.command {
        Command::Status(status) => Ok(status),
        Command::Run(_) => panic!("another command"),
    }
}

fn flags_of(command: &str) -> Vec<Arg> {
    let args = Args::command();
    let command = args.find_subcommand(command).unwrap();
    command.get_arguments().cloned().collect()
}

#[test]
fn what_is_not_typed_has_the_documented_default() {
    let args = run(&[]).unwrap();
    assert_eq!((args.node_name, args.kubepods), (None, None));
    assert!(args.node_ip.is_empty());
    assert_eq!(args.listen_port, 0);
    assert_eq!(args.pods, "file:/pods");
    assert_eq!(args.cgroup_root, Path::new("/sys/fs/cgroup"));
    assert_eq!(args.runtime.dir, Path::new("/run/bpf2iam"));
    assert_eq!(args.admin_listen, "0.0.0.0:9998");
    assert_eq!((args.base_role_arn, args.default_role), (None, None));
    assert_eq!(
        (args.log_level, args.log_format),
        (telemetry::Level::Info, None)
    );
    let args = status(&[]).unwrap();
    assert_eq!(args.runtime.dir, Path::new("/run/bpf2iam"));
    assert_eq!(args.output, Output::Text);
}

#[test]
fn every_flag_says_what_it_is_for() {
    let args = run(&[
        "--node-name=n",
        "--node-ip=10.0.0.1",
        "--node-ip=fd00::1",
        "--listen-port=8181",
        "--cgroup-root=/cg",
        "--kubepods=k",
        "--runtime-dir=/r",
        "--admin-listen=off",
        "--base-role-arn=b",
        "--default-role=d",
        "--log-level=trace",
        "--log-format=json",
    ])
    .unwrap();
    assert_eq!(args.node_name.as_deref(), Some("n"));
    assert_eq!(args.node_ip, ["10.0.0.1", "fd00::1"]);
    assert_eq!(args.listen_port, 8181);
    assert_eq!(args.cgroup_root, Path::new("/cg"));
    assert_eq!(args.kubepods.as_deref(), Some("k"));
    assert_eq!(args.runtime.dir, Path::new("/r"));
    assert_eq!(args.admin_listen, "off");
    assert_eq!(args.base_role_arn.as_deref(), Some("b"));
    assert_eq!(args.default_role.as_deref(), Some("d"));
    assert_eq!(args.log_level, telemetry::Level::Trace);
    assert_eq!(args.log_format, Some(telemetry::Format::Json));
    for output in [["-o", "json"], ["--output", "json"]] {
        assert_eq!(status(&output).unwrap().output, Output::Json);
    }
}

#[test]
fn the_names_of_kube2iam_are_understood() {
    let args = run(&["--node=n", "--host-ip=10.0.0.1", "--app-port=8181"]).unwrap();
    assert_eq!(args.node_name.as_deref(), Some("n"));
    assert_eq!(args.node_ip, ["10.0.0.1"]);
    assert_eq!(args.listen_port, 8181);
}

#[test]
fn every_flag_of_run_has_its_environment_variable() {
    let mut flags = Vec::new();
    for arg in flags_of("run") {
        let flag = arg.get_long().expect("every argument is a flag").to_owned();
        let variable = format!("BPF2IAM_{}", flag.to_uppercase().replace('-', "_"));
        assert_eq!(
            arg.get_env().and_then(|name| name.to_str()),
            Some(&*variable),
            "--{flag}"
        );
        assert!(arg.get_help().is_some(), "--{flag}");
        flags.push(flag);
    }
    // A contract: what is added here has to stay.
    let contract = [
        "node-name",
        "node-ip",
        "listen-port",
        "pods",
        "cgroup-root",
        "kubepods",
        "runtime-dir",
        "admin-listen",
        "base-role-arn",
        "default-role",
        "log-level",
        "log-format",
    ];
    assert_eq!(flags, contract);
}

#[test]
fn wrong_usage_is_told_by_its_flag_and_value() {
    for (flags, says) in [
        (
            &["--listen-port=65536"],
            "invalid value '65536' for '--listen-port <PORT>': 65536 is not",
        ),
        (
            &["--app-port=http"],
            "invalid value 'http' for '--listen-port <PORT>'",
        ),
        (
            &["--log-level=loud"],
            "invalid value 'loud' for '--log-level <LEVEL>'",
        ),
        (
            &["--log-level=INFO"],
            "[possible values: error, warn, info, debug, trace]",
        ),
        (&["--log-format=xml"], "[possible values: json, text]"),
        (
            &["--runtime-dir="],
            "a value is required for '--runtime-dir <DIR>'",
        ),
        (&["--iptables"], "unexpected argument '--iptables' found"),
        (&["--pin-dir=/x"], "unexpected argument '--pin-dir' found"),
        (&["anything"], "unexpected argument 'anything' found"),
    ] {
        let error = run(flags).unwrap_err();
        assert!(error.to_string().contains(says), "{flags:?}: {error}");
        assert_eq!(error.exit_code(), 2, "{flags:?}");
    }
    for (line, says) in [
        (&["bpf2iam"] as &[_], "Usage: bpf2iam <COMMAND>"),
        (&["bpf2iam", "fly"], "unrecognized subcommand 'fly'"),
        (&["bpf2iam", "run"], "--pods <file:DIR>"),
        (
            &["bpf2iam", "status", "-o", "yaml"],
            "[possible values: json, text]",
        ),
        (
            &["bpf2iam", "status", "--pods=file:/x"],
            "unexpected argument '--pods' found",
        ),
    ] {
        let error = Args::try_parse_from(line).unwrap_err();
        assert!(error.to_string().contains(says), "{line:?}: {error}");
        assert_eq!(error.exit_code(), 2, "{line:?}");
    }
}

#[test]
fn the_version_is_told() {
    let version = Args::try_parse_from(["bpf2iam", "--version"]).unwrap_err();
    assert_eq!(
        version.to_string(),
        concat!("bpf2iam ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(version.exit_code(), 0);
}
