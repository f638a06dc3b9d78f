//! What the tests have in common: a stage, attempts, and what an attempt must come to.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    Options, Place, Pod,
    cgroup::Driver,
    client::Report,
    pod::Spec,
    privilege::root_or_skip,
    process::{Process, output},
    stage::{Agent, NODE_KEY, Programs, Stage},
};
use rustix::fs::stat;
use serde_json::Value;

/// Longer than any single thing takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any loop takes, on an emulated machine too.
pub(crate) const LOOP_PATIENCE: Duration = Duration::from_mins(5);

/// Where a pod finds its role.
pub(crate) const LIST: &str = "/latest/meta-data/iam/security-credentials/";
/// What an agent says that another one has replaced.
pub(crate) const DISPLACED: &str = "another agent has taken over; serving what is under way";
/// What one says that has taken over, when it is the only one.
pub(crate) const ALONE: &str = "the agent before us has ended";

/// The shortest lease there is.
pub(crate) const SHORT_LEASE: [&str; 2] = ["--lease", "1s"];
/// It has expired after that, whenever it was renewed.
pub(crate) const EXPIRED: Duration = Duration::from_millis(1100);

/// The credentials of the node's own role: what the stand-in would give to everybody.
pub(crate) const NODE_KEYS: &str = "/latest/meta-data/iam/security-credentials/node-role";

/// A stage for the test that asks; none without root.
pub(crate) fn stage() -> Option<Stage> {
    stage_with(Driver::default())
}

/// A stage whose cgroups are named by `driver`.
pub(crate) fn stage_with(driver: Driver) -> Option<Stage> {
    let test = thread::current().name().unwrap_or("main").to_owned();
    let set = || Stage::set(Programs::find().unwrap(), Options { driver }, &[]).unwrap();
    root_or_skip(&test).then(set)
}

/// A pod with a role of its own name.
pub(crate) fn pod(stage: &Stage, name: &str) -> Pod {
    stage.add_pod_with_role(name, name).unwrap()
}

/// A pod on the node's network with a role of its own name.
pub(crate) fn host_pod(stage: &Stage, name: &str) -> Pod {
    let spec = Spec::new("shop", name).on_host_network();
    let spec = spec.annotation("iam.amazonaws.com/role", name);
    stage.add_pod(spec).unwrap()
}

/// A place beside the pods that is not the agent's either.
pub(crate) fn beside(stage: &Stage) -> Place {
    let host = stage.node().host();
    let cgroup = host.cgroup().with_file_name("someone");
    fs::create_dir_all(&cgroup).unwrap();
    host.with_cgroup(cgroup)
}

/// Starts an agent of root with the capabilities that it needs, and no others. Files are still root's.
pub(crate) const FOUR_CAPABILITIES: [&str; 6] = [
    "setpriv",
    "--inh-caps",
    "-all",
    "--bounding-set",
    "-all,+bpf,+perfmon,+net_admin,+dac_read_search",
    "--",
];

/// Where the pods' cgroup will be, for an agent that is told so.
pub(crate) fn later(stage: &Stage) -> PathBuf {
    let kubepods = stage.node().kubepods();
    kubepods.with_file_name("later").join("kubepods")
}

/// Where the pod's cgroup would be below another `kubepods`.
pub(crate) fn moved(stage: &Stage, pod: &Pod, kubepods: &Path) -> PathBuf {
    let place = pod.place();
    let relative = place.cgroup().strip_prefix(stage.node().kubepods());
    kubepods.join(relative.unwrap())
}

/// Starts the agent, and waits until it has keys for the pods that are there.
pub(crate) fn start(stage: &Stage, args: &[&str]) -> Agent {
    let agent = stage.start_agent(args).unwrap();
    agent.wait_for_keys().unwrap();
    agent
}

/// Makes one attempt.
pub(crate) fn attempt(stage: &Stage, place: &Place, args: &[&str]) -> Report {
    stage.client().attempt(place, args).unwrap()
}

/// Gets a page as an ordinary client does.
pub(crate) fn get(stage: &Stage, place: &Place, path: &str) -> Report {
    attempt(stage, place, &["get", path])
}

/// The proxy's IPv4 address.
pub(crate) fn proxy(agent: &Agent) -> String {
    format!("10.77.0.1:{}", agent.port())
}

/// The answer is the list of the one role that the pod has.
#[track_caller]
pub(crate) fn assert_role(report: &Report, role: &str) {
    let got = (report.status, report.body.as_deref());
    assert_eq!(got, (Some(200), Some(role)), "{report:?}");
}

/// Waits until the pod gets its role. On a busy machine keys take longer than a client waits.
#[track_caller]
pub(crate) fn wait_until_served(stage: &Stage, pod: &Pod) {
    let name = &pod.spec().name;
    let served = || Ok(attempt(stage, &pod.place(), &["connect"]).body.as_ref() == Some(name));
    assert!(
        wait_until(PATIENCE, served).unwrap(),
        "{name} is not served"
    );
}

/// Programs are attached and no agent lives: the door is closed, or the lease has expired.
#[track_caller]
pub(crate) fn assert_nobody_there(stage: &Stage, pod: &Pod) {
    let report = attempt(stage, &pod.place(), &["get", NODE_KEYS]);
    let error = report.error.as_deref();
    let refused = matches!(error, Some("ECONNREFUSED" | "EPERM"));
    assert!(refused && !report.answered(), "{report:?}");
}

/// The call failed with `error` while it was `doing` something, and nothing was said.
#[track_caller]
pub(crate) fn assert_refused(report: &Report, error: &str, doing: &str) {
    let got = (report.error.as_deref(), report.failed_at.as_deref());
    assert_eq!(got, (Some(error), Some(doing)), "{report:?}");
    assert!(!report.answered(), "{report:?}");
}

/// There was a connection, and it was closed without a word.
#[track_caller]
pub(crate) fn assert_closed(report: &Report) {
    // A reset, if our request had come before it was closed.
    let silent = matches!(
        report.error.as_deref(),
        Some("closed" | "ECONNRESET" | "EPIPE")
    );
    assert!(
        silent && report.connected && !report.answered(),
        "{report:?}"
    );
}

/// A pod gets its own role, a refusal or nothing.
#[track_caller]
pub(crate) fn assert_harmless(stage: &Stage, pod: &Pod) {
    assert_not_anothers(&attempt(stage, &pod.place(), &["connect"]), pod);
}

/// What came is the pod's own role, a refusal or nothing.
#[track_caller]
pub(crate) fn assert_not_anothers(report: &Report, pod: &Pod) {
    let own = report.body.as_ref() == Some(&pod.spec().name);
    assert!(own || report.status != Some(200), "{report:?}");
    assert!(!leaks(report), "{report:?}");
}

/// A pod connects, and nobody listens where it is sent: the lease has not expired yet.
#[track_caller]
pub(crate) fn assert_nobody_listens(stage: &Stage, pod: &Pod) {
    let report = attempt(stage, &pod.place(), &["get", NODE_KEYS]);
    assert_refused(&report, "ECONNREFUSED", "connect");
}

/// The kernel refuses a pod's connects by itself: the lease has expired.
#[track_caller]
pub(crate) fn assert_expired(stage: &Stage, pod: &Pod) {
    let report = attempt(stage, &pod.place(), &["get", NODE_KEYS]);
    assert_refused(&report, "EPERM", "connect");
}

/// Whether the node's keys are to be had from `place`.
pub(crate) fn exposed(stage: &Stage, place: &Place) -> bool {
    leaks(&attempt(stage, place, &["get", NODE_KEYS]))
}

/// Whether something of the node's own is to be seen.
pub(crate) fn leaks(report: &Report) -> bool {
    serde_json::to_string(report).unwrap().contains(NODE_KEY)
}

/// A number of the page of metrics; zero if it is not there.
pub(crate) fn metric(stage: &Stage, name: &str) -> u64 {
    let page = stage.admin("/metrics").unwrap();
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// How many connections were closed without an answer, for this reason.
pub(crate) fn refused_for(stage: &Stage, reason: &str) -> u64 {
    let name = format!("bpf2iam_imds_refused_connections_total{{reason=\"{reason}\"}}");
    metric(stage, &name)
}

/// Whether a line of its output says that.
pub(crate) fn says(process: &Process, what: &str) -> bool {
    process.lines().iter().any(|line| line.contains(what))
}

/// What the agent says of a pod that it does not redirect.
pub(crate) const KEEPS: &str =
    "keeps the node's identity, and its way to the real metadata service (--node-role-for)";

/// Whether an agent has said that it is ready.
pub(crate) fn says_ready(process: &Process) -> bool {
    says(process, "\"message\":\"ready\"")
}

/// Waits for a record of the agent's log with this message that is `wanted`.
pub(crate) fn wait_for_record(
    process: &Process,
    message: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let parse = |line: &str| serde_json::from_str::<Value>(line).ok();
    let fits = |record: &Value| record["message"] == message && wanted(record);
    let line = process.wait_for_line(
        |line| parse(line).is_some_and(|record| fits(&record)),
        PATIENCE,
    );
    parse(&line.unwrap()).unwrap()
}

/// What an agent says that cannot start: its error, as a record of its log. It must end with 1.
pub(crate) fn error_of(agent: Command) -> String {
    only_error(&mut Process::spawn("bpf2iam", agent).unwrap())
}

/// The error of an agent that ends with 1 because of it.
pub(crate) fn only_error(process: &mut Process) -> String {
    let ended = process.wait(PATIENCE).unwrap();
    let lines = process.lines();
    assert_eq!(ended.code(), Some(1), "{lines:#?}");
    let records = lines.iter().map(|line| serde_json::from_str::<Value>(line));
    let records: Vec<_> = records.collect::<Result<_, _>>().unwrap();
    let errors = records.iter().filter(|record| record["level"] == "ERROR");
    let errors: Vec<_> = errors
        .filter_map(|record| record["message"].as_str())
        .collect();
    assert_eq!(errors.len(), 1, "one clear message, but {lines:#?}");
    errors[0].to_owned()
}

/// Runs a program in a place, which must succeed; says what it said.
pub(crate) fn run(place: &Place, program: &str, args: &[&str]) -> String {
    let mut command = place.command(program).unwrap();
    let output = output(command.args(args), PATIENCE).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Adds rules to the firewall of a pod's network, as root of the pod can. Says where to ask for them.
pub(crate) fn firewall(stage: &Stage, pod: &Pod, rules: &str) -> Place {
    let place = stage.node().host().with_network_of(&pod.place());
    run(&place, "nft", &[rules]);
    place
}

/// What a counter of the table `watch` says.
pub(crate) fn packets(place: &Place, counter: &str) -> u64 {
    let said = run(
        place,
        "nft",
        &["-j", "list", "counter", "inet", "watch", counter],
    );
    let said: Value = serde_json::from_str(&said).unwrap();
    let objects = said["nftables"].as_array().unwrap();
    let counter = objects.iter().find(|object| object["counter"].is_object());
    counter.unwrap()["counter"]["packets"].as_u64().unwrap()
}

/// The id of a cgroup.
pub(crate) fn cgroup_id(cgroup: &Path) -> u64 {
    stat(cgroup).unwrap().st_ino
}

/// A path as an argument.
pub(crate) fn text(path: &(impl AsRef<OsStr> + ?Sized)) -> &str {
    path.as_ref().to_str().unwrap()
}

/// A token of the pod's own.
pub(crate) fn token_of(stage: &Stage, pod: &Pod) -> String {
    let header = "X-aws-ec2-metadata-token-ttl-seconds: 21600";
    let ask = [
        "get",
        "/latest/api/token",
        "--method",
        "PUT",
        "--header",
        header,
    ];
    attempt(stage, &pod.place(), &ask).body.unwrap()
}

/// What the pod is told with it.
pub(crate) fn with_token(stage: &Stage, pod: &Pod, token: &str) -> Report {
    let header = format!("X-aws-ec2-metadata-token: {token}");
    attempt(stage, &pod.place(), &["get", LIST, "--header", &header])
}
