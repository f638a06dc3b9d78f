//! What a process has in its memory: for tests that look where a secret must not be.
//!
//! Memory is read as a debugger reads it (`/proc/PID/mem`), which root may.

use std::{
    fmt,
    fs::{self, File},
    hint,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    process,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};

/// So much is read at a time.
const CHUNK: usize = 1 << 20;

/// Held by who looks: what it has read would be found by another that looks through the same memory.
static LOOKING: Mutex<()> = Mutex::new(());

/// What to look for. It is kept inverted: whoever looks through its own memory does not find what it looks with.
#[derive(Clone)]
pub struct Needle {
    inverted: Vec<u8>,
    /// How far to go on after a place that ends with this byte (Horspool).
    skip: [usize; 256],
}

impl Needle {
    /// Looks for `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut skip = [bytes.len().max(1); 256];
        for (byte, left) in bytes.iter().zip((1..bytes.len()).rev()) {
            skip[usize::from(*byte)] = left;
        }
        let inverted = bytes.iter().map(|byte| !byte).collect();
        Self { inverted, skip }
    }

    /// Where the needle is in `hay`.
    fn positions(&self, hay: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(place) = hay.get(at..at + self.inverted.len()) {
            if place.iter().zip(&self.inverted).all(|(a, b)| *a == !b) {
                found.push(at);
            }
            at += place.last().map_or(1, |last| self.skip[usize::from(*last)]);
        }
        found
    }
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Needle").finish_non_exhaustive()
    }
}

/// A piece of memory that the process may write to and shares with nobody.
#[derive(Debug, PartialEq, Eq)]
struct Region {
    range: Range<u64>,
    /// The file or `[heap]`; empty for most.
    name: String,
}

impl Region {
    /// A line of `/proc/PID/maps`: `55d0-55f1 rw-p 0000 00:00 0    [heap]`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        if words.next()? != "rw-p" {
            return None;
        }
        let address = |text| u64::from_str_radix(text, 16).ok();
        Some(Self {
            range: address(start)?..address(end)?,
            name: words.nth(3).unwrap_or_default().to_owned(),
        })
    }
}

/// The places where the process `pid` has `needle`.
pub fn find(pid: u32, needle: &Needle) -> Result<Vec<String>> {
    let _alone = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = Path::new("/proc").join(pid.to_string());
    let maps = directory.join("maps");
    let maps = fs::read_to_string(&maps).with_context(|| maps.display().to_string())?;
    let memory = directory.join("mem");
    let memory = File::open(&memory).with_context(|| memory.display().to_string())?;
    let mut buffer = vec![0; CHUNK];
    let mut found = Vec::new();
    for region in maps.lines().filter_map(Region::parse) {
        let places = look(&memory, &region.range, needle, &mut buffer);
        found.extend(places.into_iter().map(|at| (at, region.name.clone())));
    }
    let own = own(&buffer);
    found.retain(|(at, _)| pid != process::id() || !own.contains(at));
    // Nobody shall find it there later.
    hint::black_box(&mut buffer).fill(0);
    let place = |(at, name)| format!("{at:#x} {name}");
    Ok(found.into_iter().map(place).collect())
}

/// Where the buffer is. What is read of a process into its own memory is read there again.
fn own(buffer: &[u8]) -> Range<u64> {
    let range = buffer.as_ptr_range();
    range.start.addr() as u64..range.end.addr() as u64
}

/// What cannot be read any more, or never, has nothing in it.
fn look(memory: &File, range: &Range<u64>, needle: &Needle, buffer: &mut [u8]) -> Vec<u64> {
    let overlap = needle.inverted.len().saturating_sub(1) as u64;
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let most = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
        let Ok(read @ 1..) = memory.read_at(&mut buffer[..most], at) else {
            break;
        };
        let places = needle.positions(&buffer[..read]);
        found.extend(places.into_iter().map(|place| at + place as u64));
        let read = read as u64;
        at += if at + read < range.end && read > overlap {
            read - overlap // one may begin here and end in the next chunk
        } else {
            read
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_wherever_it_is_in_the_hay() {
        for (hay, places) in [
            ("", vec![]),
            ("abc", vec![]),
            ("abcab", vec![0]),
            ("xabcab", vec![1]),
            ("abcabcab", vec![0, 3]),
            ("abcabxabcab", vec![0, 6]),
            ("bbbbbabcab", vec![5]),
        ] {
            let found = Needle::new(b"abcab").positions(hay.as_bytes());
            assert_eq!(found, places, "{hay}");
        }
    }

    #[test]
    fn of_the_maps_only_private_memory_that_can_be_written_counts() {
        let heap = "55d0-55f1 rw-p 00000000 00:00 0                          [heap]";
        let region = Region {
            range: 0x55d0..0x55f1,
            name: "[heap]".to_owned(),
        };
        assert_eq!(Region::parse(heap), Some(region));
        let nameless = Region::parse("7f00-7f10 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!(nameless.name, "");
        for line in [
            "",
            "7f00-7f10 r-xp 00000000 08:01 42   /usr/bin/agent",
            "7f00-7f10 rw-s 00000000 00:0e 42   anon_inode:bpf-map",
            "7f00-7f10 ---p 00000000 00:00 0",
        ] {
            assert_eq!(Region::parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_this_process_has_is_found_and_not_what_it_looks_with() {
        let secret = || (0..48_u8).map(|n| n.wrapping_mul(37) ^ 0x5a);
        let mut bytes: Vec<u8> = secret().collect();
        let needle = Needle::new(&bytes);
        bytes.fill(0);
        hint::black_box(&bytes);
        let find = || find(process::id(), &needle).unwrap();
        assert_eq!(find(), Vec::<String>::new());
        let mut far = vec![0; 3 * CHUNK + 48];
        far.splice(3 * CHUNK.., secret());
        assert_eq!(find().len(), 1);
        hint::black_box(far);
    }
}
