//! Processes are where they are said to be.

use std::{fs, process::Command, time::Duration};

use bpf2iam_support::{
    Node, Options, Place,
    cgroup::{Driver, Qos},
    manifest,
    pod::Spec,
    privilege::root_or_skip,
    process::output,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroup and the network namespace of a process that was started in `place`.
fn seen_in(place: &Place) -> (String, String) {
    let mut shell = place.command("sh").unwrap();
    shell.args([
        "-c",
        "sed -n s/^0:://p /proc/self/cgroup; stat -Lc %i /proc/self/ns/net",
    ]);
    let output = output(&mut shell, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (cgroup, netns) = text.trim().split_once('\n').unwrap();
    (cgroup.to_owned(), netns.to_owned())
}

/// What [`seen_in`] must say.
fn promised(node: &Node, place: &Place) -> (String, String) {
    let cgroup = place.cgroup().strip_prefix(node.cgroup_root()).unwrap();
    let mut stat = Command::new("stat");
    stat.arg("-Lc%i").arg(place.netns());
    let inode = output(&mut stat, PATIENCE).unwrap().stdout;
    let inode = String::from_utf8(inode).unwrap().trim().to_owned();
    (format!("/{}", cgroup.display()), inode)
}

#[test]
fn a_process_is_in_its_cgroup_and_its_network() {
    if !root_or_skip("a_process_is_in_its_cgroup_and_its_network") {
        return;
    }
    for driver in [Driver::Cgroupfs, Driver::Systemd] {
        let node = Node::create(Options { driver }).unwrap();
        let spec = Spec::new("shop", "cart").qos(Qos::Burstable);
        let mut pod = node.add_pod(spec.container("proxy")).unwrap();
        let host_pod = node
            .add_pod(Spec::new("shop", "log").on_host_network())
            .unwrap();
        let late = pod.add_container("debug").unwrap();
        for place in [
            node.host(),
            node.stray(),
            pod.place(),
            pod.pause(),
            pod.container("proxy").unwrap(),
            late,
            host_pod.place(),
            node.host().with_network_of(&pod.place()),
        ] {
            assert_eq!(seen_in(&place), promised(&node, &place), "{place:?}");
        }
        assert_eq!(host_pod.place().netns(), node.host().netns());
        assert_ne!(pod.place().netns(), node.host().netns());
    }
}

#[test]
fn a_shell_gets_to_the_same_place_by_hand() {
    if !root_or_skip("a_shell_gets_to_the_same_place_by_hand") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let pod = node.add_pod(Spec::new("shop", "cart")).unwrap();
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        &pod.place()
            .recipe("cat /proc/self/cgroup /proc/net/if_inet6"),
    ]);
    let output = output(&mut shell, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (cgroup, _) = promised(&node, &pod.place());
    assert!(text.contains(&format!("0::{cgroup}\n")), "{text}");
    assert!(text.contains("fd770000000000000000000000010001"), "{text}");
}

#[test]
fn a_pods_cgroups_are_named_as_the_kubelet_names_them() {
    if !root_or_skip("a_pods_cgroups_are_named_as_the_kubelet_names_them") {
        return;
    }
    let node = Node::create(Options {
        driver: Driver::Systemd,
    });
    let node = node.unwrap();
    let uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    let pod = node.add_pod(Spec::new("a", "b").uid(uid)).unwrap();
    let id = &pod.containers()[0].id;
    let path = format!(
        "kubepods-besteffort.slice/kubepods-besteffort-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice/cri-containerd-{id}.scope"
    );
    assert_eq!(pod.place().cgroup(), node.kubepods().join(path));
    assert!(pod.place().cgroup().is_dir());
    assert_eq!(
        fs::read_dir(pod.cgroup())
            .unwrap()
            .flatten()
            .filter(|e| e.path().is_dir())
            .count(),
        2
    );
}

#[test]
fn a_pods_manifest_says_what_it_is() {
    if !root_or_skip("a_pods_manifest_says_what_it_is") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let spec = Spec::new("shop", "cart").annotation("iam.amazonaws.com/role", "cart: \"x\"");
    let pod = node.add_pod(spec.service_account("till")).unwrap();
    let directory = std::env::temp_dir().join(node.name());
    fs::create_dir(&directory).unwrap();
    let path = manifest::write_pod(&directory, &pod).unwrap();
    let written = fs::read_to_string(&path).unwrap();
    let files = fs::read_dir(&directory).unwrap().count();
    fs::remove_dir_all(&directory).unwrap();

    assert!(path.ends_with("shop-cart.yaml"), "{}", path.display());
    assert_eq!(files, 1);
    let object: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(object["metadata"]["uid"], pod.uid());
    assert_eq!(
        object["metadata"]["annotations"]["iam.amazonaws.com/role"],
        "cart: \"x\""
    );
    assert_eq!(object["spec"]["nodeName"], node.name());
    assert_eq!(object["spec"]["serviceAccountName"], "till");
    assert_eq!(object["status"]["podIPs"][0]["ip"], "10.77.1.1");
    assert_eq!(object["status"]["podIPs"][1]["ip"], "fd77::1:1");
    let id = object["status"]["containerStatuses"][0]["containerID"].as_str();
    assert_eq!(
        id,
        Some(format!("containerd://{}", pod.containers()[0].id).as_str())
    );
}
