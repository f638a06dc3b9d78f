//! The status for people.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    table::{Cell, Tone, paint, table},
    terminal::Colour,
};

use super::{Exempt, Kernel, Keys, Lease, Pod, Role, Serving, Status, Whose};

/// The whole page, at the time `now`.
pub(super) fn page(status: &Status, now: Timestamp, colour: Colour) -> String {
    let parts = [
        head(status, now, colour),
        programs(status, colour),
        pods(status, now, colour),
        counters("KERNEL COUNTER", &status.counters.kernel, colour),
        counters("AGENT COUNTER", &status.counters.agent, colour),
    ];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn head(status: &Status, now: Timestamp, colour: Colour) -> String {
    let title = format!("bpf2iam {} on {}", status.version, status.node);
    let title = paint(&title, Tone::Heading, colour);
    let up = age(now.duration_since(status.since));
    let ready = readiness(&status.pending, colour);
    let addresses: Vec<_> = status.listeners.iter().map(ToString::to_string).collect();
    let kubepods = match &status.kubepods {
        Some(path) => path.display().to_string(),
        None => "not found yet".to_owned(),
    };
    let kernel = status.kernel.as_ref();
    let serving = kernel.map_or_else(String::new, |kernel| serving(kernel.serving, colour));
    let kept = kernel.map_or_else(String::new, kept);
    format!(
        "{title}, {ready}, up {up}\nagent      pid {}{serving}\nlisteners  {}\nkubepods   {kubepods}\n{kept}",
        status.pid,
        or_dash(&addresses.join(", "))
    )
}

fn serving(serving: Serving, colour: Colour) -> String {
    let (word, tone) = match serving {
        Serving::Yes => ("serving", Tone::Good),
        Serving::Waiting => ("waiting to take over", Tone::Waiting),
        Serving::Displaced => ("displaced by another agent", Tone::Waiting),
    };
    format!(", {}", paint(word, tone, colour))
}

/// What stays when the agent ends, and for how long it does what.
fn kept(kernel: &Kernel) -> String {
    let Kernel {
        abi,
        pin_dir,
        pins,
        lease,
        exempt,
        ..
    } = kernel;
    let (links, maps) = (pins.links.len(), pins.maps.len());
    format!(
        "pins       {links} links, {maps} maps in {} (ABI {abi})\nlease      {}\nexempt     {}\n",
        pin_dir.display(),
        renewed(lease),
        spared(exempt)
    )
}

/// Who reaches the real service, by the ids of cgroups.
fn spared(exempt: &Exempt) -> String {
    let listed = |(what, ids): (&str, &Vec<u64>)| {
        let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
        (!ids.is_empty()).then(|| format!("{what} {}", ids.join(" ")))
    };
    let parts = [("agents", &exempt.agents), ("pods", &exempt.pods)].map(listed);
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    or_dash(&parts.join(", ")).to_owned()
}

fn renewed(lease: &Lease) -> String {
    let left = match lease.left_ms {
        None => "not begun".to_owned(),
        Some(0) => "expired".to_owned(),
        Some(left) => format!("{} left", seconds(left)),
    };
    let (length, then) = (seconds(lease.length_ms), &lease.when_agent_gone);
    format!("{length}, {left}, --when-agent-gone {then}")
}

/// Of milliseconds, to a tenth.
fn seconds(milliseconds: u64) -> String {
    let (whole, tenths) = (milliseconds / 1000, milliseconds % 1000 / 100);
    match tenths {
        0 => format!("{whole}s"),
        tenths => format!("{whole}.{tenths}s"),
    }
}

fn readiness(pending: &[String], colour: Colour) -> String {
    if pending.is_empty() {
        return paint("ready", Tone::Good, colour);
    }
    let waiting = format!("waiting for {}", pending.join(", "));
    paint(&waiting, Tone::Waiting, colour)
}

fn programs(status: &Status, colour: Colour) -> String {
    if status.programs.is_empty() {
        return "no programs are attached\n".to_owned();
    }
    let rows = status.programs.iter().map(|program| {
        [
            Cell::from(&program.name),
            Cell::from(&program.kind),
            Cell::from(program.program_id.to_string()),
            Cell::from(program.link_id.to_string()),
            Cell::from(program.attach_point.display().to_string()),
        ]
    });
    let heading = ["PROGRAM", "TYPE", "ID", "LINK", "ATTACHED TO"];
    table(heading, rows.collect(), colour)
}

fn pods(status: &Status, now: Timestamp, colour: Colour) -> String {
    if status.pods.is_empty() {
        return "no pods on this node\n".to_owned();
    }
    let mut pods: Vec<_> = status.pods.iter().collect();
    pods.sort_by_key(|pod| (&pod.namespace, &pod.name, pod.uid));
    let rows = pods.into_iter().map(|pod| row(pod, now)).collect();
    let heading = ["POD", "ROLE", "RULE", "REFRESHED", "EXPIRES", "STATE"];
    table(heading, rows, colour)
}

fn row(pod: &Pod, now: Timestamp) -> [Cell; 6] {
    let name = Cell::from(format!("{}/{}", pod.namespace, pod.name));
    let none = || Cell::from("-");
    let (role, rule, keys) = match &pod.role {
        Role::Bound { role, rule, keys } => (Cell::from(role.as_str()), Cell::from(rule), keys),
        Role::Other { identity, rule } => {
            let Whose::Node = identity;
            let state = Cell::from("passed on");
            let role = Cell::from("(the node's own)");
            return [name, role, Cell::from(rule), none(), none(), state];
        }
        Role::None { reason } => {
            let state = Cell::new(&format!("no role: {reason}"), Tone::Plain);
            return [name, none(), none(), none(), none(), state];
        }
    };
    let (refreshed, expires, state) = match keys {
        Keys::Fetching { .. } => (none(), none(), Cell::new("fetching", Tone::Waiting)),
        Keys::Ready {
            refreshed,
            expires,
            error,
            ..
        } => (
            relative(*refreshed, now),
            relative(*expires, now),
            ready(*expires > now, error.as_deref()),
        ),
        Keys::Failed { message, .. } => {
            let state = Cell::new(&format!("failed: {message}"), Tone::Bad);
            (none(), none(), state)
        }
    };
    [name, role, rule, refreshed, expires, state]
}

fn ready(valid: bool, error: Option<&str>) -> Cell {
    match (valid, error) {
        (false, _) => Cell::new("expired", Tone::Bad),
        (true, None) => Cell::new("ready", Tone::Good),
        (true, Some(error)) => Cell::new(&format!("ready, not renewed: {error}"), Tone::Waiting),
    }
}

fn counters(title: &str, counters: &BTreeMap<String, u64>, colour: Colour) -> String {
    if counters.is_empty() {
        return String::new();
    }
    let rows = counters
        .iter()
        .map(|(name, count)| [Cell::from(name), Cell::from(count.to_string())]);
    table([title, "COUNT"], rows.collect(), colour)
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn relative(then: Timestamp, now: Timestamp) -> Cell {
    let distance = then.duration_since(now);
    let text = if distance.is_negative() {
        format!("{} ago", age(distance.abs()))
    } else {
        format!("in {}", age(distance))
    };
    Cell::from(text)
}

/// The two largest units that say something: `3d4h`, `2h5m`, `17m3s`, `8s`.
fn age(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_their_two_largest_units() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3599, "59m59s"),
            (3600, "1h0m"),
            (86_399, "23h59m"),
            (86_400, "1d0h"),
            (31_536_000, "365d0h"),
        ] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), text);
        }
    }
}
