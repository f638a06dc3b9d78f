//! `cargo xtask ci`: everything that a change must pass. The one thing that CI calls.

use anyhow::Result;

use crate::{api, checks::Checks, clients, cluster, cx::Cx, lint, test};

/// Runs the verbs that gate a change; one that fails does not hide what the others say.
pub(crate) fn run(cx: &Cx) -> Result<()> {
    let mut verbs = Checks::default();
    verbs.check("lint", || lint::run(cx, &lint::Args::default()));
    verbs.check("test", || test::run(cx, &test::Args::default()));
    verbs.check("clients", || clients::run(cx));
    verbs.check("api", || api::run(cx, &api::Args::default()));
    verbs.check("cluster", || cluster::run(cx, &cluster::Args::default()));
    verbs.finish()
}
