//! What shall be wrong with a watch. Everything is counted, so that the same watch goes wrong in the same way.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as spelled;
use serde::{Deserialize, Serialize};

use super::log::Interrupt;

/// How a watch goes wrong. Events are counted from one, with those of the initial list; bookmarks do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mangle {
    /// It ends well after so many events; after none it ends at once.
    EndAfter(u64),
    /// It sends an error event with code 410 after so many events, and ends.
    ExpireAfter(u64),
    /// Its connection is closed after so many events.
    BreakAfter(u64),
    /// It stays open after so many events, and sends nothing more.
    SilentAfter(u64),
    /// This event is left out.
    Drop(u64),
    /// This event comes twice.
    Repeat(u64),
    /// This event comes after the next one.
    Swap(u64),
    /// Each event comes so much later than the one before it.
    #[serde(with = "spelled")]
    Lag(Duration),
}

impl Mangle {
    /// After how many events the watch is over, and how.
    const fn end(self) -> Option<(u64, Course)> {
        match self {
            Self::EndAfter(after) => Some((after, Course::Over(Interrupt::End))),
            Self::ExpireAfter(after) => Some((after, Course::Over(Interrupt::Expire))),
            Self::BreakAfter(after) => Some((after, Course::Over(Interrupt::Break))),
            Self::SilentAfter(after) => Some((after, Course::Silent)),
            Self::Drop(_) | Self::Repeat(_) | Self::Swap(_) | Self::Lag(_) => None,
        }
    }
}

/// A line of a watch.
pub(super) type Line = Vec<u8>;

/// Lets lines through as they shall be.
#[derive(Debug, Default)]
pub(super) struct Mangler {
    mangles: Vec<Mangle>,
    count: u64,
    held: Option<Line>,
}

/// What becomes of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    On,
    Over(Interrupt),
    /// Nothing ever comes any more.
    Silent,
}

impl Mangler {
    pub(super) const fn new(mangles: Vec<Mangle>) -> Self {
        Self {
            mangles,
            count: 0,
            held: None,
        }
    }

    /// What becomes of the watch after the lines so far.
    pub(super) fn course(&self) -> Course {
        let ends = self.mangles.iter().filter_map(|mangle| mangle.end());
        let mut reached = ends.filter(|(after, _)| self.count >= *after);
        reached.next().map_or(Course::On, |(_, course)| course)
    }

    /// The lines that are sent for one event.
    pub(super) fn event(&mut self, line: Line) -> Vec<Line> {
        self.count += 1;
        let mut lines = Vec::new();
        if self.has(Mangle::Drop(self.count)) {
            return lines;
        }
        if self.has(Mangle::Swap(self.count)) {
            self.held = Some(line);
            return lines;
        }
        if self.has(Mangle::Repeat(self.count)) {
            lines.push(line.clone());
        }
        lines.push(line);
        lines.extend(self.held.take());
        lines
    }

    /// How long before each event.
    pub(super) fn lag(&self) -> Option<Duration> {
        self.mangles.iter().find_map(|mangle| match mangle {
            Mangle::Lag(lag) => Some(*lag),
            Mangle::EndAfter(_)
            | Mangle::ExpireAfter(_)
            | Mangle::BreakAfter(_)
            | Mangle::SilentAfter(_)
            | Mangle::Drop(_)
            | Mangle::Repeat(_)
            | Mangle::Swap(_) => None,
        })
    }

    fn has(&self, mangle: Mangle) -> bool {
        self.mangles.contains(&mangle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of five events, and what becomes of the watch.
    fn run(mangle: Mangle) -> (String, Course) {
        let mut mangler = Mangler::new(vec![mangle]);
        let mut seen = String::new();
        for event in ["1", "2", "3", "4", "5"] {
            if mangler.course() != Course::On {
                break;
            }
            for line in mangler.event(event.into()) {
                seen.push_str(std::str::from_utf8(&line).unwrap());
            }
        }
        (seen, mangler.course())
    }

    #[test]
    fn events_are_left_out_repeated_and_swapped() {
        for (mangle, seen) in [
            (Mangle::Drop(1), "2345"),
            (Mangle::Drop(3), "1245"),
            (Mangle::Repeat(2), "122345"),
            (Mangle::Swap(2), "13245"),
            (Mangle::Swap(1), "21345"),
            (Mangle::Drop(6), "12345"),
            (Mangle::Lag(Duration::from_secs(1)), "12345"),
        ] {
            assert_eq!(run(mangle), (seen.to_owned(), Course::On), "{mangle:?}");
        }
    }

    #[test]
    fn a_watch_is_over_after_its_events() {
        for (mangle, seen, course) in [
            (Mangle::EndAfter(0), "", Course::Over(Interrupt::End)),
            (Mangle::EndAfter(2), "12", Course::Over(Interrupt::End)),
            (
                Mangle::ExpireAfter(3),
                "123",
                Course::Over(Interrupt::Expire),
            ),
            (Mangle::BreakAfter(1), "1", Course::Over(Interrupt::Break)),
            (Mangle::SilentAfter(4), "1234", Course::Silent),
            (Mangle::EndAfter(6), "12345", Course::On),
        ] {
            assert_eq!(run(mangle), (seen.to_owned(), course), "{mangle:?}");
        }
    }
}
