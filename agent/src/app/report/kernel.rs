//! What is told of the kernel side.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::counter::ConstCounter,
    registry::Registry,
};

use crate::{
    config::{self, Lifetime},
    redirect::{self, Turn, View, WhenGone, Whose},
    status::{Exempt, Kernel, Lease, Pins, Serving},
};

/// What the names of the programs' counters begin with.
pub(super) const COUNTERS: &str = "kernel_";

/// The programs and what is pinned, where there are programs.
#[derive(Clone, Debug)]
pub(in crate::app) struct KernelSide {
    view: Arc<Option<View>>,
    /// How long we renew the lease each time.
    lease: Duration,
    /// What we want the programs to do after it.
    when_gone: WhenGone,
}

impl KernelSide {
    /// Adds their counters to `registry`.
    pub(in crate::app) fn register(
        view: Option<View>,
        lifetime: &Lifetime,
        registry: &mut Registry,
    ) -> Self {
        let side = Self {
            view: Arc::new(view),
            lease: lifetime.lease.get(),
            when_gone: lifetime.when_gone,
        };
        registry.register_collector(Box::new(side.clone()));
        side
    }

    /// All of it but the counters.
    pub(super) fn status(&self) -> Option<Kernel> {
        let view = self.view.as_ref().as_ref()?;
        let status = self.look(view);
        status
            .map_err(|error| {
                let error = anyhow::Error::from(error);
                tracing::warn!("cannot tell what is in the kernel: {error:#}");
            })
            .ok()
    }

    fn look(&self, view: &View) -> Result<Kernel, redirect::Error> {
        let redirect::Pinned { links, maps } = view.pinned()?;
        Ok(Kernel {
            serving: match view.turn()? {
                Turn::Serving => Serving::Yes,
                Turn::Waiting => Serving::Waiting,
                Turn::Displaced => Serving::Displaced,
            },
            abi: View::ABI,
            pin_dir: view.pins().dir().to_owned(),
            pins: Pins { links, maps },
            lease: self.lease(view)?,
            exempt: exempt(view)?,
        })
    }

    fn lease(&self, view: &View) -> Result<Lease, redirect::Error> {
        let remaining = view.remaining()?;
        let when_gone = remaining.map_or(self.when_gone, |remaining| remaining.when_gone);
        Ok(Lease {
            length_ms: milliseconds(self.lease),
            left_ms: remaining.map(|remaining| milliseconds(remaining.left)),
            when_agent_gone: config::word(&when_gone),
        })
    }

    /// The counters by name.
    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        self.each()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let view = self.view.as_ref().as_ref();
        let counters = view.and_then(|view| match view.counters().read() {
            Ok(counters) => Some(counters),
            Err(error) => {
                tracing::warn!(%error, "cannot read the programs' counters");
                None
            }
        });
        counters.into_iter().flat_map(|counters| counters.each())
    }
}

fn exempt(view: &View) -> Result<Exempt, redirect::Error> {
    let mut exempt = Exempt::default();
    for (cgroup, whose) in view.exempt().all()? {
        match whose {
            Whose::Agent => exempt.agents.push(cgroup.get()),
            Whose::Pod => exempt.pods.push(cgroup.get()),
        }
    }
    exempt.agents.sort_unstable();
    exempt.pods.sort_unstable();
    Ok(exempt)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Collector for KernelSide {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, value) in self.each() {
            let counter = ConstCounter::new(value);
            let name = format!("{COUNTERS}{name}");
            let help = "Counted by the programs in the kernel, see the map IMDS_COUNTERS";
            let encoder = encoder.encode_descriptor(&name, help, None, counter.metric_type())?;
            counter.encode(encoder)?;
        }
        Ok(())
    }
}
