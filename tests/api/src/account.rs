//! The files by which a process acts as a ServiceAccount, as a kubelet would put them into its container.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::Cluster;

/// Where containers find these files.
const MOUNTED_AT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Puts a directory there for one program only. A file system of its own on /var leaves no trace on the machine.
const MOUNT: &str = "mount -t tmpfs tmpfs /var && mkdir -p \"$1\" && mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";

/// A directory with a ServiceAccount's token, and what is needed to use it.
#[derive(Clone, Debug)]
pub struct Account {
    directory: PathBuf,
}

impl Account {
    /// Writes the files. The API server is at `server`, as seen from where they are used.
    pub fn write(
        cluster: &Cluster,
        directory: impl Into<PathBuf>,
        namespace: &str,
        token: &str,
        server: &str,
    ) -> Result<Self> {
        let account = Self {
            directory: directory.into(),
        };
        let what = || account.directory.display().to_string();
        fs::create_dir_all(&account.directory).with_context(what)?;
        fs::copy(cluster.ca(), account.file("ca.crt")).with_context(what)?;
        fs::write(account.file("namespace"), namespace).with_context(what)?;
        account.set_token(token)?;
        fs::write(account.kubeconfig(), account.kubeconfig_for(server)).with_context(what)?;
        Ok(account)
    }

    /// Puts another token in the place of the one before, at once, as a kubelet does from time to time.
    pub fn set_token(&self, token: &str) -> Result<()> {
        let new = self.file("token.new");
        fs::write(&new, token).with_context(|| new.display().to_string())?;
        fs::rename(&new, self.token()).with_context(|| self.token().display().to_string())
    }

    /// The file with the token.
    pub fn token(&self) -> PathBuf {
        self.file("token")
    }

    /// A kubeconfig that names the file with the token: for `--kubeconfig`.
    pub fn kubeconfig(&self) -> PathBuf {
        self.file("kubeconfig")
    }

    /// What the kubelet sets in the environment of every container.
    pub fn environment(server: SocketAddr) -> [(&'static str, String); 2] {
        [
            ("KUBERNETES_SERVICE_HOST", server.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", server.port().to_string()),
        ]
    }

    /// Words to put before a program's own, so that it finds these files where containers do.
    pub fn launcher(&self) -> [String; 7] {
        let directory = self.directory.display().to_string();
        let [unshare, mount, sh, c] = ["unshare", "--mount", "sh", "-c"].map(str::to_owned);
        let (script, target) = (MOUNT.to_owned(), MOUNTED_AT.to_owned());
        [unshare, mount, sh, c, script, directory, target]
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// JSON is YAML.
    fn kubeconfig_for(&self, server: &str) -> String {
        let (ca, token) = (self.file("ca.crt"), self.token());
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority": ca } }],
            "users": [{ "name": "account", "user": { "tokenFile": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "account" } }],
            "current-context": "test",
        })
        .to_string()
    }
}

impl AsRef<Path> for Account {
    fn as_ref(&self) -> &Path {
        &self.directory
    }
}
