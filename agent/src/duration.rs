//! Durations as Go programs take them: people write them so on kube2iam's command line, and everywhere in Kubernetes.

use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, thiserror::Error)]
#[error("it is no duration, such as 30m, 2s or 1h30m")]
pub(crate) struct NoDuration;

/// What `time.ParseDuration` takes and is not negative: numbers, each with its unit; or 0.
pub(crate) fn parse(text: &str) -> Result<Duration, NoDuration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(NoDuration);
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = split(rest, |byte| !is_of_number(byte));
        let (unit, after) = split(after, is_of_number);
        let part = part(number, unit).ok_or(NoDuration)?;
        sum = sum.checked_add(part).ok_or(NoDuration)?;
        rest = after;
    }
    Ok(sum)
}

/// `text` before and from the first character that `is_next` takes.
fn split(text: &str, is_next: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_next).unwrap_or(text.len()))
}

fn is_of_number(character: char) -> bool {
    character.is_ascii_digit() || character == '.'
}

fn part(number: &str, unit: &str) -> Option<Duration> {
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_what_go_prints_and_takes() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("2s", 2_000),
            ("30m", 1_800_000),
            ("30m0s", 1_800_000),
            ("1h30m", 5_400_000),
            ("1h0m0s", 3_600_000),
            ("1.5h", 5_400_000),
            ("500ms", 500),
            ("1500us", 1),
            (".5s", 500),
            ("1m30.5s", 90_500),
            ("+2s", 2_000),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(duration.as_millis(), milliseconds, "{text}");
        }
        for text in [
            "",
            "+",
            "2",
            "m",
            "s2",
            "-2s",
            "2s-",
            "PT2S",
            "two",
            "2x",
            "1d",
            "+-2s",
            "2s ago",
            "2 s",
            "1:30",
            "..s",
            "1.2.3s",
            "1h30",
            "inf h",
            "9999999999999999999h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
