//! What the README says of the installation, done to the letter.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use bpf2iam_api::helm;
use bpf2iam_e2e::{
    Site,
    install::{AGENT, VALUES},
    pod::{WHOAMI, assert_role},
    wait,
};
use bpf2iam_support::process::output;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const README: &str = include_str!("../../../../README.md");

fn section() -> &'static str {
    let section = README.split_once("## Install it").expect("a section").1;
    section.split_once("\n## ").expect("another one").0
}

/// The values that it shows: the lines after their name, up to the first that is none of them.
fn values() -> String {
    let (_, after) = section()
        .split_once("\n`my-values.yaml`")
        .expect("a file's name");
    let lines = after.lines().skip_while(|line| !line.starts_with("    "));
    let lines = lines.map_while(|line| line.strip_prefix("    "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The commands of the section, but for those that make the image.
fn commands() -> Vec<&'static str> {
    let section = section();
    let lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    lines
        .filter(|line| line.starts_with("kubectl ") || line.starts_with("helm "))
        .collect()
}

fn follow(site: &Site, directory: &Path, line: &str) {
    let mut shell: Command = site.operator("sh").unwrap();
    shell.args(["-euc", line]).current_dir(directory);
    let output = output(&mut shell, wait::PATIENCE).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    println!("$ {line}\n{said}{wrong}");
    assert!(output.status.success(), "{line}: {said}{wrong}");
}

#[test]
fn the_values_that_it_shows_are_values_of_the_chart() {
    let Some(site) = Site::bare_or_skip("values") else {
        return;
    };
    let directory = tempfile::tempdir_in(site.state()).unwrap();
    let file = directory.path().join("my-values.yaml");
    let values = values();
    assert!(values.lines().count() >= 3, "{values}");
    fs::write(&file, &values).unwrap();
    let rendered = helm::template(AGENT, &["--values".as_ref(), file.as_os_str()]).unwrap();
    // What the example has in place of a registry's name.
    assert!(rendered.contains("REGISTRY/bpf2iam:"), "{rendered}");
}

#[test]
fn the_install_section_works_as_it_is_written() {
    let Some(site) = Site::bare_or_skip("readme") else {
        return;
    };
    site.uninstall_if_installed().unwrap();
    let directory = tempfile::tempdir_in(site.state()).unwrap();
    symlink(format!("{ROOT}/deploy"), directory.path().join("deploy")).unwrap();
    fs::copy(VALUES, directory.path().join("my-values.yaml")).unwrap();
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    let (uninstall, install) = commands.split_last().unwrap();
    for line in install {
        follow(&site, directory.path(), line);
    }
    let said = site.run(&site.pod_with_role("cart", WHOAMI));
    follow(&site, directory.path(), uninstall);
    assert_role(&said.unwrap(), "cart");
}
