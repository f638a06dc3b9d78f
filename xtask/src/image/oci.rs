//! The archive: an OCI image layout in a tar file, as `ctr images import`, `podman load` and `skopeo copy oci-archive:` read it.
//!
//! One layer, one manifest, as many names as wanted. Nothing in it depends on when or by whom it was made. The media types and the
//! annotations are those of the OCI image specification 1.1; `io.containerd.image.name` is containerd's own, whose CRI knows images by
//! their whole names.

use std::{env::consts::ARCH, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{name::Name, recipe::Recipe, tree::Tree};
use crate::exec;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The mode of every file.
const READABLE: u32 = 0o644;
/// When it was made, so that it is the same whenever that is.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// What was made.
pub(super) struct Image {
    /// Of the manifest.
    pub(super) digest: String,
    /// What a registry keeps and a node fetches.
    pub(super) compressed: u64,
    /// What it takes on a node's disk.
    pub(super) unpacked: u64,
}

/// Packs `root` into the archive `place`, by way of files in `scratch`.
pub(super) fn write(
    root: &Path,
    recipe: &Recipe,
    names: &[Name],
    scratch: &Path,
    place: &Path,
) -> Result<Image> {
    let tar = scratch.join("layer.tar");
    pack(root, &tar)?;
    let bytes = fs::read(&tar).with_context(|| tar.display().to_string())?;
    let (diff_id, unpacked) = (digest(&bytes), bytes.len() as u64);
    exec::run(Command::new("gzip").args(["--no-name", "--best"]).arg(&tar))?;
    let packed = scratch.join("layer.tar.gz");
    let bytes = fs::read(&packed).with_context(|| packed.display().to_string())?;

    let layout = Tree::new(scratch.join("layout"));
    let layer = blob(&layout, LAYER, &bytes)?;
    let config = blob(&layout, CONFIG, &text(&config(recipe, &diff_id)?))?;
    let manifest = text(&json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
    }));
    let parts = [&layer, &config].map(|part| part["size"].as_u64().unwrap_or_default());
    let compressed = parts.iter().sum::<u64>() + manifest.len() as u64;
    let manifest = blob(&layout, MANIFEST, &manifest)?;
    layout.file("index.json", &text(&index(&manifest, names)), READABLE)?;
    let version = json!({ "imageLayoutVersion": "1.0.0" });
    layout.file("oci-layout", &text(&version), READABLE)?;
    pack(layout.path(), place)?;
    Ok(Image {
        digest: manifest["digest"].as_str().unwrap_or_default().to_owned(),
        compressed,
        unpacked,
    })
}

/// How the image is run, and what it consists of.
fn config(recipe: &Recipe, diff_id: &str) -> Result<Value> {
    Ok(json!({
        "created": EPOCH,
        "architecture": architecture(ARCH)?,
        "os": "linux",
        "config": {
            "User": recipe.user,
            "Env": recipe.env,
            "Entrypoint": recipe.entrypoint,
            "Cmd": recipe.cmd,
            "Labels": recipe.labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created": EPOCH, "created_by": "cargo xtask image" }],
    }))
}

/// The manifest once for each name.
fn index(manifest: &Value, names: &[Name]) -> Value {
    let named = |name: &Name| {
        let mut manifest = manifest.clone();
        manifest["annotations"] = json!({
            "io.containerd.image.name": name.canonical(),
            "org.opencontainers.image.ref.name": name.to_string(),
        });
        manifest
    };
    let manifests: Vec<_> = names.iter().map(named).collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

/// The machine as Go, and so the specification, calls it. The agent is built for the machine that builds it.
fn architecture(arch: &str) -> Result<&'static str> {
    match arch {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        _ => bail!("images are not made on {arch}"),
    }
}

/// Keeps these bytes under their digest. Returns what leads to them.
fn blob(layout: &Tree, media_type: &str, bytes: &[u8]) -> Result<Value> {
    let digest = digest(bytes);
    let path = format!("blobs/{}", digest.replace(':', "/"));
    layout.file(path, bytes, READABLE)?;
    Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
}

/// Puts what is in `dir` into a tar file, in order, as root's, of no time.
fn pack(dir: &Path, place: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args([
        "--format=ustar",
        "--sort=name",
        "--mtime=@0",
        "--force-local",
    ])
    .args(["--owner=0", "--group=0", "--numeric-owner"])
    .arg("--directory")
    .arg(dir)
    .args(["--create", "--file"])
    .arg(place)
    .arg(".");
    exec::run(&mut tar)
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn digest(bytes: &[u8]) -> String {
    let digits: Vec<_> = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{}", digits.concat())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    fn made(text: &[u8], names: &[&str]) -> (TempDir, Image, Vec<u8>) {
        let dir = TempDir::new().expect("a scratch directory");
        let root = Tree::new(dir.path().join("root"));
        root.file("usr/bin/thing", text, 0o755).expect("writable");
        root.directory("tmp", 0o1777).expect("writable");
        let names: Vec<_> = names.iter().map(|name| name.parse().expect(name)).collect();
        let place = dir.path().join("image.tar");
        let recipe = Recipe {
            entrypoint: vec!["/usr/bin/thing".into()],
            ..Recipe::default()
        };
        let image = write(root.path(), &recipe, &names, dir.path(), &place);
        let archive = fs::read(&place);
        (dir, image.expect("tar is there"), archive.expect("written"))
    }

    fn json_of(dir: &TempDir, path: &str) -> Value {
        let bytes = fs::read(dir.path().join("layout").join(path)).expect(path);
        serde_json::from_slice(&bytes).expect("JSON")
    }

    fn blob_of(dir: &TempDir, descriptor: &Value) -> Value {
        let digest = descriptor["digest"].as_str().expect("a digest");
        json_of(dir, &format!("blobs/{}", digest.replace(':', "/")))
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let (_dir, one, bytes) = made(b"1", &["a:1"]);
        let (_dir, again, same) = made(b"1", &["a:1"]);
        let (_dir, other, _) = made(b"2", &["a:1"]);
        assert_eq!(one.digest, again.digest);
        assert!(bytes == same);
        assert_ne!(one.digest, other.digest);
    }

    #[test]
    fn every_name_is_of_the_same_image() {
        let (dir, image, _) = made(b"1", &["a:1", "a:2"]);
        let index = json_of(&dir, "index.json");
        let manifests = index["manifests"].as_array().expect("manifests");
        for (manifest, name) in manifests.iter().zip(["a:1", "a:2"]) {
            assert_eq!(manifest["digest"], image.digest);
            let said = &manifest["annotations"];
            let canonical = format!("docker.io/library/{name}");
            assert_eq!(said["io.containerd.image.name"], canonical);
            assert_eq!(said["org.opencontainers.image.ref.name"], name);
        }
        assert_eq!(manifests.len(), 2);
    }

    #[test]
    fn the_names_lead_to_the_layer_and_to_how_it_is_run() {
        let (dir, image, _) = made(b"1", &["a:1"]);
        let manifest = blob_of(&dir, &json_of(&dir, "index.json")["manifests"][0]);
        let config = blob_of(&dir, &manifest["config"]);
        assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/thing"]));
        let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
        let path = dir
            .path()
            .join("layout/blobs")
            .join(digest.replace(':', "/"));
        let mut gunzip = Command::new("gunzip");
        let unpacked = gunzip.arg("--stdout").arg(&path).output().expect("gunzip");
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([super::digest(&unpacked.stdout)])
        );
        assert_eq!(image.unpacked, unpacked.stdout.len() as u64);
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, READABLE);
    }

    #[test]
    fn the_machine_is_called_as_everybody_does() {
        assert_eq!(architecture("x86_64").expect("known"), "amd64");
        assert_eq!(architecture("aarch64").expect("known"), "arm64");
        assert!(architecture("riscv64").is_err());
    }
}
