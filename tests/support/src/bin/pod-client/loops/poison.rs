//! An attacker who pretends to be another pod, so that the kernel's records of the two are mixed up.
//!
//! Inside a network namespace of its own, which needs no privilege, it gives itself the victim's
//! address and the proxy's, and connects from the victim's source port over and over again. Nothing that it sends leaves
//! that namespace; what it does aims only at records that are made when it calls `connect`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener},
    process::Command,
    time::{Duration, Instant},
};

use bpf2iam_support::client::Tally;
use rustix::net::{
    bind,
    sockopt::{set_socket_linger, set_socket_reuseaddr},
};

use crate::{
    args::Args,
    attempts::enter_own_network,
    socket,
    trouble::{During as _, Trouble},
};

use super::score::Score;

/// `poison --victim-ip IP --port PORT --proxy ADDRESS --seconds N`. Says `poisoning` on standard error when it
/// has begun.
pub(super) fn run(args: &Args) -> Result<Tally, Trouble> {
    let victim = SocketAddrV4::new(
        args.required::<Ipv4Addr>("--victim-ip")?,
        args.required("--port")?,
    );
    let proxy: SocketAddr = args.required("--proxy")?;
    let duration = Duration::from_secs(args.required("--seconds")?);
    let to = args.to()?;
    enter_own_network()?;
    own((*victim.ip()).into())?;
    own(proxy.ip())?;
    let listener = TcpListener::bind(proxy).during("listen")?;
    let mut score = Score::new();
    let start = Instant::now();
    crate::say("poisoning").during("report")?;
    while start.elapsed() < duration {
        match poison(victim, &to, &listener) {
            Ok(()) => score.good(),
            Err(error) => score.failed(&error),
        }
    }
    Ok(score.tally())
}

/// One connection from the victim's address to what it takes for the metadata service.
fn poison(victim: SocketAddrV4, to: &SocketAddr, listener: &TcpListener) -> std::io::Result<()> {
    let socket = socket::short_lived(to)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &victim)?;
    socket::connect(&socket, to)?;
    let (accepted, _) = listener.accept()?;
    set_socket_linger(&accepted, Some(Duration::ZERO))?;
    Ok(())
}

/// Takes an address for itself.
fn own(address: IpAddr) -> Result<(), Trouble> {
    let address = format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 });
    ip(&["link", "set", "lo", "up"])?;
    ip(&["address", "add", &address, "dev", "lo"])
}

fn ip(args: &[&str]) -> Result<(), Trouble> {
    let output = Command::new("ip").args(args).output().during("ip")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Trouble::Refused(format!(
        "ip {}: {}",
        args.join(" "),
        said.trim()
    )))
}
