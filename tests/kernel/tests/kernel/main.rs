//! smoke
#[cfg(test)]
mod smoke {
    use std::process::Command;
    use bpf2iam_support::{Options, stage::{Programs, Stage}};
    #[test]
    fn smoke() {
        let stage = Stage::set(Programs::find().unwrap(), Options::default(), &[]).unwrap();
        let a = stage.add_pod_with_role("a", "role-a").unwrap();
        let agent = stage.start_agent(&[]).unwrap();
        let mut p = stage.client().start(&a.place(), &["opened-before"]).unwrap();
        p.wait_for_line(|l| l == "opened", std::time::Duration::from_secs(3)).unwrap();
        let s = agent.status().unwrap();
        let id = s["programs"][0]["program_id"].to_string();
        let sh = format!("bpftool -j prog show id {id}; echo; bpftool -j prog show id 99999999; echo rc $?; for m in $(bpftool -j prog show id {id} | python3 -c 'import json,sys; print(*json.load(sys.stdin)[\"map_ids\"])'); do bpftool -j map show id $m; echo; bpftool -j map dump id $m | cut -c1-700; done; bpftool -j cgroup show {}; echo; bpftool -j link show | cut -c1-500; bpftool -j map show id 9999999; ls /sys/fs/bpf", stage.node().kubepods().display());
        let o = Command::new("bash").arg("-c").arg(sh).output().unwrap();
        println!("{}\n{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        for path in ["/latest/user-data", "/latest/dynamic/instance-identity/pkcs7", "/latest/meta-data/public-keys/0/openssh-key", "/2021-03-23/user-data", "//latest//user-data", "/latest/%75ser-data", "/latest/meta-data/../user-data", "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance","/latest/meta-data/iam/security-credentials/node-role/", "/latest/user-data?x=1"] {
            let r = stage.client().attempt(&stage.node().host(), &["get", path]).unwrap();
            let q = stage.client().attempt(&a.place(), &["get", path]).unwrap();
            println!("{path} {:?} {:?} / {:?}", r.status, r.body.unwrap_or_default().chars().take(60).collect::<String>(), q.status);
        }
    }
}
