//! The real command, without privileges. `BPF2IAM_BIN` names it.

use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    pod::Pod,
    wait::soon,
    world::{BASE_ARN, REGION, Setup},
};

/// The command; none where it was not built. That is said past the harness's capture, and in CI it is a failure.
fn bpf2iam(test: &str) -> Option<PathBuf> {
    let named = env::var_os("BPF2IAM_BIN").map(PathBuf::from);
    if named.is_none() {
        let ci = env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(
            !ci,
            "{test} needs BPF2IAM_BIN, and in CI no test is skipped"
        );
        let _closed = writeln!(io::stderr(), "SKIPPED: {test} needs BPF2IAM_BIN").is_err();
    }
    named
}

/// Exit code, standard output, standard error.
async fn run(command: &mut Command) -> (Option<i32>, String, String) {
    // A command that starts although it should not must not look for the machine's metadata service, and must not do
    // anything to its pods.
    let harmless = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", REGION),
        ("BPF2IAM_KUBEPODS", "no-pods-of-any-node"),
    ];
    let ended = command
        .env_clear()
        .envs(harmless)
        .kill_on_drop(true)
        .output();
    let output = soon(ended).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The contract with scripts and charts: bpf2iam's flags, and all of kube2iam's.
const FLAGS: [&str; 53] = [
    "node-name",
    "listen-port",
    "node-ip",
    "cgroup-root",
    "kubepods",
    "netns-dir",
    "runtime-dir",
    "admin-listen",
    "pin-dir",
    "lease",
    "when-agent-gone",
    "daemon-set",
    "startup-taint",
    "metadata-addr",
    "availability-zone",
    "imds-tokens",
    "allow-path",
    "pods",
    "kubeconfig",
    "api-server",
    "api-token",
    "insecure",
    "base-role-arn",
    "auto-discover-base-arn",
    "default-role",
    "auto-discover-default-role",
    "iam-role-key",
    "iam-external-id",
    "namespace-key",
    "namespace-restrictions",
    "namespace-restriction-format",
    "compat",
    "credentials",
    "node-role-for",
    "session-name",
    "session-tags",
    "cluster-name",
    "cluster-arn",
    "session-duration",
    "log-level",
    "log-format",
    "verbose",
    "metrics-port",
    "iptables",
    "host-interface",
    "use-regional-sts-endpoint",
    "cache-resync-period",
    "resolve-duplicate-cache-ips",
    "backoff-max-elapsed-time",
    "backoff-max-interval",
    "iam-role-session-ttl",
    "iam-role-error-ttl",
    "debug",
];

/// kube2iam's names of flags that we call otherwise.
const ALIASES: [&str; 3] = ["--node", "--host-ip", "--app-port"];

#[tokio::test]
async fn help_lists_each_flag_and_no_other() {
    let Some(command) = bpf2iam("help_lists_each_flag_and_no_other") else {
        return;
    };
    let (code, help, _) = run(Command::new(command).args(["run", "--help"])).await;
    assert_eq!(code, Some(0));
    let words: Vec<_> = help
        .split(|c: char| c.is_whitespace() || "[]:,=".contains(c))
        .collect();
    let variables = FLAGS.map(|flag| format!("BPF2IAM_{}", flag.to_uppercase().replace('-', "_")));
    let flags = FLAGS.map(|flag| format!("--{flag}"));
    let expected = flags.iter().chain(&variables).map(String::as_str);
    for word in expected.chain(ALIASES) {
        assert!(words.contains(&word), "{word} in\n{help}");
    }
    let lines = help.lines().map(str::trim_start);
    for line in lines.filter(|line| line.starts_with("--")) {
        let flag = line.split([' ', '[']).next().unwrap();
        assert!(flags.iter().any(|known| known == flag), "{line}");
    }
}

#[tokio::test]
async fn wrong_usage_ends_with_2_and_names_the_flag() {
    let Some(command) = bpf2iam("wrong_usage_ends_with_2_and_names_the_flag") else {
        return;
    };
    let right = ["run", "--pods=file:/", "--node-ip=127.0.0.1"];
    for (wrong, named) in [
        ("--port=80", "--port"),
        ("--listen-port=65536", "--listen-port"),
        ("--node-name=a_b", "--node-name"),
        ("--admin-listen=9998", "--admin-listen"),
        ("--base-role-arn=role", "--base-role-arn"),
        ("--default-role=fallback", "--default-role"),
        ("--kubepods=../..", "--kubepods"),
        ("--cgroup-root=/proc/stat", "--cgroup-root"),
        ("--log-level=all", "--log-level"),
    ] {
        let (code, _, said) = run(Command::new(&command).args(right).arg(wrong)).await;
        assert_eq!(code, Some(2), "{wrong}: {said}");
        assert!(
            said.starts_with("error: ") && said.contains(named),
            "{wrong}: {said}"
        );
    }
}

/// `command` as somebody who may nothing, in a directory that everybody may read.
fn unprivileged(command: &Path, directory: &TempDir) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(command);
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("bpf2iam");
    // Not by ourselves: what is open for writing in any process cannot be run.
    let copied = std::process::Command::new("cp")
        .arg(command)
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    let mut setpriv = Command::new("setpriv");
    setpriv
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
        ])
        .arg(copy);
    setpriv
}

#[tokio::test]
async fn without_privileges_it_says_what_is_missing() {
    let Some(command) = bpf2iam("without_privileges_it_says_what_is_missing") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut command = unprivileged(&command, &directory);
    command
        .args([
            "run",
            "--node-ip=127.0.0.1",
            "--admin-listen=off",
            "--log-format=json",
        ])
        .arg(format!("--pods=file:{}", directory.path().display()))
        .arg(format!(
            "--runtime-dir={}",
            directory.path().join("run").display()
        ));
    let (code, stdout, said) = run(&mut command).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{said}");
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "ERROR");
    let message = last["message"].as_str().unwrap();
    for part in [
        "CAP_BPF",
        "CAP_PERFMON",
        "CAP_NET_ADMIN",
        "CAP_DAC_READ_SEARCH",
        "as root",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!directory.path().join("run").exists(), "nothing was begun");
}

/// `bpf2iam doctor` as somebody who may nothing, on a node where nothing of ours is, and who reaches nobody.
fn doctor(command: &Path, directory: &TempDir, args: &[&str]) -> Command {
    let doctor = unprivileged(command, directory);
    let mut env = Command::new("env");
    env.arg("AWS_ENDPOINT_URL_STS=http://127.0.0.1:9")
        .arg(doctor.as_std().get_program())
        .args(doctor.as_std().get_args())
        .args(["doctor", "--runtime-dir"])
        .arg(directory.path().join("run"))
        .arg("--pin-dir")
        .arg(directory.path().join("pins"))
        .args(args);
    env
}

#[tokio::test]
async fn the_doctor_says_what_it_can_to_whoever_may_nothing() {
    let Some(command) = bpf2iam("the_doctor_says_what_it_can_to_whoever_may_nothing") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (code, page, said) = run(&mut doctor(&command, &directory, &["-o", "json"])).await;
    assert_eq!((code, &*said), (Some(1), ""), "{page}");
    let findings: Vec<serde_json::Value> = serde_json::from_str(&page).unwrap();
    let names = ["check", "fix", "verdict", "what"];
    for finding in &findings {
        let fields: Vec<_> = finding.as_object().unwrap().keys().collect();
        assert_eq!(fields, names);
        assert_eq!(finding["fix"].is_null(), finding["verdict"] == "ok");
    }
    let mut checks: Vec<_> = findings.iter().map(|finding| &finding["check"]).collect();
    checks.dedup();
    assert_eq!(checks.len(), 15, "each check says something: {checks:?}");
    for (check, says) in [
        ("capabilities", "this process lacks CAP_BPF, CAP_PERFMON"),
        ("bpffs", "is on no bpf file system (--pin-dir)"),
        ("agent", "no agent answers at "),
        ("programs", "nothing is pinned at "),
        ("sts", "STS at http://127.0.0.1:9/ cannot be reached"),
        ("metadata", "not asked: $AWS_EC2_METADATA_DISABLED is true"),
    ] {
        let mut about = findings.iter().filter(|finding| finding["check"] == check);
        let what = about.next().unwrap()["what"].as_str().unwrap();
        assert!(what.contains(says), "{what}");
    }
    let (code, page, _) = run(&mut doctor(&command, &directory, &[])).await;
    assert_eq!(code, Some(1));
    assert!(page.starts_with("VERDICT  CHECK"), "{page}");
    assert!(page.contains("fix: sudo bpf2iam doctor\n"), "{page}");
}

#[tokio::test]
async fn the_doctor_is_not_asked_nonsense() {
    let Some(command) = bpf2iam("the_doctor_is_not_asked_nonsense") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for wrong in [
        "--metadata-addr=https://x",
        "--kubepods=..",
        "--pods=file:/",
        "--output=yaml",
    ] {
        let (code, page, said) = run(&mut doctor(&command, &directory, &[wrong])).await;
        assert_eq!((code, &*page), (Some(2), ""), "{wrong}: {said}");
        let flag = wrong.split('=').next().unwrap();
        assert!(said.contains(flag), "{wrong}: {said}");
    }
}

#[tokio::test]
async fn the_status_of_no_agent_ends_with_1() {
    let Some(command) = bpf2iam("the_status_of_no_agent_ends_with_1") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let ask = ["status", "--runtime-dir"];
    let (code, stdout, said) = run(Command::new(command).args(ask).arg(directory.path())).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        said.starts_with("error: no agent answers at ") && said.contains("--runtime-dir"),
        "{said}"
    );
}

#[tokio::test]
async fn the_status_of_an_agent_is_printed_for_people_and_for_programs() {
    let Some(command) = bpf2iam("the_status_of_an_agent_is_printed_for_people_and_for_programs")
    else {
        return;
    };
    let pod = Pod::new(1);
    let world = Setup::default().pod(pod, "a-role").start().await;
    world.client(pod).keys("a-role").await;
    let ask = |format: &'static str| {
        let mut command = Command::new(&command);
        command
            .args(["status", "-o", format, "--runtime-dir"])
            .arg(world.runtime_dir());
        command
    };
    let (code, text, _) = run(&mut ask("text")).await;
    assert_eq!(code, Some(0));
    assert!(text.contains("pod-1") && text.contains("a-role"), "{text}");
    let (code, json, _) = run(&mut ask("json")).await;
    assert_eq!(code, Some(0));
    let json_value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json_value["pods"][0]["role"], format!("{BASE_ARN}a-role"));
    assert_eq!(json_value["pods"][0]["state"], "ready");
    let leaks = world.leaks(vec![text, json]);
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[tokio::test]
async fn a_pod_is_explained_by_files_and_flags_alone() {
    let Some(command) = bpf2iam("a_pod_is_explained_by_files_and_flags_alone") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let manifest = Pod::new(1).manifest(Some("cart")).to_string();
    fs::write(directory.path().join("pod.json"), manifest).unwrap();
    let pods = format!("--pods=file:{}", directory.path().display());
    let base = format!("--base-role-arn={BASE_ARN}");
    let ask = async |more: &[&str]| {
        let args = ["explain", "shop/pod-1", &pods, &base];
        run(Command::new(&command).args(args).args(more)).await
    };
    let (code, page, _) = ask(&[]).await;
    assert_eq!(code, Some(0), "{page}");
    let role = format!("role of their own: {BASE_ARN}cart\n");
    assert!(page.contains(&role), "{page}");
    let (code, page, _) = ask(&["--role=till", "-o", "json"]).await;
    assert_eq!(code, Some(0), "{page}");
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let outcome = &page["cases"][0]["outcome"];
    assert_eq!(outcome["role"], format!("{BASE_ARN}till"), "{page}");
    for (more, code, says) in [
        (&["--namespace-restrictions"][..], 0, ""),
        (&["--auto-discover-base-arn"], 2, "--auto-discover-base-arn"),
        (&["--annotation=x"], 2, "KEY=VALUE"),
        (&["--pods=kube"], 2, "file:DIR"),
        (&["--pods=file:/nonexistent"], 1, "/nonexistent"),
        (&["--iam-role-key=a b"], 2, "--iam-role-key"),
    ] {
        let (ended, _, said) = ask(more).await;
        assert_eq!(ended, Some(code), "{more:?}: {said}");
        assert!(said.contains(says), "{more:?}: {said}");
    }
    // What was never applied has no UID and no node, and a list of a cluster's pods is long.
    let mut fresh = Pod::new(2).manifest(Some("fresh"));
    fresh["metadata"].as_object_mut().unwrap().remove("uid");
    fresh["spec"].as_object_mut().unwrap().remove("nodeName");
    fresh["metadata"]["annotations"]["note"] = "x".repeat(3 << 20).into();
    let all = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [fresh]});
    fs::write(directory.path().join("all.json"), all.to_string()).unwrap();
    let args = ["explain", "shop/pod-2", &pods, &base];
    let (code, page, said) = run(Command::new(&command).args(args)).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(page.contains(&format!("{BASE_ARN}fresh\n")), "{page}");
    let args = ["explain", "shop/pod-3", &pods];
    let (code, _, said) = run(Command::new(&command).args(args)).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("no manifest of the pod shop/pod-3"), "{said}");
}

#[tokio::test]
async fn an_agent_that_is_not_there_explains_nothing() {
    let Some(command) = bpf2iam("an_agent_that_is_not_there_explains_nothing") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let dir = format!("--runtime-dir={}", directory.path().display());
    let args = ["explain", "shop/cart", &dir];
    let (code, _, said) = run(Command::new(&command).args(args)).await;
    assert_eq!(code, Some(1));
    assert!(said.starts_with("error: no agent answers at "), "{said}");
    for wrong in [
        &["explain", "cart"][..],
        &["explain", "shop/ca rt"],
        &["explain", "shop/cart", "--service-account=A_b"],
        &["explain", "shop/cart", "--annotation=x"],
        // The agent that is asked has its own.
        &["explain", "shop/cart", "--namespace-restrictions"],
        &["explain", "shop/cart", "--default-role=x"],
    ] {
        let (code, _, said) = run(Command::new(&command).args(wrong)).await;
        assert_eq!(code, Some(2), "{wrong:?}: {said}");
    }
}

#[tokio::test]
async fn an_uninstall_leaves_what_is_on_no_bpf_file_system() {
    let Some(command) = bpf2iam("an_uninstall_leaves_what_is_on_no_bpf_file_system") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    // As somebody keeps data by the year, and not what a version has pinned.
    let data = directory.path().join("data");
    let picture = data.join("2024/maps/picture");
    fs::create_dir_all(picture.parent().unwrap()).unwrap();
    fs::write(&picture, "of a cat").unwrap();
    let runtime = format!("--runtime-dir={}", directory.path().join("run").display());
    let uninstall = async |pin_dir: &Path, more: &[&str]| {
        let pin_dir = format!("--pin-dir={}", pin_dir.display());
        let args = [&["uninstall", &pin_dir, &runtime], more].concat();
        run(Command::new(&command).args(args)).await
    };
    for more in [&["--dry-run"][..], &[]] {
        let (code, page, said) = uninstall(&data, more).await;
        assert_eq!((code, &*page), (Some(1), ""), "{said}");
        let says = format!("{} is on no bpf file system", data.display());
        assert!(said.contains(&says), "{said}");
        assert_eq!(fs::read_to_string(&picture).unwrap(), "of a cat");
        let nowhere = directory.path().join("none");
        let (code, page, said) = uninstall(&nowhere, more).await;
        assert_eq!(code, Some(0), "{said}");
        let says = format!("nothing is pinned at {}\n", nowhere.display());
        assert_eq!(page, says);
        assert!(!nowhere.exists());
    }
}
