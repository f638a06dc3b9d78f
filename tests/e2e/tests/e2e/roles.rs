//! Which role a pod gets, of each kind of pod.

use bpf2iam_e2e::{
    Site,
    pod::{BASE_ARN, IDLE, LIST, ROLE, WHOAMI, assert_role},
    wait,
};
use serde_json::json;

#[test]
fn a_pod_has_the_role_that_it_names_from_its_first_instruction() {
    let Some(site) = Site::find_or_skip("annotated") else {
        return;
    };
    // Asked once: a client of an SDK asks again.
    let script = format!("curl -sf -m 2 -o /dev/null {LIST}cart; {WHOAMI}");
    let said = site.run(&site.pod_with_role("cart", &script)).unwrap();
    assert_role(&said, "cart");
}

#[test]
fn a_client_in_rust_has_it_too() {
    let Some(site) = Site::find_or_skip("rust") else {
        return;
    };
    let said = site.run(&site.pod_with_role("crab", "aws-config-client"));
    assert_role(&said.unwrap(), "crab");
}

#[test]
fn a_pod_has_the_role_of_its_service_account_by_its_own_token() {
    let Some(site) = Site::find_or_skip("irsa") else {
        return;
    };
    let role = format!("{BASE_ARN}by-token");
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "namespace": site.namespace,
            "name": "till",
            "annotations": { "eks.amazonaws.com/role-arn": role },
        },
    });
    site.cluster.apply(&account).unwrap();
    let mut pod = site.pod("web", WHOAMI);
    pod["spec"]["serviceAccountName"] = json!("till");
    assert_role(&site.run(&pod).unwrap(), "by-token");
    let calls = site.outside.calls_for(&role).unwrap();
    let web_identity = |call: &serde_json::Value| call["action"] == "AssumeRoleWithWebIdentity";
    assert!(
        !calls.is_empty() && calls.iter().all(web_identity),
        "{calls:?}"
    );
}

#[test]
fn a_pod_that_names_no_role_has_none() {
    let Some(site) = Site::find_or_skip("plain") else {
        return;
    };
    let script = format!("{WHOAMI} || true; curl -s -o /dev/null -w '%{{http_code}}' {LIST}");
    let pod = site.pod("plain", &script);
    let said = site.run(&pod).unwrap();
    assert!(said.ends_with("404"), "{said}");
    assert!(!said.contains("assumed-role"), "{said}");
}

#[test]
fn a_pod_that_names_no_role_has_that_of_its_namespace() {
    let Some(site) = Site::find_or_skip("default") else {
        return;
    };
    let namespace = format!("namespace/{}", site.namespace);
    site.cluster
        .annotate("", &namespace, &["bpf2iam.io/default-role=house"])
        .unwrap();
    assert_role(&site.run(&site.pod("plain", WHOAMI)).unwrap(), "house");
}

#[test]
fn a_pod_on_the_nodes_network_has_its_own_role() {
    let Some(site) = Site::find_or_skip("hostnet") else {
        return;
    };
    let mut pod = site.pod_with_role("proxy", WHOAMI);
    pod["spec"]["hostNetwork"] = json!(true);
    assert_role(&site.run(&pod).unwrap(), "proxy");
}

#[test]
fn a_pod_that_the_node_cannot_do_without_keeps_the_nodes_role_and_is_shown() {
    let Some(site) = Site::find_or_skip("system") else {
        return;
    };
    let mut pod = site.pod("cni", IDLE);
    pod["metadata"]["namespace"] = json!("kube-system");
    pod["metadata"]["name"] = json!(site.namespace);
    pod["spec"]["hostNetwork"] = json!(true);
    let role = site.start(&pod);
    let role = role.and_then(|()| site.exec(&pod, "main", &["curl", "-s", LIST]));
    let name = format!("kube-system/{}", site.namespace);
    let shown = wait::until("the pod in the agent's status", || {
        let status = site.agent(&["status"])?;
        let line = |words: &[&str]| {
            let all = |line: &&str| words.iter().all(|word| line.contains(word));
            status.lines().any(|one| all(&one))
        };
        let shown = line(&[&name, "(the node's own)"]) && line(&["exempt", "pods "]);
        Ok(if shown { Ok(()) } else { Err(status) })
    });
    site.delete(&pod).unwrap();
    assert_eq!(role.unwrap(), "node-role");
    shown.unwrap();
}

#[test]
fn fifty_pods_at_once_have_each_its_own_role() {
    let Some(site) = Site::find_or_skip("fifty") else {
        return;
    };
    let pods: Vec<_> = (0..50)
        .map(|number| site.pod_with_role(&format!("many-{number}"), WHOAMI))
        .collect();
    let all = json!({ "apiVersion": "v1", "kind": "List", "items": pods });
    site.cluster.apply(&all).unwrap();
    for pod in &pods {
        let role = pod["metadata"]["annotations"][ROLE].as_str().unwrap();
        assert_role(&site.finish(pod).unwrap(), role);
    }
}

#[test]
fn a_job_that_lives_for_a_second_has_its_role() {
    let Some(site) = Site::find_or_skip("job") else {
        return;
    };
    let pod = site.pod_with_role("second", &format!("{WHOAMI}; sleep 1"));
    let job = Site::job(&pod).unwrap();
    assert_role(&site.run_job(&job).unwrap(), "second");
}

#[test]
fn a_static_pod_has_its_role() {
    let Some(site) = Site::find_or_skip("static") else {
        return;
    };
    let mut pod = site.pod_with_role(&site.namespace, IDLE);
    pod["metadata"]["namespace"] = json!("default");
    pod["metadata"]["annotations"][ROLE] = json!("fixed");
    let file = format!("/etc/kubernetes/manifests/{}.json", site.namespace);
    site.node_shell(&format!("cat >{file} <<'END'\n{pod}\nEND"))
        .unwrap();
    pod["metadata"]["name"] = json!(format!("{}-node1", site.namespace));
    let there = wait::until("the static pod's mirror", || {
        Ok(site
            .cluster
            .get(&[
                "pod",
                "--namespace=default",
                pod["metadata"]["name"].as_str().unwrap(),
            ])
            .map_err(|error| error.to_string()))
    });
    let said = there.and_then(|_| {
        site.wait_for_phase(&pod, &["Running"])?;
        site.exec(&pod, "main", &[WHOAMI])
    });
    site.node(&["rm", &file]).unwrap();
    assert_role(&said.unwrap(), "fixed");
}
