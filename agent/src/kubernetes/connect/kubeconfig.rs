//! What a kubeconfig says is current.

use std::path::Path;

use kube::{
    Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};

use crate::id::Excerpt;

use super::fault::Fault;

/// Reads it. Whoever is named there has to be in it: without a user we would ask as nobody.
pub(super) async fn read(path: &Path) -> Result<Config, Fault> {
    let file = Kubeconfig::read_from(path)?;
    if asks_for_proxy(&file) {
        return Err(Fault::Proxy);
    }
    if let Some(user) = unknown_user(&file) {
        return Err(Fault::User(Excerpt::of(user)));
    }
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        return Err(Fault::NoAuthority);
    }
    Ok(config)
}

/// The program that proves who we are, if there is one.
pub(super) fn plugin(user: &AuthInfo) -> Option<Excerpt> {
    let exec = user.exec.as_ref().map(|exec| exec.command.as_deref());
    let provider = user.auth_provider.as_ref();
    exec.or_else(|| provider.map(|provider| Some(provider.name.as_str())))
        .map(|command| Excerpt::of(command.unwrap_or_default()))
}

fn current(file: &Kubeconfig) -> Option<&kube::config::Context> {
    let contexts = file.contexts.iter();
    contexts
        .filter(|context| Some(&context.name) == file.current_context.as_ref())
        .find_map(|context| context.context.as_ref())
}

fn asks_for_proxy(file: &Kubeconfig) -> bool {
    let current = current(file);
    let clusters = file.clusters.iter();
    clusters
        .filter(|cluster| current.is_some_and(|context| context.cluster == cluster.name))
        .filter_map(|cluster| cluster.cluster.as_ref()?.proxy_url.as_deref())
        .any(|proxy| !proxy.is_empty())
}

/// The user who is current and not there. An empty name is none, as for kubectl.
fn unknown_user(file: &Kubeconfig) -> Option<&str> {
    let user = current(file)?.user.as_deref()?;
    let is_known = file.auth_infos.iter().any(|known| known.name == user);
    Some(user).filter(|user| !user.is_empty() && !is_known)
}
