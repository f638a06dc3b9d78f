//! The numbers of this agent: one registry, which each part extends with what it counts.
//!
//! Names begin with `bpf2iam_`. Labels are of few values: never a pod, a role or an address.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::{
    encoding::text,
    metrics::{gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};

/// What [`encode`] gives, in the words of HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Makes the registry of a process that began at `start`.
pub fn registry(start: Timestamp) -> Registry {
    let mut registry = Registry::with_prefix("bpf2iam");
    registry.register(
        "build",
        "The version that runs",
        Info::new([("version", env!("CARGO_PKG_VERSION"))]),
    );
    registry.register_with_unit(
        "process_start_time",
        "When the process began, since the epoch",
        Unit::Seconds,
        ConstGauge::new(start.as_second()),
    );
    registry
}

/// All numbers as they are now, in the OpenMetrics text format.
pub fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut page = String::new();
    text::encode(&mut page, registry)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_the_version_and_the_start_and_comes_to_an_end() {
        let start = "2026-01-01T00:00:00.9Z".parse().unwrap();
        let page = encode(&registry(start)).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        for line in [
            format!("bpf2iam_build_info{{version=\"{version}\"}} 1"),
            "# TYPE bpf2iam_process_start_time_seconds gauge".to_owned(),
            "bpf2iam_process_start_time_seconds 1767225600".to_owned(),
        ] {
            assert!(page.lines().any(|got| got == line), "{line} in\n{page}");
        }
        assert!(page.ends_with("# EOF\n"), "{page}");
    }
}
