//! The cluster that the agent belongs to, where pods come from an API server.
//!
//! It is known before anything else is waited for: an uninstall is seen from the first moment on.

use std::{fmt, future};

use crate::{
    config::{Config, Pods},
    drain,
    kubernetes::{
        self, Client,
        daemon_set::{Fate, Home},
    },
};

/// The API server, and what is asked there about the agent itself.
#[derive(Clone, Default)]
pub struct Cluster {
    pub(super) client: Option<Client>,
    /// Where the agent belongs, if it has been told.
    home: Option<Home>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// That of `config`. Nothing is asked of the server here.
    pub async fn connect(config: &Config) -> anyhow::Result<Self> {
        let Pods::Kube(settings) = &config.pods else {
            return Ok(Self::default());
        };
        let client = kubernetes::connect(settings).await?;
        let name = config.lifetime.daemon_set.clone();
        let home = name.map(|name| Home::new(client.clone(), name, config.node_name.as_str()));
        Ok(Self {
            client: Some(client),
            home,
        })
    }

    /// Whether another agent is to come to this node after us.
    pub(super) async fn fate(&self) -> Fate {
        match &self.home {
            Some(home) => home.fate().await,
            None => Fate::Unknown,
        }
    }

    /// What watches whether the agent still belongs here.
    pub(super) fn watch(
        &self,
        drain: drain::Watch,
    ) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        Some(self.home.clone()?.run(drain))
    }

    /// Does so while `work` is done.
    pub(super) async fn watch_during<T>(&self, work: impl Future<Output = T>) -> T {
        let (_signal, drain) = drain::channel();
        let watch = async {
            match self.watch(drain) {
                Some(watch) => watch.await,
                None => future::pending().await,
            }
            future::pending::<()>().await;
        };
        tokio::select! {
            done = work => done,
            () = watch => unreachable!("it is watched as long as it lives"),
        }
    }
}
