//! The only place that prints. Results go to standard output; what is being done goes to standard error, so that a
//! script can read the results.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what a command-line tool does"
)]

/// Prints a line of the verb's result.
pub(crate) fn line(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

/// Announces a part of the work.
pub(crate) fn step(text: impl AsRef<str>) {
    eprintln!("\n== {}", text.as_ref());
}

/// Says something about the work under way.
pub(crate) fn note(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// Says why the verb failed, with every cause.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("because: {cause}");
    }
}
