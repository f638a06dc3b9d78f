use std::net::IpAddr;

use clap::{CommandFactory as _, Parser as _};
use tempfile::TempDir;

use crate::{
    args::{Args, Command},
    telemetry::{Format, Level, Settings},
};

use super::*;

/// A machine that says everything.
pub(super) fn machine() -> Machine {
    Machine {
        node_name: None,
        host_ip: None,
        host_name: Ok("Node-1.Example\n".to_owned()),
        sources: ips(&["10.0.0.7", "fd00::7"]),
        log_format: Format::Json,
    }
}

pub(super) fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn typed(flags: &[&str]) -> Run {
    let line = ["bpf2iam", "run"].iter().chain(flags);
    match Args::try_parse_from(line).unwrap().command {
        Command::Run(run) => *run,
        Command::Status(_) => panic!("another command"),
    }
}

/// What `flags` mean on `machine`, and nothing but these.
fn whole_config(machine: Machine, flags: &[&str]) -> Result<Config, Error> {
    Config::new(typed(flags), machine)
}

/// What `flags` mean on `machine`, where the pods and the cgroups have their directories.
pub(super) fn config_on(machine: Machine, flags: &[&str]) -> Result<Config, Error> {
    whole_config(
        machine,
        &[&["--pods=file:/", "--cgroup-root=/proc"], flags].concat(),
    )
}

pub(super) fn config(flags: &[&str]) -> Result<Config, Error> {
    config_on(machine(), flags)
}

/// Why `outcome` is none, with all causes.
fn reason(outcome: Result<Config, Error>) -> String {
    format!("{:#}", anyhow::Error::from(outcome.unwrap_err()))
}

pub(super) fn refusal(flags: &[&str]) -> String {
    reason(config(flags))
}

#[test]
fn what_is_not_typed_comes_from_the_machine() {
    let config = config(&[]).unwrap();
    assert_eq!(config.node_name.as_str(), "node-1.example");
    assert_eq!(
        config.node_ips.iter().collect::<Vec<_>>(),
        ips(&["10.0.0.7", "fd00::7"])
    );
    assert_eq!(config.pods, Pods::Files("/".into()));
    assert_eq!(config.kubepods, None);
    assert_eq!(config.admin_listen, Some("0.0.0.0:9998".parse().unwrap()));
    assert_eq!((config.base_role_arn, config.default_role), (None, None));
    let log = Settings {
        level: Level::Info,
        format: Format::Json,
    };
    assert_eq!(config.log, log);
}

#[test]
fn variables_of_manifests_come_before_the_machine_and_flags_before_them() {
    let in_manifest = || Machine {
        node_name: Some("by-variable".to_owned()),
        host_ip: Some("10.0.0.8, fd00::8".to_owned()),
        ..machine()
    };
    let config = config_on(in_manifest(), &[]).unwrap();
    assert_eq!(config.node_name.as_str(), "by-variable");
    assert_eq!(config.node_ips.to_string(), "10.0.0.8,fd00::8");
    let typed = ["--node-name=by-flag", "--node-ip=10.0.0.9"];
    let config = config_on(in_manifest(), &typed).unwrap();
    assert_eq!(config.node_name.as_str(), "by-flag");
    assert_eq!(config.node_ips.to_string(), "10.0.0.9");
}

#[test]
fn empty_values_are_none() {
    let empty = Machine {
        node_name: Some(String::new()),
        host_ip: Some(String::new()),
        ..machine()
    };
    let flags = [
        "--node-name=",
        "--node-ip=",
        "--kubepods=",
        "--base-role-arn=",
        "--default-role=",
    ];
    let config = config_on(empty, &flags).unwrap();
    assert_eq!(config.node_name.as_str(), "node-1.example");
    assert_eq!(config.node_ips.to_string(), "10.0.0.7,fd00::7");
    assert_eq!(
        (config.kubepods, config.base_role_arn, config.default_role),
        (None, None, None)
    );
}

#[test]
fn pods_come_from_a_directory_that_is_there() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().display();
    let file = dir.path().join("pod.yaml");
    fs::write(&file, "").unwrap();
    let refused = |pods: &str| {
        let flags = ["--pods", pods, "--cgroup-root=/proc"];
        reason(whole_config(machine(), &flags))
    };
    let not_file =
        |pods| format!("--pods is {pods:?}; give file:DIR, where DIR has the pods' manifests");
    for pods in ["", "file:", "/pods", "FILE:/pods", "kube:x"] {
        assert_eq!(refused(pods), not_file(pods));
    }
    assert_eq!(
        refused("kube"),
        "--pods is kube, which this version cannot read; give file:DIR, where DIR has the pods' \
         manifests"
    );
    assert_eq!(
        refused(&format!("file:{path}/none")),
        format!(
            "--pods is {path}/none, which cannot be used; give a directory that is there: \
             No such file or directory (os error 2)"
        )
    );
    assert_eq!(
        refused(&format!("file:{}", file.display())),
        format!(
            "--pods is {}, which is no directory; give one",
            file.display()
        )
    );
}

#[test]
fn directories_are_checked() {
    let refused = |root: &str| {
        let flags = ["--pods=file:/", "--cgroup-root", root];
        reason(whole_config(machine(), &flags))
    };
    assert_eq!(
        refused("/proc/none"),
        "--cgroup-root is /proc/none, which cannot be used; give a directory that is there: \
         No such file or directory (os error 2)"
    );
    assert_eq!(
        refused("/proc/stat"),
        "--cgroup-root is /proc/stat, which is no directory; give one"
    );
    assert_eq!(
        refusal(&["--runtime-dir=run"]),
        "--runtime-dir is \"run\"; give a whole path, which begins with '/'"
    );
}

#[test]
fn kubepods_is_below_the_cgroup_root() {
    for given in [
        "kubepods.slice",
        "/kubepods.slice",
        "./kubepods.slice/",
        "/proc/kubepods.slice",
    ] {
        let config = config(&["--kubepods", given]).unwrap();
        assert_eq!(
            config.kubepods.as_deref(),
            Some(Path::new("kubepods.slice")),
            "{given}"
        );
    }
    for given in ["/", ".", "..", "../kubepods", "a/../../b", "/proc"] {
        assert_eq!(
            refusal(&["--kubepods", given]),
            format!(
                "--kubepods is {given:?}; give the path of a cgroup below --cgroup-root, without '..'"
            )
        );
    }
}

#[test]
fn the_admin_port_is_an_address_or_off() {
    assert_eq!(config(&["--admin-listen=off"]).unwrap().admin_listen, None);
    for given in ["127.0.0.1:0", "[::]:9998"] {
        let listen = config(&["--admin-listen", given]).unwrap().admin_listen;
        assert_eq!(
            listen.map(|address| address.to_string()).as_deref(),
            Some(given)
        );
    }
    for given in [
        "",
        "OFF",
        "9998",
        ":9998",
        "localhost:9998",
        "0.0.0.0",
        "0.0.0.0:65536",
    ] {
        assert_eq!(
            refusal(&["--admin-listen", given]),
            format!(
                "--admin-listen is {given:?}; give ADDRESS:PORT with an IP address, or off: \
                 invalid socket address syntax"
            )
        );
    }
}

#[test]
fn the_default_role_is_a_name_below_the_base_or_an_arn() {
    let base_arn = "arn:aws:iam::123456789012:role/team";
    let base = &*format!("--base-role-arn={base_arn}");
    let arn = "arn:aws:iam::123456789012:role/team/web";
    for flags in [
        &["--default-role", arn] as &[_],
        &[base, "--default-role", "web"],
        &[base, "--default-role", arn],
    ] {
        let role = config(flags).unwrap().default_role;
        assert_eq!(role.map(|role| role.to_string()).as_deref(), Some(arn));
    }
    let config = config(&[base]).unwrap();
    assert_eq!(
        config.base_role_arn,
        Some(format!("{base_arn}/").parse().unwrap())
    );
    for (flags, says) in [
        (
            &["--default-role=web"] as &[_],
            "--default-role cannot be used: \"web\" is a role name; give the whole ARN, or \
             --base-role-arn",
        ),
        (
            &["--base-role-arn=team"],
            "--base-role-arn cannot be used: \"team\" is not an IAM role ARN \
             (arn:PARTITION:iam::ACCOUNT:role/NAME)",
        ),
        (
            &[base, "--default-role=arn:aws:iam::1:role/web"],
            "--default-role cannot be used: \"arn:aws:iam::1:role/web\" has no account of 12 digits",
        ),
    ] {
        assert_eq!(refusal(flags), says);
    }
}

#[test]
fn all_settings_are_printed() {
    let config = config(&[
        "--node-ip=10.0.0.1",
        "--default-role=arn:aws:iam::123456789012:role/r",
    ]);
    let printed = config.unwrap().to_string();
    assert_eq!(
        printed,
        "--node-name=node-1.example --node-ip=10.0.0.1 --listen-port=0 --pods=file:/ \
         --cgroup-root=/proc --kubepods=(to be found) --runtime-dir=/run/bpf2iam \
         --admin-listen=0.0.0.0:9998 --base-role-arn=(none) \
         --default-role=arn:aws:iam::123456789012:role/r --log-level=info --log-format=json"
    );
    let args = Args::command();
    for arg in args.find_subcommand("run").unwrap().get_arguments() {
        let flag = arg.get_long().unwrap();
        assert!(
            printed.contains(&format!("--{flag}=")),
            "--{flag} is not printed"
        );
    }
}

#[test]
fn this_machine_can_be_asked() {
    let machine = Machine::observe();
    assert!(!machine.host_name.unwrap().trim().is_empty());
    for source in machine.sources {
        assert!(!source.is_unspecified(), "a route without a source");
    }
}
