//! What an operator gets wrong: one clear message each.

use anyhow::Result;
use bpf2iam_e2e::{Site, image, install::AGENT, wait};
use serde_json::{Value, json};

/// What the agent's image says as a pod that was not made by the chart, at its end.
fn said_by(site: &Site, pod: &Value) -> Result<(Value, String)> {
    site.cluster.apply(pod)?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let status = wait::until("the end of the agent", || {
        let pod = site
            .cluster
            .get(&["pod", name, "--namespace", &site.namespace])?;
        let ended = pod["status"]["containerStatuses"][0]["state"]["terminated"].clone();
        Ok(if ended.is_null() {
            Err(pod["status"].to_string())
        } else {
            Ok(ended)
        })
    })?;
    Ok((status, site.log(&site.namespace, name, "main")?))
}

/// The agent's image, run without anything.
fn bare(site: &Site, name: &str) -> Value {
    let mut pod = site.pod(name, "");
    let container = json!({
        "name": "main",
        "image": format!("{}:{}", image::AGENT, image::VERSION),
        "imagePullPolicy": "Never",
    });
    pod["spec"]["containers"] = json!([container]);
    pod
}

#[test]
fn the_image_run_without_anything_says_what_is_missing() {
    let Some(site) = Site::bare_or_skip("bare") else {
        return;
    };
    let (ended, log) = said_by(&site, &bare(&site, "bare")).unwrap();
    println!("{log}");
    assert_eq!(ended["exitCode"], 1, "{log}");
    let errors = log
        .lines()
        .filter(|line| line.contains("\"ERROR\"") || line.starts_with("bpf2iam: "));
    assert_eq!(errors.count(), 1, "{log}");
}

#[test]
fn a_node_name_that_nobody_knows_is_named() {
    let Some(site) = Site::bare_or_skip("typo") else {
        return;
    };
    site.install_as(AGENT, &["extraArgs={--node-name=typo}"])
        .unwrap();
    let log = wait::until("a word about the node's name", || {
        let log = site.agent_log().unwrap_or_default();
        Ok(if log.contains("--node-name") && log.contains("typo") {
            Ok(())
        } else {
            Err(log)
        })
    });
    site.install(&[]).unwrap();
    log.unwrap();
}
