//! The streams of a command: what people or programs read, and whether it may have colours.

use std::io::{self, ErrorKind, IsTerminal, Write as _};

/// Whether to write colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With escape sequences.
    On,
    /// Plain text.
    Off,
}

impl Colour {
    /// Colours go to terminals only, and not to people who set `NO_COLOR` (<https://no-color.org>).
    pub fn of(stream: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if stream.is_terminal() && !refused {
            Self::On
        } else {
            Self::Off
        }
    }
}

/// Writes to standard output. A reader who went away has seen enough.
pub fn print(page: &str) -> io::Result<()> {
    match io::stdout().write_all(page.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Says on standard error what was wrong. Where that is closed, the exit code has to do.
pub fn complain(error: &str) {
    say("error", error);
}

/// Says on standard error what does not keep the command from its end.
pub fn warn(warning: &str) {
    say("warning", warning);
}

/// Says it without control characters: what was typed is repeated, and may have some.
fn say(what: &str, text: &str) {
    let plain = |char: char| match char {
        '\n' => '\n',
        char if char.is_control() => ' ',
        char => char,
    };
    let text: String = text.chars().map(plain).collect();
    let _said = writeln!(io::stderr(), "{what}: {text}").is_ok();
}
