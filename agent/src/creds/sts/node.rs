//! The client of STS, and the keys of the node that it signs with.
//!
//! The SDK keeps keys until it thinks that they end, what a profile says for ever, and also that a profile says nothing.
//! When STS takes the keys no more, or when there are none, they are looked up afresh, in the files as they are now.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_config::ConfigLoader;
use aws_sdk_sts::{
    Client, Config,
    config::{IdentityCache, Region},
};
use tokio::time::Instant;

/// Keys that were looked up within this time are not looked up again: many calls fail together.
const FRESH: Duration = Duration::from_secs(5);

/// Describes the SDK's default chain, as a program starts with it.
pub(super) type Chain = Arc<dyn Fn() -> ConfigLoader + Send + Sync>;

/// The node, as a caller of STS.
pub(super) struct Node {
    config: Config,
    chain: Option<Chain>,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    keys: Keys,
    /// Whether the client could not sign for want of keys.
    lack: bool,
}

/// Tells keys from those that were looked up before or after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    number: u64,
    since: Option<Instant>,
}

impl Node {
    /// A client as `config` says. Keys are looked up afresh along `chain`; without one, whoever gave them is asked.
    pub(super) fn new(config: Config, chain: Option<Chain>) -> Self {
        let keys = Keys {
            number: 0,
            since: None,
        };
        let current = Current::new(Client::from_conf(config.clone()), keys);
        Self {
            config,
            chain,
            current: Mutex::new(current),
        }
    }

    /// A client for calls that nobody signs.
    pub(super) fn client(&self) -> Client {
        self.lock().client.clone()
    }

    /// A client that signs, and its keys. If it had none, they may be there by now.
    pub(super) async fn signer(&self) -> (Client, Keys) {
        let (signer, lack) = {
            let current = self.lock();
            (current.signer(), current.lack)
        };
        let (_, keys) = signer;
        if lack && !keys.are_fresh() {
            self.renew(keys).await
        } else {
            signer
        }
    }

    /// There were no keys to sign with.
    pub(super) fn lacks(&self, keys: Keys) {
        let mut current = self.lock();
        current.lack |= current.keys == keys;
    }

    /// A client with other keys than `refused`, if there is a chance that there are any.
    pub(super) async fn afresh(&self, refused: Keys) -> Option<Client> {
        let (client, keys) = self.lock().signer();
        if keys != refused {
            return Some(client);
        }
        if keys.are_fresh() {
            return None;
        }
        let (client, _keys) = self.renew(keys).await;
        Some(client)
    }

    /// Puts a client with keys that are looked up afresh into the place of the one with `old` ones.
    async fn renew(&self, old: Keys) -> (Client, Keys) {
        let client = self.look_up().await;
        let mut current = self.lock();
        // Else somebody else was quicker.
        if current.keys == old {
            let keys = Keys {
                number: old.number + 1,
                since: Some(Instant::now()),
            };
            *current = Current::new(client, keys);
        }
        current.signer()
    }

    /// A client that knows no keys yet. Nothing else about it is new: neither the region nor where STS is.
    async fn look_up(&self) -> Client {
        let cache = IdentityCache::lazy().build();
        let mut config = self.config.to_builder().identity_cache(cache);
        if let Some(chain) = &self.chain {
            let region = self.config.region().map(ToString::to_string);
            let found = chain().region(region.map(Region::new)).load().await;
            config.set_credentials_provider(found.credentials_provider());
        }
        Client::from_conf(config.build())
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Nothing panics while it is held.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    const fn new(client: Client, keys: Keys) -> Self {
        Self {
            client,
            keys,
            lack: false,
        }
    }

    fn signer(&self) -> (Client, Keys) {
        (self.client.clone(), self.keys)
    }
}

impl Keys {
    fn are_fresh(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() < FRESH)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}
