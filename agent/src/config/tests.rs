use std::{ffi::OsString, net::IpAddr};

use clap::CommandFactory as _;

use crate::{
    args::{Args, Command},
    kubernetes::Settings,
    telemetry::{Format, Level},
};

use super::*;

/// What is put before the names of roles.
pub(crate) const BASE: &str = "arn:aws:iam::123456789012:role/";

/// A machine that says everything.
pub(super) fn machine() -> Machine {
    Machine {
        node_name: None,
        host_ip: None,
        metadata_endpoint: None,
        metadata_disabled: None,
        region: None,
        default_region: None,
        variables: Vec::new(),
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
    let Command::Run(run) = Args::of(line.map(OsString::from)).unwrap().command else {
        panic!("another command");
    };
    *run
}

/// What `flags` mean on `machine`, and nothing but these.
fn whole_config(machine: Machine, flags: &[&str]) -> Result<Config, Error> {
    Config::new(typed(flags), machine)
}

/// What `flags` mean on `machine`, where the pods and the cgroups have their directories.
pub(super) fn config_on(machine: Machine, flags: &[&str]) -> Result<Config, Error> {
    let usual = ["--pods=file:/", "--cgroup-root=/proc"];
    whole_config(machine, &[&usual, flags].concat())
}

pub(crate) fn config(flags: &[&str]) -> Result<Config, Error> {
    config_on(machine(), flags)
}

/// Why `outcome` is none, with all causes.
pub(super) fn reason(outcome: Result<Config, Error>) -> String {
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
    assert_eq!((config.roles, config.discover), (Roles::default(), None));
    assert_eq!(config.keys, Keys::default());
    assert_eq!((config.restrictions, config.warnings), (None, Vec::new()));
    assert_eq!(config.imds_tokens, TokenUse::Optional);
    assert_eq!(config.node_role_for, NodeRoleFor::usual());
    let log = telemetry::Settings {
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
        "--metadata-addr=",
        "--availability-zone=",
        "--allow-path=",
        "--node-role-for=",
        "--pods=kube",
        "--kubeconfig=",
        "--api-server=",
        "--api-token=",
        "--insecure=",
        "--namespace-restrictions=",
    ];
    let config = config_on(empty, &flags).unwrap();
    assert_eq!(config.node_name.as_str(), "node-1.example");
    assert_eq!(config.node_ips.to_string(), "10.0.0.7,fd00::7");
    assert_eq!((config.kubepods, config.roles), (None, Roles::default()));
    assert_eq!(config.pods, Pods::Kube(Settings::InCluster));
    assert_eq!(config.warnings, Vec::new());
    assert!(config.metadata.is_some() && config.allow_paths.is_empty());
    assert_eq!(config.node_role_for, NodeRoleFor::usual());
}

#[test]
fn a_misspelt_variable_and_an_address_that_pods_do_not_reach_are_told() {
    let machine = Machine {
        variables: vec!["BPF2IAM_NODE".to_owned(), "BPF2IAM_PODS".to_owned()],
        ..machine()
    };
    let config = config_on(machine, &["--node-ip=10.0.0.1,::1"]).unwrap();
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "--node-ip: it is a loopback address, where only pods in the network of the node reach us; \
             give an address of this node",
            "the variable \"BPF2IAM_NODE\" is of no flag, and changes nothing",
        ]
    );
}

#[test]
fn directories_are_checked() {
    let refused = |root: &str| {
        let flags = ["--pods=file:/", "--cgroup-root", root];
        reason(whole_config(machine(), &flags))
    };
    // That nothing is there is said by whoever opens it.
    let flags = ["--pods=file:/", "--cgroup-root", "/proc/none"];
    assert!(whole_config(machine(), &flags).is_ok());
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
fn pins_are_at_an_absolute_path_below_the_root() {
    for given in ["pins", "./pins", "/"] {
        let says = format!(
            "--pin-dir is {given}, which is no absolute path below /; give one, such as /sys/fs/bpf/bpf2iam"
        );
        assert_eq!(refusal(&["--pin-dir", given]), says);
    }
}

#[test]
fn a_daemon_set_has_a_namespace_and_needs_an_api_server() {
    assert_eq!(
        refusal(&["--pods=kube", "--daemon-set=bpf2iam"]),
        "--daemon-set: \"bpf2iam\" is no NAMESPACE/NAME of a DaemonSet; give the agent's own, such as \
         kube-system/bpf2iam: \"bpf2iam\" is no NAMESPACE/NAME of a DaemonSet"
    );
    assert_eq!(
        refusal(&["--pods=file:/proc", "--daemon-set=a/b"]),
        "--daemon-set is a/b, but --pods is a directory; leave it out, or take --pods kube"
    );
    let none = config(&["--pods=file:/proc", "--daemon-set="]).unwrap();
    assert_eq!(none.lifetime.daemon_set, None);
}

#[test]
fn a_startup_taint_needs_an_api_server() {
    assert_eq!(
        refusal(&["--pods=file:/proc", "--startup-taint"]),
        "--startup-taint is given, but --pods is a directory; leave it out, or take --pods kube"
    );
    for off in ["--startup-taint=false", "--startup-taint="] {
        let config = config(&["--pods=file:/proc", off]).unwrap();
        assert!(!config.lifetime.startup_taint.is_on());
    }
    let config = config(&["--pods=kube", "--startup-taint"]).unwrap();
    assert!(config.lifetime.startup_taint.is_on());
}

#[test]
fn the_log_is_as_loud_as_the_louder_of_two_flags() {
    for (flags, level) in [
        (&["--log-level=warning"] as &[_], Level::Warn),
        (&["--log-level=WARN"], Level::Warn),
        (&["--log-level=fatal"], Level::Error),
        (&["--log-level=panic"], Level::Error),
        (&["--log-level=Info", "--verbose=false"], Level::Info),
        (&["--verbose"], Level::Debug),
        (&["--log-level=error", "--verbose=true"], Level::Debug),
        (&["--log-level=trace", "--verbose"], Level::Trace),
    ] {
        assert_eq!(config(flags).unwrap().log.level, level, "{flags:?}");
    }
    let format = config(&["--log-format=JSON"]).unwrap().log.format;
    assert_eq!(format, Format::Json);
}

#[test]
fn all_settings_are_printed() {
    let config = config(&[
        "--node-ip=10.0.0.1",
        "--default-role=arn:aws:iam::123456789012:role/r",
        "--pods=kube",
        "--api-server=https://10.0.0.1:6443",
        "--api-token=c2VjcmV0",
        "--namespace-restrictions",
        "--daemon-set=kube-system/bpf2iam",
        "--startup-taint",
    ]);
    let config = config.unwrap();
    assert!(!format!("{config:?}").contains("c2VjcmV0"));
    let printed = config.to_string();
    assert_eq!(
        printed,
        "--node-name=node-1.example --node-ip=10.0.0.1 --listen-port=0 --cgroup-root=/proc \
         --kubepods=(to be found) --netns-dir=/run/netns --runtime-dir=/run/bpf2iam --admin-listen=0.0.0.0:9998 \
         --metadata-addr=http://169.254.169.254 --availability-zone=(none) --imds-tokens=optional \
         --allow-path=(none) --pin-dir=/sys/fs/bpf/bpf2iam --lease=10s --when-agent-gone=deny --daemon-set=kube-system/bpf2iam --startup-taint=true --pods=kube --api-server=https://10.0.0.1:6443/ \
         --base-role-arn=(none) --default-role=arn:aws:iam::123456789012:role/r \
         --iam-role-key=iam.amazonaws.com/role --iam-external-id=iam.amazonaws.com/external-id \
         --namespace-key=iam.amazonaws.com/allowed-roles --namespace-restrictions=glob \
         --compat=none --credentials=auto --node-role-for=kube-system/hostNetwork --session-name={namespace}.{pod} --session-tags=off \
         --session-duration=3600s --log-level=info --log-format=json"
    );
    let args = Args::command();
    // The rest of these is in the value of another flag, or in a warning; and nobody prints a token.
    let elsewhere = "kubeconfig api-token insecure auto-discover-base-arn auto-discover-default-role \
        namespace-restriction-format cluster-name cluster-arn verbose";
    let run = args.find_subcommand("run").unwrap().get_arguments();
    for arg in run.filter(|arg| {
        !arg.get_help_heading()
            .is_some_and(|group| group.contains("kube2iam"))
    }) {
        let flag = arg.get_long().unwrap();
        let is_printed = printed.contains(&format!("--{flag}="));
        let is_elsewhere = elsewhere.split(' ').any(|name| name == flag);
        assert_ne!(is_printed, is_elsewhere, "--{flag}");
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
