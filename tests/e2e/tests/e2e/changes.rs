//! What changes while pods run.

use std::time::Duration;

use bpf2iam_e2e::{
    Site,
    pod::{IDLE, LIST, ROLE, WHOAMI, assert_role, names},
    wait::{self, PATIENCE},
};
use serde_json::{Value, json};

/// How long after a change another answer may take, kubectl's own time included.
const SOON: Duration = Duration::from_secs(5);

/// Waits until its role list says this: a role, or a status.
#[track_caller]
fn wait_for_answer(site: &Site, pod: &Value, expected: &str, patience: Duration) {
    let ask = format!("curl -s -m 5 -w ' %{{http_code}}' {LIST} || true");
    let answer = wait::within(
        patience,
        &format!("{expected} in {}", pod["metadata"]["name"]),
        || {
            let said = site.exec(pod, "main", &["sh", "-c", &ask])?;
            let is_it = said.split_whitespace().any(|word| word == expected);
            Ok(if is_it { Ok(()) } else { Err(said) })
        },
    );
    answer.unwrap();
}

#[test]
fn a_role_that_is_named_or_taken_away_later_counts_at_the_next_request() {
    let Some(site) = Site::find_or_skip("later") else {
        return;
    };
    let pod = site.pod("cart", IDLE);
    site.start(&pod).unwrap();
    wait_for_answer(&site, &pod, "404", PATIENCE);
    let annotate = |annotation: &str| {
        let annotated = site
            .cluster
            .annotate(&site.namespace, "pod/cart", &[annotation]);
        annotated.unwrap();
    };
    annotate(&format!("{ROLE}=later"));
    wait_for_answer(&site, &pod, "later", SOON);
    assert_role(&site.exec(&pod, "main", &[WHOAMI]).unwrap(), "later");
    annotate(&format!("{ROLE}=other"));
    wait_for_answer(&site, &pod, "other", SOON);
    annotate(&format!("{ROLE}-"));
    wait_for_answer(&site, &pod, "404", SOON);
}

#[test]
fn a_role_that_the_namespace_does_not_allow_is_refused_with_an_event() {
    let Some(site) = Site::bare_or_skip("restricted") else {
        return;
    };
    site.install(&["namespaceRestrictions=true"]).unwrap();
    let namespace = format!("namespace/{}", site.namespace);
    let allowed = r#"iam.amazonaws.com/allowed-roles=["cart*"]"#;
    site.cluster.annotate("", &namespace, &[allowed]).unwrap();
    let [cart, till] = ["cart", "till"].map(|name| site.pod_with_role(name, IDLE));
    for pod in [&cart, &till] {
        site.start(pod).unwrap();
    }
    wait_for_answer(&site, &cart, "cart", PATIENCE);
    wait_for_answer(&site, &till, "404", PATIENCE);
    let event = wait::until("the Event", || {
        let events = site
            .cluster
            .get(&["events.events.k8s.io", "--namespace", &site.namespace])?;
        let mut events = events["items"].as_array().cloned().unwrap_or_default();
        events.retain(|event| event["reason"] == "RoleForbidden");
        Ok(events.pop().ok_or_else(|| "not there".to_owned()))
    });
    let event = event.unwrap();
    assert_eq!(event["regarding"]["name"], "till", "{event}");
    assert_eq!(event["type"], "Warning", "{event}");
}

#[test]
fn a_pod_of_the_name_of_another_has_its_own_role() {
    let Some(site) = Site::find_or_skip("again") else {
        return;
    };
    let mut pod = site.pod_with_role("cart", IDLE);
    let (_, name) = names(&pod).unwrap();
    for role in [name.to_owned(), "first".to_owned(), "second".to_owned()] {
        pod["metadata"]["annotations"][ROLE] = json!(role);
        site.start(&pod).unwrap();
        assert_role(&site.exec(&pod, "main", &[WHOAMI]).unwrap(), &role);
        site.delete(&pod).unwrap();
    }
}
