//! What may be wrong with where the agent pins: the file system, the directories, the pins.
//!
//! What does not fit is named and left; what is missing is made; and whatever it is, what is attached stays attached.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use bpf2iam_ebpf::abi;
use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    Pod,
    process::Process,
    stage::{Agent, Stage},
};
use rustix::{
    fs::{FlockOperation, flock},
    mount::{MountFlags, UnmountFlags, mount_remount, unmount},
    process::Signal,
};

use crate::{
    footprint::{LINKS, MAPS, attached, version, version_of},
    scene::{
        PATIENCE, assert_nobody_there, error_of, exposed, pod, stage, start, text, wait_for_record,
        wait_until_served,
    },
};

/// Where the bpf file system is mounted.
fn mount_point(stage: &Stage) -> PathBuf {
    stage.pin_dir().parent().unwrap().to_owned()
}

/// What a directory has in it.
fn names(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A stage on which an agent was killed: pods are refused.
fn after_a_crash() -> Option<(Stage, Pod)> {
    let stage = stage()?;
    let cart = pod(&stage, "cart");
    stage.start_agent(&[]).unwrap().end(Signal::KILL).unwrap();
    assert_nobody_there(&stage, &cart);
    Some((stage, cart))
}

/// The next agent serves, with all that belongs to it in its place.
#[track_caller]
fn assert_next_serves(stage: &Stage, pod: &Pod) -> Agent {
    let agent = stage.start_agent(&[]).unwrap();
    wait_until_served(stage, pod);
    assert_eq!(attached(stage), LINKS);
    assert_eq!(names(&version(stage).join("links")).len(), LINKS);
    assert_eq!(names(&version(stage).join("maps")).len(), MAPS);
    agent
}

fn remount(stage: &Stage, flags: MountFlags) {
    let flags = flags | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_remount(mount_point(stage), flags, c"mode=0700").unwrap();
}

#[test]
fn on_a_read_only_file_system_nothing_starts_and_what_serves_goes_on() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    remount(&stage, MountFlags::RDONLY);
    let error = error_of(stage.agent(&[]).unwrap());
    assert!(error.contains("cannot make the directory"), "{error}");
    assert!(error.contains("Read-only file system"), "{error}");
    assert_eq!(attached(&stage), 0);

    remount(&stage, MountFlags::empty());
    let agent = start(&stage, &[]);
    remount(&stage, MountFlags::RDONLY);
    wait_until_served(&stage, &cart);
    // Nothing can be taken away there either, and nothing is.
    assert_eq!(agent.end(Signal::INT).unwrap().code(), Some(1));
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(!done && said.contains("Read-only file system"), "{said}");
    assert_eq!(attached(&stage), LINKS);
    assert_nobody_there(&stage, &cart);

    remount(&stage, MountFlags::empty());
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(done, "{said}");
    assert_eq!(attached(&stage), 0);
}

/// A hole, which takes a mount of one's own where the agent runs: what is pinned there goes with its last process. On the
/// node's own file system it stays.
#[test]
fn pins_on_a_file_system_of_the_agents_own_go_with_it() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let mount = format!(
        "mount -t bpf bpf {} && exec \"$@\"",
        mount_point(&stage).display()
    );
    let launcher = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
    let agent = stage
        .agent_in(&stage.node().host(), &launcher, &[])
        .unwrap();
    let agent = Agent::ready(Process::spawn("bpf2iam", agent).unwrap(), &stage).unwrap();
    wait_until_served(&stage, &cart);
    agent.end(Signal::KILL).unwrap();
    let gone = || Ok(attached(&stage) == 0);
    assert!(
        wait_until(PATIENCE, gone).unwrap(),
        "the hole is closed: say so in the documents"
    );
    assert!(exposed(&stage, &cart.place()));
}

/// The file system lives on, unseen, for as long as the agent does.
#[test]
fn an_agent_whose_file_system_is_unmounted_says_so_and_goes_on() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &["--lease", "1s"]);
    unmount(mount_point(&stage), UnmountFlags::DETACH).unwrap();
    let says = |line: &str| {
        line.contains("cannot look after the programs: ")
            && line.contains("is on no bpf file system")
    };
    agent.process().wait_for_line(says, PATIENCE).unwrap();
    let pending = "not ready: waiting for the programs to be looked after\n";
    assert_eq!(stage.admin("/readyz").unwrap(), pending);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(attached(&stage), LINKS);
    wait_until_served(&stage, &cart);
    let error = error_of(stage.agent(&[]).unwrap());
    assert!(
        error.contains("is on no bpf file system (--pin-dir)"),
        "{error}"
    );
    wait_until_served(&stage, &cart);
}

/// The names of everything that is pinned: below the directory of a version.
const MAP_NAMES: [&str; MAPS] = [
    "IMDS_ACTIVE",
    "IMDS_CONFIG",
    "IMDS_CONNS",
    "IMDS_COUNTERS",
    "IMDS_EXEMPT",
    "IMDS_LEASE",
    "IMDS_SOCKETS",
    "IMDS_TOKEN_KEY",
];
const PROGRAMS: [&str; LINKS] = [
    "imds_connect4",
    "imds_connect6",
    "imds_egress",
    "imds_getpeer4",
    "imds_getpeer6",
    "imds_sendmsg4",
    "imds_sendmsg6",
    "imds_sockops",
];

#[test]
fn what_is_not_ours_is_named_and_left_whichever_of_our_names_it_bears() {
    let Some((stage, cart)) = after_a_crash() else {
        return;
    };
    let (maps, links) = (version(&stage).join("maps"), version(&stage).join("links"));
    let aside = stage.pin_dir().join("aside");
    let map = |name: &str| maps.join(name);
    let link = |name: &str| links.join(name);
    let other = |names: [&'static str; 8], at: usize| names[(at + 1) % names.len()];
    for at in 0..8 {
        for (ours, foreign, why) in [
            (map(MAP_NAMES[at]), link(PROGRAMS[at]), "it is no map"),
            (
                map(MAP_NAMES[at]),
                map(other(MAP_NAMES, at)),
                "the map has the type",
            ),
            (link(PROGRAMS[at]), map(MAP_NAMES[at]), "it is no link"),
            (
                link(PROGRAMS[at]),
                link(other(PROGRAMS, at)),
                "the link leads to another kind of hook",
            ),
        ] {
            fs::rename(&ours, &aside).unwrap();
            fs::rename(&foreign, &ours).unwrap();
            let error = error_of(stage.agent(&[]).unwrap());
            assert!(
                error.contains(text(&ours)) && error.contains(why),
                "{error}"
            );
            assert_eq!(attached(&stage), LINKS);
            assert_nobody_there(&stage, &cart);
            fs::rename(&ours, &foreign).unwrap();
            fs::rename(&aside, &ours).unwrap();
        }
    }
    assert_next_serves(&stage, &cart);
}

#[test]
fn what_is_missing_of_a_version_is_made_anew() {
    let Some((stage, cart)) = after_a_crash() else {
        return;
    };
    let (maps, links) = (version(&stage).join("maps"), version(&stage).join("links"));
    let mut truncations: Vec<Vec<PathBuf>> =
        names(&maps).into_iter().map(|map| vec![map]).collect();
    truncations.push(vec![links.join("imds_connect6")]);
    truncations.push(vec![links.join("imds_sockops")]);
    truncations.push(names(&links));
    truncations.push(names(&maps));
    truncations.push([names(&maps), names(&links)].concat());
    for missing in truncations {
        for pin in &missing {
            fs::remove_file(pin).unwrap();
        }
        println!("without {missing:?}");
        let agent = assert_next_serves(&stage, &cart);
        agent.end(Signal::KILL).unwrap();
        assert_nobody_there(&stage, &cart);
    }
}

/// A directory of a version that is not ours, with pins of its own: as if ours had been upgraded, and came back.
fn newer(stage: &Stage) -> PathBuf {
    let newer = version_of(stage, abi::VERSION + 1);
    fs::rename(version(stage), &newer).unwrap();
    newer
}

#[test]
fn a_newer_version_is_superseded_also_while_its_agent_lives() {
    for lives in [false, true] {
        let Some((stage, cart)) = after_a_crash() else {
            return;
        };
        let newer = newer(&stage);
        // It may keep more, and otherwise, than we do.
        for dir in ["programs/deep", "links/sub"] {
            fs::create_dir_all(newer.join(dir)).unwrap();
        }
        fs::rename(
            newer.join("maps/IMDS_CONNS"),
            newer.join("programs/deep/map"),
        )
        .unwrap();
        let lock = fs::File::open(&newer).unwrap();
        if lives {
            flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
            let (done, said) = stage.uninstall(&[]).unwrap();
            assert!(
                !done && said.contains("an agent serves this node"),
                "{said}"
            );
        }
        let agent = assert_next_serves(&stage, &cart);
        assert!(!newer.exists());
        assert!(agent.stop().unwrap().success());
        let (done, said) = stage.uninstall(&[]).unwrap();
        assert!(done, "{said}");
        assert!(!stage.pin_dir().exists());
    }
}

#[test]
fn what_bears_the_number_of_a_version_and_is_no_directory_is_no_version() {
    let Some((stage, cart)) = after_a_crash() else {
        return;
    };
    fs::rename(
        version(&stage).join("maps/IMDS_CONNS"),
        version_of(&stage, 4711),
    )
    .unwrap();
    symlink("/proc", version_of(&stage, 4712)).unwrap();
    let agent = assert_next_serves(&stage, &cart);
    assert!(agent.stop().unwrap().success());
    // It is not ours to be removed.
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(!done && said.contains("Directory not empty"), "{said}");
    assert_eq!((attached(&stage), names(&stage.pin_dir()).len()), (0, 2));
}

/// The directories, from the outermost.
fn directories(stage: &Stage) -> [PathBuf; 4] {
    let (root, version) = (stage.pin_dir(), version(stage));
    let (maps, links) = (version.join("maps"), version.join("links"));
    [root, version, maps, links]
}

#[test]
fn a_file_where_a_directory_should_be_is_named_and_left() {
    let Some((stage, cart)) = after_a_crash() else {
        return;
    };
    let map = version(&stage).join("maps").join("IMDS_CONNS");
    let aside = ["map", "directory"].map(|name| mount_point(&stage).join(name));
    for dir in directories(&stage) {
        fs::rename(&map, &aside[0]).unwrap();
        fs::rename(&dir, &aside[1]).unwrap();
        fs::rename(&aside[0], &dir).unwrap();
        let error = error_of(stage.agent(&[]).unwrap());
        let says = format!("{} is no directory (--pin-dir)", dir.display());
        assert!(error.contains(&says), "{error}");
        assert_eq!(attached(&stage), LINKS);
        assert_nobody_there(&stage, &cart);
        fs::rename(&dir, &aside[0]).unwrap();
        fs::rename(&aside[1], &dir).unwrap();
        fs::rename(&aside[0], &map).unwrap();
    }
    assert_next_serves(&stage, &cart);
}

#[test]
fn directories_are_made_private_and_those_of_others_are_named() {
    let Some((stage, cart)) = after_a_crash() else {
        return;
    };
    let dirs = directories(&stage);
    for dir in &dirs {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let agent = assert_next_serves(&stage, &cart);
    for dir in &dirs {
        assert_eq!(
            fs::metadata(dir).unwrap().mode() & 0o777,
            0o700,
            "{}",
            dir.display()
        );
    }
    agent.end(Signal::KILL).unwrap();
    for dir in &dirs {
        chown(dir, Some(65534), None).unwrap();
        let error = error_of(stage.agent(&[]).unwrap());
        let says = format!("{} belongs to the user 65534 (--pin-dir)", dir.display());
        assert!(error.contains(&says), "{error}");
        assert_nobody_there(&stage, &cart);
        chown(dir, Some(0), None).unwrap();
    }
    assert_next_serves(&stage, &cart);
}

#[test]
fn pins_need_a_bpf_file_system() {
    let Some(stage) = stage() else { return };
    let error = error_of(stage.agent(&["--pin-dir", "/run/bpf2iam-no-pins"]).unwrap());
    assert!(
        error.contains("/run/bpf2iam-no-pins is on no bpf file system (--pin-dir)"),
        "{error}"
    );
    assert!(error.contains("mount -t bpf bpf /sys/fs/bpf"), "{error}");
    assert_eq!(attached(&stage), 0);
}

#[test]
fn the_bpf_file_system_itself_is_left_to_others() {
    let Some(stage) = stage() else { return };
    let mount = stage.pin_dir().parent().unwrap().to_owned();
    let error = error_of(stage.agent(&["--pin-dir", text(&mount)]).unwrap());
    let says = format!(
        "{} is where the bpf file system is mounted (--pin-dir)",
        mount.display()
    );
    assert!(error.contains(&says), "{error}");
    assert!(!mount.join(abi::VERSION.to_string()).exists());
}

#[test]
fn pins_that_go_with_the_container_are_told_at_the_start() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let private = format!(
        "mount -t bpf bpf {} && exec \"$@\"",
        text(&mount_point(&stage))
    );
    let launcher = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        &private,
        "-",
    ];
    let host = stage.node().host();
    let agent = stage.agent_in(&host, &launcher, &[]).unwrap();
    let agent = Process::spawn("bpf2iam", agent).unwrap();
    let record = wait_for_record(
        &agent,
        "what is pinned may not outlive the agent's container",
        |record| record["level"] == "WARN",
    );
    let told = record["fix"].as_str().unwrap();
    assert!(told.starts_with("in the DaemonSet, "), "{record}");
    wait_until_served(&stage, &cart);
    // It is as it was told: nothing outlives it.
    agent.stop().unwrap();
    assert!(wait_until(PATIENCE, || Ok(exposed(&stage, &cart.place()))).unwrap());
    assert_eq!(attached(&stage), 0);
}
