//! The contract of the `bpf2iam` command with scripts: exit codes, streams, environment variables.
//!
//! Each test starts the real command with an environment of its own.

use std::process::{Command, Output};

use tempfile::TempDir;

/// What keeps a command that starts although it should not from looking for the machine's metadata service, and from
/// doing anything to its pods.
const HARMLESS: [(&str, &str); 3] = [
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_REGION", "eu-west-1"),
    ("BPF2IAM_KUBEPODS", "no-pods-of-any-node"),
];

/// The command with nothing in its environment but `variables`, and what makes it harmless.
fn bpf2iam(args: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bpf2iam"))
        .args(args)
        .env_clear()
        .envs(HARMLESS)
        .envs(variables.iter().copied())
        .output()
        .expect("the command starts")
}

/// Exit code and both streams.
fn outcome(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_version_goes_to_standard_output() {
    let version = concat!("bpf2iam ", env!("CARGO_PKG_VERSION"), "\n");
    let expected = (Some(0), version.to_owned(), String::new());
    assert_eq!(outcome(bpf2iam(&["--version"], &[])), expected);
}

#[test]
fn wrong_usage_ends_with_2_and_wrong_values_too() {
    for (args, says) in [
        (
            &["--node=a", "--iptables=true"] as &[_],
            "error: --node is a flag of `bpf2iam run`; write `run` before all flags",
        ),
        (
            &["run", "--pods=files"],
            "error: --pods is \"files\"; give kube, or file:DIR",
        ),
        (
            &["run", "--api-token=c2VjcmV0"],
            "error: --api-token is given without --api-server; ",
        ),
        (
            &["run", "--pods=file:/", "--node-ip=x"],
            "error: --node-ip is \"x\"",
        ),
        (
            &["status", "-o", "yaml"],
            "invalid value 'yaml' for '--output <FORMAT>'",
        ),
        (&["fly"], "unrecognized subcommand 'fly'"),
    ] {
        let (code, stdout, stderr) = outcome(bpf2iam(args, &[]));
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
}

/// A variable, a wrong value, and what is said of it.
const WRONG: [(&str, &str, &str); 27] = [
    ("BPF2IAM_NODE_NAME", "a_b", "--node-name is \"a_b\""),
    ("NODE_NAME", "a_b", "$NODE_NAME is \"a_b\""),
    (
        "BPF2IAM_NODE_IP",
        "10.0.0.1,10.0.0.2",
        "--node-ip has 10.0.0.1 and 10.0.0.2",
    ),
    (
        "BPF2IAM_LISTEN_PORT",
        "http",
        "invalid value 'http' for '--listen-port <PORT>'",
    ),
    ("BPF2IAM_PODS", "files", "--pods is \"files\""),
    (
        "BPF2IAM_API_TOKEN",
        "c2VjcmV0",
        "--api-token is given without --api-server",
    ),
    (
        "BPF2IAM_API_TOKEN",
        "c2VjcmV0\nc2VjcmV0",
        "--api-token ($BPF2IAM_API_TOKEN) cannot be used: it has a line break",
    ),
    (
        "BPF2IAM_INSECURE",
        "maybe",
        "invalid value 'maybe' for '--insecure[=<BOOL>]'",
    ),
    (
        "BPF2IAM_METADATA_ADDR",
        "https://x",
        "--metadata-addr is \"https://x\"",
    ),
    (
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "https://x",
        "$AWS_EC2_METADATA_SERVICE_ENDPOINT is \"https://x\"",
    ),
    ("BPF2IAM_IAM_ROLE_KEY", "a b", "--iam-role-key is \"a b\""),
    (
        "BPF2IAM_AUTO_DISCOVER_BASE_ARN",
        "true",
        "$AWS_EC2_METADATA_DISABLED is true, so that nothing can be discovered; ",
    ),
    (
        "BPF2IAM_COMPAT",
        "irsa",
        "invalid value 'irsa' for '--compat <SYSTEM>'",
    ),
    (
        "BPF2IAM_CREDENTIALS",
        "web-identity",
        "--credentials is web-identity, which needs the tokens",
    ),
    (
        "BPF2IAM_IPTABLES",
        "maybe",
        "invalid value 'maybe' for '--iptables[=<BOOL>]'",
    ),
    (
        "BPF2IAM_CGROUP_ROOT",
        "/proc/stat",
        "--cgroup-root is /proc/stat",
    ),
    ("BPF2IAM_KUBEPODS", "..", "--kubepods is \"..\""),
    ("BPF2IAM_RUNTIME_DIR", "run", "--runtime-dir is \"run\""),
    ("BPF2IAM_ADMIN_LISTEN", "9998", "--admin-listen is \"9998\""),
    (
        "BPF2IAM_BASE_ROLE_ARN",
        "b",
        "--base-role-arn cannot be used: \"b\"",
    ),
    (
        "BPF2IAM_DEFAULT_ROLE",
        "d",
        "--default-role cannot be used: \"d\"",
    ),
    (
        "BPF2IAM_IMDS_TOKENS",
        "always",
        "invalid value 'always' for '--imds-tokens <USE>'",
    ),
    ("BPF2IAM_ALLOW_PATH", "user-data", "--allow-path"),
    (
        "BPF2IAM_NODE_ROLE_FOR",
        "Net",
        "--node-role-for cannot be used: \"Net\"",
    ),
    (
        "BPF2IAM_AVAILABILITY_ZONE",
        "a b",
        "--availability-zone is \"a b\"",
    ),
    (
        "BPF2IAM_LOG_LEVEL",
        "loud",
        "invalid value 'loud' for '--log-level <LEVEL>'",
    ),
    (
        "BPF2IAM_LOG_FORMAT",
        "xml",
        "invalid value 'xml' for '--log-format <FORMAT>'",
    ),
];

#[test]
fn every_variable_is_read() {
    let right = [("BPF2IAM_PODS", "file:/"), ("BPF2IAM_NODE_IP", "10.0.0.1")];
    for (variable, value, says) in WRONG {
        let mut variables = right.to_vec();
        if variable == "AWS_EC2_METADATA_SERVICE_ENDPOINT" {
            // Else nobody looks where the service is.
            variables.push(("AWS_EC2_METADATA_DISABLED", "false"));
        }
        variables.push((variable, value));
        let (code, _stdout, stderr) = outcome(bpf2iam(&["run"], &variables));
        assert!(stderr.contains(says), "{variable}: {stderr}");
        assert!(!stderr.contains("c2VjcmV0"), "{stderr}");
        assert_eq!(code, Some(2), "{variable}");
    }
    let variables = [("BPF2IAM_PODS", "file:/"), ("HOST_IP", "host")];
    let (code, _stdout, stderr) = outcome(bpf2iam(&["run"], &variables));
    assert!(
        stderr.starts_with("error: $HOST_IP is \"host\""),
        "{stderr}"
    );
    assert_eq!(code, Some(2));
}

#[test]
fn the_status_of_no_agent_ends_with_1() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path().to_str().unwrap();
    let says = format!(
        "error: no agent answers at {dir}/control.sock; does it run on this node, with the same \
         --runtime-dir?\n"
    );
    for (args, variables) in [
        (&["status", "--runtime-dir", dir] as &[_], &[] as &[_]),
        (&["status", "-o", "json"], &[("BPF2IAM_RUNTIME_DIR", dir)]),
    ] {
        let expected = (Some(1), String::new(), says.clone());
        assert_eq!(outcome(bpf2iam(args, variables)), expected);
    }
}
