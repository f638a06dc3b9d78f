//! Every way to reach the metadata service that we know of.

mod fastopen;
mod forge;
mod get;
mod handover;
mod link;
mod nested;
mod packet;
mod raw;
mod raw6;
mod ring;
mod tcp;
mod udp;

use bpf2iam_support::client::Report;

use crate::{args::Args, errno, trouble::Trouble};

pub(crate) use nested::enter_own_network;

/// Makes an attempt and notes what it finds.
type Attempt = fn(&Args, &mut Report) -> Result<(), Trouble>;

/// By name.
const TABLE: [(&str, Attempt); 44] = [
    ("get", get::get),
    ("connect", tcp::connect),
    ("nonblocking", tcp::nonblocking),
    ("mapped", tcp::mapped),
    ("ipv6", tcp::ipv6),
    ("port-81", tcp::port_81),
    ("port-81-mapped", tcp::port_81_mapped),
    ("port-81-ipv6", tcp::port_81_ipv6),
    ("port-443", tcp::port_443),
    ("direct", tcp::direct),
    ("half-close", tcp::half_close),
    ("opened-before", tcp::opened_before),
    ("opened-before-mptcp", tcp::opened_before_mptcp),
    ("unspec", tcp::unspec),
    ("refused-first", tcp::refused_first),
    ("mptcp", tcp::mptcp),
    ("mptcp-mapped", tcp::mptcp_mapped),
    ("sctp", tcp::sctp),
    ("fastopen-sendto", fastopen::sendto),
    ("fastopen-connect", fastopen::connect),
    ("mptcp-fastopen", fastopen::mptcp),
    ("uring", ring::inline),
    ("uring-sqpoll", ring::sqpoll),
    ("uring-async", ring::worker),
    ("udp-connect", udp::connect),
    ("udp-connect-mapped", udp::connect_mapped),
    ("udp-connect-ipv6", udp::connect_ipv6),
    ("udp-sendto", udp::sendto),
    ("udp-sendto-mapped", udp::sendto_mapped),
    ("udp-sendto-ipv6", udp::sendto_ipv6),
    ("udp-sendto-connected", udp::sendto_connected),
    ("raw-sendto", raw::sendto),
    ("raw-connect", raw::connect),
    ("raw-header", raw::header),
    ("raw-header-other", raw::header_other),
    ("icmp", raw::icmp),
    ("raw-sendto-ipv6", raw6::sendto),
    ("icmp-ipv6", raw6::icmp),
    ("packet", link::packet),
    ("forge", forge::forge),
    ("nested-netns", nested::netns),
    ("nested-cgroup", nested::cgroup),
    ("scm-send", handover::send),
    ("scm-receive", handover::receive),
];

/// What they are called.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// The report of the attempt that the command line names; none if there is no such attempt.
pub(crate) fn run(args: &Args) -> Option<Result<String, Trouble>> {
    let (name, attempt) = TABLE.iter().find(|(name, _)| *name == args.attempt())?;
    let mut report = Report {
        attempt: (*name).to_owned(),
        ..Report::default()
    };
    match attempt(args, &mut report) {
        Ok(()) => {}
        Err(Trouble::System { step, source }) => {
            report.error = Some(errno::name(&source));
            report.failed_at = Some(step.to_owned());
        }
        Err(Trouble::Unsupported(what)) => report.unsupported = Some(what.to_owned()),
        Err(other) => return Some(Err(other)),
    }
    Some(crate::trouble::json(&report))
}
