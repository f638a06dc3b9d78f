use crate::config::{
    Config, Warning,
    tests::{BASE, config},
};

fn warnings(config: &Config) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).collect()
}

/// What a flag of kube2iam does here.
enum Does {
    /// It is this setting.
    Is(&'static str),
    /// It changes nothing, and this is said.
    Says(&'static str),
    /// It is what there is anyway.
    Nothing,
}
use Does::{Is, Nothing, Says};

/// Every flag of kube2iam, but `--version`, which ends there and here.
const FLAGS: &[(&str, Does)] = &[
    (
        "--kubeconfig=/etc/kubeconfig",
        Is("--kubeconfig=/etc/kubeconfig"),
    ),
    (
        "--api-server=https://10.0.0.1 --api-token=t",
        Is("--api-server=https://10.0.0.1/"),
    ),
    ("--kubeconfig=/k --insecure", Says("--insecure: WHOEVER")),
    ("--kubeconfig=/k --insecure=false", Nothing),
    ("--app-port=8182", Is("--listen-port=8182")),
    ("--metrics-port=9543", Is("--admin-listen=0.0.0.0:9543")),
    (
        "--app-port=8181 --metrics-port=8181",
        Says("--metrics-port: not used, as it is the port of the pods"),
    ),
    (
        "--admin-listen=off --metrics-port=9543",
        Says("--metrics-port: not used, as --admin-listen is given"),
    ),
    (
        "--base-role-arn=arn:aws:iam::123456789012:role/",
        Is("--base-role-arn=arn:aws:iam::123456789012:role/"),
    ),
    (
        "--auto-discover-base-arn",
        Is("--base-role-arn=(to be discovered)"),
    ),
    (
        "--auto-discover-default-role=true",
        Is("--default-role=(to be discovered)"),
    ),
    (
        "--default-role=arn:aws:iam::123456789012:role/d",
        Is("--default-role=arn:aws:iam::123456789012:role/d"),
    ),
    (
        "--iam-role-key=example.com/role",
        Is("--iam-role-key=example.com/role"),
    ),
    (
        "--iam-external-id=example.com/id",
        Is("--iam-external-id=example.com/id"),
    ),
    (
        "--namespace-key=example.com/roles",
        Is("--namespace-key=example.com/roles"),
    ),
    (
        "--namespace-restrictions",
        Is("--namespace-restrictions=glob"),
    ),
    (
        "--namespace-restrictions=true --namespace-restriction-format=RegExp",
        Is("--namespace-restrictions=regexp"),
    ),
    (
        "--iam-role-session-ttl=15m0s",
        Says("--iam-role-session-ttl: not used, "),
    ),
    (
        "--iam-role-error-ttl=1m",
        Says("--iam-role-error-ttl: not needed, "),
    ),
    (
        "--metadata-addr=127.0.0.1:1338",
        Is("--metadata-addr=http://127.0.0.1:1338"),
    ),
    ("--iptables=true", Says("--iptables: no rule is needed, ")),
    ("--iptables=false", Nothing),
    ("--host-ip=10.0.0.1", Is("--node-ip=10.0.0.1")),
    (
        "--host-interface=cali+",
        Says("--host-interface: not needed, "),
    ),
    ("--node=node-2", Is("--node-name=node-2")),
    (
        "--cache-resync-period=30m",
        Says("--cache-resync-period: not needed, "),
    ),
    (
        "--resolve-duplicate-cache-ips",
        Says("--resolve-duplicate-cache-ips: not needed, "),
    ),
    (
        "--backoff-max-elapsed-time=2s",
        Says("--backoff-max-elapsed-time: not needed, "),
    ),
    (
        "--backoff-max-interval=1s",
        Says("--backoff-max-interval: not needed, "),
    ),
    (
        "--use-regional-sts-endpoint",
        Says("--use-regional-sts-endpoint: not needed, "),
    ),
    ("--use-regional-sts-endpoint=false", Nothing),
    ("--debug", Says("--debug: there is no /debug/store, ")),
    ("--debug=false", Nothing),
    ("--log-level=warning", Is("--log-level=warn")),
    ("--log-format=text", Is("--log-format=text")),
    ("--verbose", Is("--log-level=debug")),
];

#[test]
fn every_flag_of_kube2iam_has_an_effect_or_a_warning() {
    let usual = config(&["--pods=kube"]).unwrap().to_string();
    for (flags, does) in FLAGS {
        let typed: Vec<_> = ["--pods=kube"]
            .into_iter()
            .chain(flags.split(' '))
            .collect();
        let config = config(&typed).unwrap();
        let (printed, warnings) = (format!("{config} "), warnings(&config));
        match does {
            Is(setting) => {
                assert!(
                    printed.contains(&format!("{setting} ")),
                    "{flags}: {printed}"
                );
                assert!(!usual.contains(&format!("{setting} ")), "{flags}");
                assert_eq!(warnings, [""; 0], "{flags}");
            }
            Says(warning) => {
                let [said] = &*warnings else {
                    panic!("{flags}: {warnings:?}");
                };
                assert!(said.starts_with(warning), "{flags}: {said}");
            }
            Nothing => assert_eq!(warnings, [""; 0], "{flags}"),
        }
    }
}

const IPTABLES: &str = "iptables";
const INTERFACE: &str = "host-interface";

/// Command lines as kube2iam's manual, its chart and its users have them, with the flags that are warned of.
const LINES: &[(&str, &[&str])] = &[
    // Its manual: at its simplest, with a rule, with weave, on OpenShift.
    (
        "--base-role-arn=arn:aws:iam::123456789012:role/ --node=node-2",
        &[],
    ),
    (
        "--base-role-arn=arn:aws:iam::123456789012:role/ --iptables=true --host-ip=10.0.0.1 --node=node-2",
        &[IPTABLES],
    ),
    (
        "--app-port=8181 --base-role-arn=arn:aws:iam::123456789012:role/ --iptables=true \
         --host-ip=10.0.0.1 --host-interface=weave --verbose",
        &[IPTABLES, INTERFACE],
    ),
    (
        "--app-port=8181 --auto-discover-base-arn --iptables=true --host-ip=10.0.0.1 \
         --host-interface=tun0 --verbose",
        &[IPTABLES, INTERFACE],
    ),
    // EKS.
    (
        "--auto-discover-base-arn --auto-discover-default-role=true --iptables=true --host-ip=10.0.0.1 \
         --node=node-2 --host-interface=eni+",
        &[IPTABLES, INTERFACE],
    ),
    // Its chart, as it is and with everything set; a value that is empty is left out there.
    (
        "--host-interface=docker0 --node=node-2 --iptables=false --app-port=8181 --metrics-port=8181",
        &["metrics-port", INTERFACE],
    ),
    (
        "--host-interface=cali+ --node=node-2 --host-ip=10.0.0.1 --iptables=true \
         --base-role-arn=arn:aws:iam::123456789012:role/ --default-role=kube2iam-default \
         --namespace-restrictions --use-regional-sts-endpoint --verbose --app-port=8181 \
         --metrics-port=9543",
        &[IPTABLES, INTERFACE, "use-regional-sts-endpoint"],
    ),
    (
        "--host-interface=cbr0 --iptables=true --host-ip=10.0.0.1 --auto-discover-base-arn=true \
         --node=ip-10-0-0-1.eu-west-1.compute.internal --cache-resync-period=1h30m \
         --resolve-duplicate-cache-ips=true --backoff-max-elapsed-time=10s --backoff-max-interval=500ms \
         --iam-role-session-ttl=900s --debug --app-port=8181 --metrics-port=9543",
        &[
            IPTABLES,
            INTERFACE,
            "cache-resync-period",
            "resolve-duplicate-cache-ips",
            "backoff-max-elapsed-time",
            "backoff-max-interval",
            "iam-role-session-ttl",
            "debug",
        ],
    ),
    // Its own tests.
    (
        "--app-port=8181 --iptables=false --metadata-addr=127.0.0.1:1338 \
         --base-role-arn=arn:aws:iam::123456789012:role/ --iam-role-key=iam.amazonaws.com/role \
         --host-ip=10.0.0.1 --node=node-2 --host-interface=eth+ --log-level=debug",
        &[INTERFACE],
    ),
];

#[test]
fn command_lines_of_kube2iam_work_as_they_are() {
    for (line, warned) in LINES {
        let typed: Vec<_> = ["--pods=kube"].into_iter().chain(line.split(' ')).collect();
        let config = config(&typed).unwrap();
        let flags: Vec<_> = config
            .warnings
            .iter()
            .map(|warning| match warning {
                Warning::Flag { flag, .. } => *flag,
                Warning::Variable(name) => panic!("{name}"),
            })
            .collect();
        assert_eq!(flags, *warned, "{line}");
        let base = config.roles.base.map(|base| base.to_string());
        let says_base = line.contains("--base-role-arn");
        assert_eq!(base, says_base.then(|| BASE.to_owned()), "{line}");
        assert_eq!(
            config.discover.is_some(),
            line.contains("--auto-discover"),
            "{line}"
        );
    }
}
