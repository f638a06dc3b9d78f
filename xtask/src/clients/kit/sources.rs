//! A client that is built from a directory of sources: its program, and files that fix the version of all else.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{cache, cx::Cx, exec};

/// Where all clients are.
pub(super) const DIRECTORY: &str = "tests/clients";

/// What makes a program of ours load its SDK, and ask nobody anything.
const PROOF: [&str; 3] = ["refresh", "0", "0"];
/// What makes any client leave the metadata service alone: where these are tried there may be a real one.
pub(super) const QUIET: [(&str, &str); 3] = [
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9"),
    ("AWS_REGION", "eu-west-1"),
];

/// The files, in a directory of their own.
pub(super) struct Sources {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Sources {
    /// Reads them.
    pub(super) fn read(cx: &Cx, name: &'static str, files: &[&'static str]) -> Result<Self> {
        let directory = cx.root.join(DIRECTORY).join(name);
        let read = |&file| {
            let path = directory.join(file);
            let text = fs::read(&path).with_context(|| path.display().to_string())?;
            Ok((file, text))
        };
        let files = files.iter().map(read).collect::<Result<_>>()?;
        Ok(Self { name, files })
    }

    /// The command line of the program, which is built first where it is missing: by `make`, in a directory with
    /// these files. `words` says what the command line is in a directory.
    pub(super) fn built(
        self,
        cx: &Cx,
        words: impl Fn(&Path) -> Vec<OsString>,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Vec<OsString>> {
        let works = |directory: &Path| works(&words(directory), directory);
        let made = cache::entry(cx, &self.id(), works, |directory| {
            self.copy_to(directory)?;
            make(directory)
        });
        Ok(words(&made?))
    }

    fn id(&self) -> String {
        let contents: Vec<_> = self.files.iter().map(|(_, text)| text.clone()).collect();
        cache::id(&format!("client-{}", self.name), &contents)
    }

    fn copy_to(&self, directory: &Path) -> Result<()> {
        for (file, text) in &self.files {
            let path = directory.join(file);
            create_parent(&path)?;
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// Whether the program starts, with all that it is made of. It finds no configuration of the user's.
fn works(words: &[OsString], home: &Path) -> bool {
    let Some((program, words)) = words.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .args(PROOF)
        .env_clear()
        .env("HOME", home)
        .envs(QUIET);
    exec::works(&mut command)
}

fn create_parent(path: &Path) -> Result<()> {
    let parent = path.parent().map(PathBuf::from).unwrap_or_default();
    fs::create_dir_all(&parent).with_context(|| parent.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fixes the versions says where from only in words such as `go get`: a registry is the machine's affair.
    #[test]
    fn no_file_names_a_registry() {
        for (name, text) in [
            (
                "package.json",
                include_str!("../../../../tests/clients/javascript/package.json"),
            ),
            (
                "package-lock.json",
                include_str!("../../../../tests/clients/javascript/package-lock.json"),
            ),
            (
                "go.mod",
                include_str!("../../../../tests/clients/go/go.mod"),
            ),
            (
                "go.sum",
                include_str!("../../../../tests/clients/go/go.sum"),
            ),
            (
                "pom.xml",
                include_str!("../../../../tests/clients/java/pom.xml"),
            ),
            (
                "requirements.txt",
                include_str!("../../../../tests/clients/requirements.txt"),
            ),
        ] {
            assert!(!text.contains("://"), "{name}");
        }
    }

    fn sources(text: &str) -> Sources {
        Sources {
            name: "tongue",
            files: vec![("lock", text.into()), ("src/main", b"main".to_vec())],
        }
    }

    #[test]
    fn the_files_are_copied_to_where_they_were() {
        let scratch = tempfile::TempDir::new().expect("a scratch directory");
        sources("1")
            .copy_to(scratch.path())
            .expect("it is writable");
        for (file, text) in [("lock", "1"), ("src/main", "main")] {
            let copy = fs::read_to_string(scratch.path().join(file));
            assert_eq!(copy.expect("it is there"), text);
        }
    }

    #[test]
    fn another_version_is_another_entry() {
        assert!(sources("1").id().starts_with("client-tongue-"));
        assert_eq!(sources("1").id(), sources("1").id());
        assert_ne!(sources("1").id(), sources("2").id());
    }

    #[test]
    fn a_program_works_if_it_asks_nobody_and_ends_well() {
        let home = Path::new("/");
        let script = |text: &str| ["/bin/sh", "-c", text, "sh"].map(OsString::from);
        let proof = r#"test "$*" = "refresh 0 0" && test "$AWS_EC2_METADATA_DISABLED" = true"#;
        assert!(works(&script(proof), home));
        assert!(!works(&script("exit 1"), home));
        assert!(!works(&["/nowhere/program".into()], home));
        assert!(!works(&[], home));
    }
}
