//! tmp
use anyhow::{Context as _, Result};
#[derive(Clone, Copy, Debug)]
pub(super) struct Time { user: f64, sys: f64 }
impl Time {
    pub(super) fn of(pid: u32) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let rest = text.rsplit_once(')').context("stat")?.1;
        let f: Vec<&str> = rest.split_whitespace().collect();
        Ok(Self { user: f[11].parse::<f64>()? * 10000.0, sys: f[12].parse::<f64>()? * 10000.0 })
    }
    pub(super) fn since(self, b: Self) -> Self { Self { user: self.user - b.user, sys: self.sys - b.sys } }
    pub(super) fn per(self, n: u64) -> String { format!("user {:.1} us sys {:.1} us a request", self.user / n as f64, self.sys / n as f64) }
}
