use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use super::*;

/// What was written, line by line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn objects(&self) -> Vec<Value> {
        let text = self.text();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `say` makes appear under `level` and `format`.
fn hear(level: Level, format: Format, say: impl FnOnce()) -> Lines {
    let lines = Lines::default();
    let writer = lines.clone();
    let settings = Settings { level, format };
    let subscriber = subscriber(settings, Colour::Off, move || writer.clone());
    tracing::subscriber::with_default(subscriber, say);
    lines
}

/// One event of each level from one target, with the level as its message.
macro_rules! say_all {
    ($target:literal) => {
        tracing::error!(target: $target, "error");
        tracing::warn!(target: $target, "warn");
        tracing::info!(target: $target, "info");
        tracing::debug!(target: $target, "debug");
        tracing::trace!(target: $target, "trace");
    };
}

fn messages(lines: &Lines) -> Vec<String> {
    let objects = lines.objects();
    objects
        .iter()
        .map(|object| object["message"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn own_crates_speak_at_the_level_and_others_one_step_quieter() {
    let all = ["error", "warn", "info", "debug", "trace"];
    for (level, own, others) in [
        (Level::Error, 1, 1),
        (Level::Warn, 2, 1),
        (Level::Info, 3, 2),
        (Level::Debug, 4, 3),
        (Level::Trace, 5, 4),
    ] {
        let from_us = hear(level, Format::Json, || {
            say_all!("bpf2iam::redirect");
        });
        assert_eq!(messages(&from_us), all[..own], "{level}");
        let from_kernel = hear(level, Format::Json, || {
            say_all!("bpf2iam_ebpf::connect");
        });
        assert_eq!(messages(&from_kernel), all[..own], "{level}");
        for from_others in [
            hear(level, Format::Json, || {
                say_all!("hyper::proto");
            }),
            hear(level, Format::Json, || {
                say_all!("aws_config");
            }),
        ] {
            assert_eq!(messages(&from_others), all[..others], "{level}");
        }
    }
}

#[test]
fn requests_are_told_of_at_info_and_not_below() {
    for (level, told) in [(Level::Warn, 0), (Level::Info, 1)] {
        let lines = hear(level, Format::Json, || {
            tracing::info!(target: ACCESS, "GET /");
        });
        assert_eq!(lines.objects().len(), told, "{level}");
    }
}

#[test]
fn json_is_flat_and_text_is_not_json() {
    let say = || tracing::info!(target: "bpf2iam", role = "r", "bound");
    let object = &hear(Level::Info, Format::Json, say).objects()[0];
    assert_eq!(
        (
            &object["level"],
            &object["target"],
            &object["message"],
            &object["role"]
        ),
        (
            &"INFO".into(),
            &"bpf2iam".into(),
            &"bound".into(),
            &"r".into()
        )
    );
    let text = hear(Level::Info, Format::Text, say).text();
    assert!(
        text.ends_with("  INFO bpf2iam: bound role=\"r\"\n"),
        "{text}"
    );
}

#[test]
fn records_of_the_log_crate_come_out_under_their_own_target() {
    // The bridge is the process's; what it brings goes to the subscriber of the moment.
    let _installed = tracing_subscriber::registry().try_init();
    let lines = hear(Level::Info, Format::Json, || {
        log::info!(target: "bpf2iam_ebpf", "redirected");
        log::debug!(target: "bpf2iam_ebpf", "not told");
        log::info!(target: "notify", "not told");
        log::warn!(target: "notify", "told");
    });
    let heard: Vec<_> = lines
        .objects()
        .iter()
        .map(|object| (object["target"].clone(), object["message"].clone()))
        .collect();
    assert_eq!(
        heard,
        [
            ("bpf2iam_ebpf".into(), "redirected".into()),
            ("notify".into(), "told".into())
        ]
    );
}

#[test]
fn a_panic_is_an_error_record_that_says_where() {
    let lines = hear(Level::Error, Format::Json, || {
        let before = panic::take_hook();
        panic::set_hook(Box::new(report));
        let outcome = panic::catch_unwind(|| panic!("no role for {}", "shop/cart"));
        panic::set_hook(before);
        assert!(outcome.is_err());
    });
    let object = &lines.objects()[0];
    assert_eq!(object["level"], "ERROR");
    assert_eq!(object["message"], "panic: no role for shop/cart");
    let location = object["location"].as_str().unwrap();
    assert!(location.contains("telemetry/tests.rs:"), "{location}");
}
