//! The program on the AWS SDK for Java: its class, and the libraries as they come.

use std::{ffi::OsString, io, path::Path, process::Command};

use anyhow::Result;

use crate::{
    cx::Cx,
    exec,
    install::{self, Package},
    runtime::{Runtime, Version},
};

use super::sources::Sources;

const FILES: [&str; 2] = ["pom.xml", "src/main/java/Whoami.java"];
const CLASS: &str = "Whoami";
/// Where Maven puts it, and where its libraries.
const OUTPUT: [&str; 2] = ["target/classes", "target/dependency/*"];

/// The one that the class is compiled for.
const JAVA: Runtime = Runtime {
    name: "Java",
    program: "java",
    says: "--version",
    oldest: Version([17, 0, 0]),
    elsewhere: &["/usr/bin/java"],
    package: Some("default-jdk-headless"),
    advice: "it runs the client in Java; see https://openjdk.org",
};
const BUILD_WITH: [Package; 2] = [
    Package::program("default-jdk-headless", "javac"),
    Package::program("maven", "mvn"),
];

/// A file whose checksum is wrong fails the build.
const BUILD: &str = "--batch-mode --quiet --strict-checksums compile dependency:copy-dependencies";
/// A program that lives for a second, on a machine with others.
const SMALL: [&str; 4] = [
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:+UseSerialGC",
    "-Xmx128m",
];

/// Its command line.
pub(super) fn ensure(cx: &Cx) -> Result<Vec<OsString>> {
    let java = JAVA.find(cx)?;
    let words = |directory: &Path| {
        let mut words = vec![java.clone().into()];
        words.extend(SMALL.map(OsString::from));
        words.extend(["-cp".into(), class_path(directory), CLASS.into()]);
        words
    };
    Sources::read(cx, "java", &FILES)?.built(cx, words, |directory| make(cx, directory))
}

fn class_path(directory: &Path) -> OsString {
    let [classes, libraries] = OUTPUT.map(|output| directory.join(output).into_os_string());
    let mut path = classes;
    path.push(":");
    path.push(libraries);
    path
}

fn make(cx: &Cx, directory: &Path) -> Result<()> {
    install::debian(cx, &BUILD_WITH)?;
    let mut maven = Command::new("mvn");
    maven.args(BUILD.split(' ')).current_dir(directory);
    exec::run(maven.stdout(io::stderr())) // no result of ours
}
