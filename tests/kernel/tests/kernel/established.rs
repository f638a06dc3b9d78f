//! Connections to the real metadata service that are older than the agent: they end at once, or at least nothing
//! comes by them any more.

use std::{fs, path::Path, thread, time::Duration};

use bpf2iam_support::{
    Place, Pod,
    client::{Report, reported},
    pod::Spec,
    process::Process,
    stage::{Agent, STS, Stage},
};
use rustix::process::Signal;

use crate::scene::{
    FOUR_CAPABILITIES, KEEPS, NODE_KEYS, PATIENCE, assert_refused, assert_role, attempt, beside,
    host_pod, later, leaks, moved, packets, pod, run, stage, start, text, wait_for_record,
};

/// What the agent says when it has cut some.
const CUT: &str = "cut connections to the real metadata service that were older than the agent";
/// What it says in any case when it has looked.
const LOOKED: &str = "looked for connections that are older than the agent";
/// So that it says that.
const DEBUG: [&str; 2] = ["--log-level", "debug"];

const V4: &str = "169.254.169.254:80";
/// Each form of the service's address, and a port that is not its usual one.
const FORMS: [&str; 4] = [
    V4,
    "[::ffff:169.254.169.254]:80",
    "[fd00:ec2::254]:80",
    "169.254.169.254:81",
];

/// A client at `place` with a connection.
fn connected(stage: &Stage, place: &Place, way: &str, to: &str) -> Option<Process> {
    let args = [way, "--to", to, "--path", NODE_KEYS];
    let client = stage.client().start(place, &args).unwrap();
    let said = client.wait_for_line(|line| line == "opened" || line.starts_with('{'), PATIENCE);
    if said.unwrap() == "opened" {
        return Some(client);
    }
    let report: Report = reported(&client, PATIENCE).unwrap();
    assert!(!report.was_made(), "{report:?}");
    None
}

/// A client at `place` with a TCP connection.
fn open(stage: &Stage, place: &Place, to: &str) -> Process {
    connected(stage, place, "opened-before", to).unwrap()
}

/// The client has lost its connection, without having done anything.
#[track_caller]
fn assert_cut(client: &Process) {
    let report: Report = reported(client, PATIENCE).unwrap();
    assert_refused(&report, "ECONNABORTED", "receive");
    assert!(report.connected, "{report:?}");
}

/// What the client gets that asks now by its old connection.
fn ask(mut client: Process) -> Report {
    client.send_line("go on").unwrap();
    reported(&client, PATIENCE).unwrap()
}

/// How many network namespaces the agent has looked at, and how many connections it has cut.
fn looked(agent: &Process) -> [u64; 2] {
    let record = wait_for_record(agent, LOOKED, |_| true);
    ["namespaces", "cut"].map(|field| record[field].as_u64().unwrap())
}

/// Counts what comes to the node for the metadata service, on the node's own side: SYNs, and resets.
fn watch(stage: &Stage) {
    let rules = "table inet watch {
       counter syns { }
       counter resets { }
       chain in {
         type filter hook prerouting priority 0
         ip daddr 169.254.169.254 tcp flags & (syn | ack) == syn counter name syns
         ip6 daddr fd00:ec2::254 tcp flags & (syn | ack) == syn counter name syns
         ip daddr 169.254.169.254 tcp flags & rst == rst counter name resets
         ip6 daddr fd00:ec2::254 tcp flags & rst == rst counter name resets
       }
     }";
    run(&stage.node().host(), "nft", &[rules]);
}

#[test]
fn a_pods_connections_are_cut_at_once_and_the_next_one_leads_to_its_own_role() {
    let Some(mut stage) = stage() else { return };
    stage
        .start_imds(&["--listen", "169.254.169.254:81"])
        .unwrap();
    watch(&stage);
    let pods = [pod(&stage, "cart"), host_pod(&stage, "log")];
    let mut clients = Vec::new();
    for pod in &pods {
        clients.extend(FORMS.map(|form| open(&stage, &pod.place(), form)));
        // Where there is no MPTCP, there is none to be cut.
        clients.extend(connected(&stage, &pod.place(), "opened-before-mptcp", V4));
    }
    let agent = start(&stage, &[]);
    clients.iter().for_each(assert_cut);
    let record = wait_for_record(agent.process(), CUT, |_| true);
    assert_eq!(record["count"], clients.len(), "{record}");
    for pod in &pods {
        for way in ["connect", "mapped", "ipv6"] {
            let report = attempt(&stage, &pod.place(), &[way]);
            assert_role(&report, &pod.spec().name);
        }
    }
    // The service itself is not even told that they are gone.
    let host = stage.node().host();
    assert!(packets(&host, "syns") >= 10);
    assert_eq!(packets(&host, "resets"), 0);
}

#[test]
fn connections_of_the_node_and_to_others_are_not_cut() {
    let Some(stage) = stage() else { return };
    let (cart, log) = (pod(&stage, "cart"), host_pod(&stage, "log"));
    let cut = [&cart, &log].map(|pod| open(&stage, &pod.place(), V4));
    let of_the_node = FORMS[..3]
        .iter()
        .map(|form| open(&stage, &beside(&stage), form));
    let of_the_node: Vec<_> = of_the_node.collect();
    let to_others = [&cart, &log].map(|pod| open(&stage, &pod.place(), &STS.to_string()));
    let _agent = start(&stage, &[]);
    cut.iter().for_each(assert_cut);
    for client in of_the_node {
        let report = ask(client);
        assert_eq!(report.status, Some(200), "{report:?}");
        assert!(leaks(&report), "it is the node's: {report:?}");
    }
    for report in to_others.map(ask) {
        assert_eq!((report.peer, report.status), (Some(STS), Some(400)));
    }
}

#[test]
fn what_is_in_the_agents_own_cgroup_is_not_cut_and_what_is_beside_it_in_its_pod_is() {
    let Some(stage) = stage() else { return };
    let spec = Spec::new("kube-system", "bpf2iam").on_host_network();
    let own = stage.add_pod(spec.container("helper")).unwrap();
    let kept = open(&stage, &own.place(), V4);
    let cut = open(&stage, &own.container("helper").unwrap(), V4);
    let command = stage.agent_in(&own.place(), &[], &DEBUG).unwrap();
    let agent = Agent::ready(Process::spawn("bpf2iam", command).unwrap(), &stage).unwrap();
    assert_cut(&cut);
    assert_eq!(looked(agent.process())[1], 1);
    assert!(leaks(&ask(kept)));
}

#[test]
fn an_agent_that_is_started_anew_or_takes_over_cuts_nothing() {
    let Some(stage) = stage() else { return };
    let (cart, log) = (pod(&stage, "cart"), host_pod(&stage, "log"));
    let older = open(&stage, &cart.place(), V4);
    let agent = start(&stage, &DEBUG);
    assert_cut(&older);
    let others = [&cart, &log].map(|pod| open(&stage, &pod.place(), &STS.to_string()));
    let node = open(&stage, &beside(&stage), V4);
    let spec = Spec::new("kube-system", "plugin").on_host_network();
    let plugin = stage.add_pod(spec).unwrap();
    wait_for_record(agent.process(), KEEPS, |_| true);
    let exempt = open(&stage, &plugin.place(), V4);
    agent.end(Signal::KILL).unwrap();
    let anew = start(&stage, &DEBUG);
    assert_eq!(looked(anew.process())[1], 0);
    let next = stage.agent(&DEBUG).unwrap();
    let next = Agent::ready(Process::spawn("bpf2iam", next).unwrap(), &stage).unwrap();
    wait_for_record(next.process(), "the agent before us has ended", |_| true);
    for agent in [&anew, &next] {
        assert_eq!(agent.logged(CUT), [] as [serde_json::Value; 0]);
    }
    for report in others.map(ask) {
        assert_eq!((report.peer, report.status), (Some(STS), Some(400)));
    }
    assert!(leaks(&ask(node)) && leaks(&ask(exempt)));
}

#[test]
fn what_was_opened_while_the_lease_let_it_pass_is_cut_when_an_agent_is_back() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &["--lease", "1s", "--when-agent-gone", "allow"]);
    agent.end(Signal::KILL).unwrap();
    thread::sleep(Duration::from_millis(1200));
    let older = open(&stage, &cart.place(), V4);
    let agent = start(&stage, &[]);
    assert_cut(&older);
    wait_for_record(agent.process(), CUT, |record| record["count"] == 1);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}

#[test]
fn what_was_opened_before_the_pods_cgroup_was_guarded_again_is_cut() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let kubepods = later(&stage);
    let cgroup = moved(&stage, &cart, &kubepods);
    fs::create_dir_all(&kubepods).unwrap();
    let agent = start(&stage, &["--kubepods", text(&kubepods)]);
    // It is slow to see what happens.
    agent.process().signal(Signal::STOP).unwrap();
    fs::remove_dir(&kubepods).unwrap();
    fs::create_dir_all(&cgroup).unwrap();
    let place = cart.place().with_cgroup(&cgroup);
    let older = open(&stage, &place, V4);
    agent.process().signal(Signal::CONT).unwrap();
    assert_cut(&older);
    assert_role(&attempt(&stage, &place, &["connect"]), "cart");
    let said = "the pods' cgroup was made anew; attached again";
    wait_for_record(agent.process(), said, |_| true);
}

/// Where no namespaces are to be seen.
fn no_namespaces(stage: &Stage) -> std::path::PathBuf {
    let empty = stage.scratch().join("no-netns");
    fs::create_dir_all(&empty).unwrap();
    empty
}

/// Hides the node's processes from what it starts, as a container's PID namespace does.
const CONTAINER: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// An agent on the node, started by the words of `launcher`, that looks for namespaces in `netns_dir`.
fn start_by(stage: &Stage, launcher: &[&str], netns_dir: &Path) -> Agent {
    let args = [&DEBUG[..], &["--netns-dir", text(netns_dir)]].concat();
    let command = stage.agent_in(&stage.node().host(), launcher, &args);
    let process = Process::spawn("bpf2iam", command.unwrap()).unwrap();
    Agent::ready(process, stage).unwrap()
}

/// A pod of its own network and one on the node's, each with a connection.
fn two_pods(stage: &Stage) -> ([Pod; 2], [Process; 2]) {
    let pods = [pod(stage, "cart"), host_pod(stage, "log")];
    let clients = pods.each_ref().map(|pod| open(stage, &pod.place(), V4));
    (pods, clients)
}

#[test]
fn processes_lead_to_their_namespaces_where_no_files_do() {
    let Some(stage) = stage() else { return };
    let (_pods, clients) = two_pods(&stage);
    let agent = start_by(&stage, &[], &no_namespaces(&stage));
    clients.iter().for_each(assert_cut);
    assert_eq!(looked(agent.process()), [2, 2]);
}

#[test]
fn files_lead_to_namespaces_where_no_processes_are_to_be_seen() {
    let Some(stage) = stage() else { return };
    let (_pods, clients) = two_pods(&stage);
    let agent = start_by(&stage, &CONTAINER, Path::new("/run/netns"));
    clients.iter().for_each(assert_cut);
    // Other tests have namespaces there as well.
    let [namespaces, cut] = looked(agent.process());
    assert!(namespaces >= 2 && cut == 2, "{namespaces}, {cut}");
    agent.end(Signal::KILL).unwrap();
}

/// The pod's connection is still there, and nothing comes by it.
#[track_caller]
fn assert_fenced(agent: &Agent, client: Process) {
    let report = ask(client);
    assert_refused(&report, "ETIMEDOUT", "receive");
    assert!(report.connected && !leaks(&report), "{report:?}");
    assert!(agent.kernel_counter("dropped_packets").unwrap() > 0);
}

#[test]
fn nothing_comes_by_a_connection_whose_namespace_is_not_to_be_seen() {
    let Some(stage) = stage() else { return };
    let ([cart, _log], [fenced, cut]) = two_pods(&stage);
    let agent = start_by(&stage, &CONTAINER, &no_namespaces(&stage));
    assert_cut(&cut);
    assert_eq!(looked(agent.process()), [1, 1]);
    assert_fenced(&agent, fenced);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    agent.end(Signal::KILL).unwrap();
}

#[test]
fn an_agent_that_may_not_enter_namespaces_says_so_once_and_leaves_the_rest_to_the_programs() {
    let Some(stage) = stage() else { return };
    let (_pods, [fenced, cut]) = two_pods(&stage);
    let agent = start_by(&stage, &FOUR_CAPABILITIES, Path::new("/run/netns"));
    assert_cut(&cut);
    assert_eq!(looked(agent.process()), [1, 1]);
    let left = "connections that are older than the agent may be left; ";
    let lines = agent.process().lines();
    let said: Vec<_> = lines.iter().filter(|line| line.contains(left)).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("\"level\":\"INFO\""), "{said:?}");
    assert!(
        said[0].contains("cannot enter the network namespace /run/netns/"),
        "{said:?}"
    );
    assert_fenced(&agent, fenced);
}
