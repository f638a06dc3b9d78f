//! What the programs have in common: the line that says that they are ready, and their end.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::listen::Address;

/// Says on standard output that `name` listens, in one line, and returns when somebody ends the program.
pub async fn run(name: &str, addrs: &[SocketAddr], control: Option<&Address>) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    writeln!(io::stdout(), "{}", ready(name, addrs, control))?;
    io::stdout().flush()?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

fn ready(name: &str, addrs: &[SocketAddr], control: Option<&Address>) -> String {
    let addrs: Vec<_> = addrs.iter().map(ToString::to_string).collect();
    let control = control.map(|control| format!(", control {control}"));
    let control = control.unwrap_or_default();
    format!("{name} ready on {}{control}", addrs.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_every_address() {
        let addrs = ["127.0.0.1:80".parse().unwrap(), "[::1]:81".parse().unwrap()];
        let control = Address::Unix("/run/c.sock".into());
        for (control, line) in [
            (None, "x ready on 127.0.0.1:80 [::1]:81"),
            (
                Some(&control),
                "x ready on 127.0.0.1:80 [::1]:81, control unix:/run/c.sock",
            ),
        ] {
            assert_eq!(ready("x", &addrs, control), line);
        }
    }
}
