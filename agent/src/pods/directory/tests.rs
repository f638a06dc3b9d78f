use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::pods::annotation::Keys;

fn uid(number: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000{number:02x}")
}

fn pod(name: &str, number: u8) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  uid: {}\nspec:\n  nodeName: node-1\n",
        uid(number)
    )
}

fn scratch(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn reads() -> Reads {
    Reads {
        node: Some("node-1".to_owned()),
        keys: Keys::default(),
    }
}

/// The names of the pods in `dir`, and what is wrong there, without the path of the directory.
fn told(dir: &TempDir) -> (Vec<String>, Vec<String>) {
    let reading = read(dir.path(), &reads()).unwrap();
    let names = reading.pods.iter();
    let names = names.map(|subject| subject.pod.name.name().to_owned());
    let prefix = format!("{}/", dir.path().display());
    let errors = reading
        .errors
        .iter()
        .map(|error| error.to_string().replace(&prefix, ""));
    (names.collect(), errors.collect())
}

#[test]
fn manifests_count_and_other_files_do_not() {
    let dir = scratch(&[
        ("a.yaml", &pod("a", 1)),
        ("b.yml", &pod("b", 2)),
        ("c.json", &pod("c", 3)),
        (".d.yaml", &pod("d", 4)),
        ("..e.yaml", &pod("e", 5)),
        ("f.yaml~", &pod("f", 6)),
        (".g.yaml.swp", &pod("g", 7)),
        ("h.txt", &pod("h", 8)),
        ("yaml", &pod("i", 9)),
        ("j.YAML", &pod("j", 10)),
    ]);
    fs::create_dir(dir.path().join("below")).unwrap();
    fs::write(dir.path().join("below/k.yaml"), pod("k", 11)).unwrap();
    assert_eq!(told(&dir).0, ["a", "b", "c"]);
    assert!(told(&dir).1.is_empty());
}

#[test]
fn a_config_maps_volume_is_read_through_its_links() {
    let dir = scratch(&[]);
    let real = dir.path().join("..2026_01_01");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("a.yaml"), pod("a", 1)).unwrap();
    symlink("..2026_01_01", dir.path().join("..data")).unwrap();
    symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
    assert_eq!(told(&dir), (vec!["a".to_owned()], vec![]));
}

#[test]
fn what_is_wrong_with_a_file_is_said_and_the_others_count() {
    let large = "#".repeat(1 << 20) + "\n";
    let just = pod("just", 2) + &"#".repeat((1 << 20) - pod("just", 2).len());
    let dir = scratch(&[
        ("a.yaml", &pod("a", 1)),
        ("just.yaml", &just),
        ("large.yaml", &large),
    ]);
    let path = |name: &str| dir.path().join(name);
    fs::write(path("bytes.yaml"), b"a: \xff\xfe").unwrap();
    fs::create_dir(path("dir.yaml")).unwrap();
    symlink("nowhere", path("link.yaml")).unwrap();
    symlink("loop.yaml", path("loop.yaml")).unwrap();
    symlink("/dev/zero", path("zero.yaml")).unwrap();
    mknodat(CWD, path("pipe.yaml"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let (names, errors) = told(&dir);
    assert_eq!(names, ["a", "just"]);
    assert_eq!(
        errors,
        [
            "bytes.yaml: it is not UTF-8",
            "dir.yaml: it is no regular file",
            "large.yaml: it has more than 1048576 bytes",
            "link.yaml: it cannot be read: No such file or directory (os error 2)",
            "loop.yaml: it cannot be read: Too many levels of symbolic links (os error 40)",
            "pipe.yaml: it is no regular file",
            "zero.yaml: it is no regular file",
        ]
    );
}

#[test]
fn of_pods_with_the_same_uid_none_counts_wherever_they_stand() {
    let dir = scratch(&[
        ("a.yaml", &pod("a", 1)),
        (
            "b.yaml",
            &format!("{}---\n{}", pod("b", 2), pod("also-a", 1)),
        ),
        ("c.yaml", &pod("a", 1)),
    ]);
    let (names, errors) = told(&dir);
    assert_eq!(names, ["b"]);
    assert_eq!(
        errors,
        [
            "b.yaml:13:8: metadata.uid: default/also-a has the UID of default/a (a.yaml:5:8), and neither counts",
            "c.yaml:5:8: metadata.uid: default/a has the UID of default/a (a.yaml:5:8), and neither counts",
        ]
    );
}

#[test]
fn the_same_uid_on_another_node_is_no_trouble() {
    let elsewhere = pod("b", 1).replace("node-1", "node-2");
    let dir = scratch(&[("a.yaml", &pod("a", 1)), ("b.yaml", &elsewhere)]);
    assert_eq!(told(&dir), (vec!["a".to_owned()], vec![]));
}

#[test]
fn a_directory_that_is_not_to_be_read_is_an_error_that_names_it() {
    let dir = scratch(&[("file", "")]);
    for name in ["missing", "file"] {
        let path = dir.path().join(name);
        let error = read(&path, &reads()).unwrap_err();
        let expected = format!("cannot read the directory of manifests {}", path.display());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn too_many_files_are_taken_for_a_mistake() {
    let dir = scratch(&[]);
    for number in 0..MAX_FILES {
        File::create(dir.path().join(format!("{number}.yaml"))).unwrap();
    }
    assert!(read(dir.path(), &reads()).is_ok());
    File::create(dir.path().join("one-more.yaml")).unwrap();
    assert!(matches!(read(dir.path(), &reads()), Err(Error::TooMany(_))));
}
