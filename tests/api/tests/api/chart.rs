//! What the chart gives is what an API server takes.

use std::{fs, path::Path};

use bpf2iam_api::{
    Cluster,
    helm::{self, CHART},
    kubectl::file_of,
};

#[test]
fn the_api_server_takes_what_comes_of_all_values_that_the_chart_takes() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let values = fs::read_dir(Path::new(CHART).join("ci")).unwrap();
    let mut values: Vec<_> = values.map(|entry| entry.unwrap().path()).collect();
    values.retain(|path| path.is_file());
    assert!(!values.is_empty());
    let namespace = cluster.add_namespace("chart").unwrap();
    // Of a name of its own: what another test has applied is no part of it.
    let name = format!("fullnameOverride={namespace}");
    for values in values {
        let values = values.to_str().unwrap();
        let rendered = helm::template(&namespace, &["--values", values, "--set", &name]);
        let file = file_of(&rendered.unwrap()).unwrap();
        let file = file.path().to_str().unwrap();
        let applied = cluster.kubectl(&["apply", "--dry-run=server", "--filename", file]);
        let applied = applied.unwrap_or_else(|error| panic!("{values}: {error:#}"));
        let agent = format!("daemonset.apps/{namespace} created (server dry run)");
        assert!(applied.contains(&agent), "{values}: {applied}");
    }
}
