//! A library that is loaded before all others (`LD_PRELOAD`), and tells a program another time than it is.
//!
//! By how much is in the file that `TOLD_TIME_FILE` names, which is there before the program is: two numbers of eight bytes
//! in the machine's order, signed, in nanoseconds, each of which is written over in one piece. All clocks that go on are ahead
//! by the first, also those that only go forward; those that people set are ahead by the second as well, or behind if it is
//! negative. A program that sleeps does not see it change until something wakes it up: how long it sleeps is up to the
//! kernel, which knows nothing of this.
//!
//! libfaketime does the same, but not for waits of Rust's standard library that have a timeout. Their end is told to
//! the kernel, by a clock that is not the kernel's: they would never end. Here it is told by the kernel's.

use std::{
    env,
    ffi::{CStr, c_int, c_long, c_void},
    fs::File,
    mem,
    os::fd::AsRawFd as _,
    ptr::{self, null_mut},
    sync::atomic::{AtomicI64, AtomicPtr, Ordering},
};

use libc::{clockid_t, timespec};

/// Names the file.
const VARIABLE: &str = "TOLD_TIME_FILE";

const SECOND: i64 = 1_000_000_000;

/// What is in the file.
#[repr(C)]
struct Told {
    all: AtomicI64,
    set_by_people: AtomicI64,
}

/// What is told where there is no file.
static NOTHING: Told = Told {
    all: AtomicI64::new(0),
    set_by_people: AtomicI64::new(0),
};
/// The file in memory, from the first question on.
static TOLD: AtomicPtr<Told> = AtomicPtr::new(null_mut());

static CLOCK_GETTIME: Next = Next::new(c"clock_gettime");
static SYSCALL: Next = Next::new(c"syscall");

/// Asks a clock.
///
/// # Safety
///
/// As in the C library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    type Function = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;
    // SAFETY: that is the type of the C library's function of this name.
    let next = unsafe { mem::transmute::<*mut c_void, Function>(CLOCK_GETTIME.get()) };
    // SAFETY: the caller's promises are those that it wants.
    let status = unsafe { next(clock, time) };
    if status == 0 && goes_on(clock) {
        // SAFETY: a time was written there just now, by the same thread.
        let time = unsafe { &mut *time };
        *time = moved(*time, ahead(clock));
    }
    status
}

/// Makes a system call. Where it waits until a moment, the moment is what it is for the kernel.
///
/// # Safety
///
/// As in the C library. It is called with fewer arguments as well; what else is found in their places is handed on,
/// and not looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    first: c_long,
    second: c_long,
    third: c_long,
    fourth: usize,
    fifth: c_long,
    sixth: c_long,
) -> c_long {
    type Function =
        unsafe extern "C" fn(c_long, c_long, c_long, c_long, usize, c_long, c_long) -> c_long;
    // SAFETY: so the C library's function of this name is called, whatever arguments it is declared with: each is a
    // machine word.
    let next = unsafe { mem::transmute::<*mut c_void, Function>(SYSCALL.get()) };
    let until = ptr::with_exposed_provenance::<timespec>(fourth);
    if number != libc::SYS_futex || !waits_until(second) || until.is_null() {
        // SAFETY: the caller's promises are those that it wants.
        return unsafe { next(number, first, second, third, fourth, fifth, sixth) };
    }
    // SAFETY: for this call the kernel will read a time there.
    let until = moved(unsafe { *until }, -ahead(clock_of_wait(second)));
    let fourth = (&raw const until).expose_provenance();
    // SAFETY: as before, and the time that is handed on lives until the call returns.
    unsafe { next(number, first, second, third, fourth, fifth, sixth) }
}

/// A function of the C library, behind the one of ours.
struct Next {
    name: &'static CStr,
    at: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            at: AtomicPtr::new(null_mut()),
        }
    }

    /// Without a lock: a lock would wait by one of these functions.
    fn get(&self) -> *mut c_void {
        let known = self.at.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name ends with a zero and lives for ever.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        assert!(!found.is_null(), "the C library has no {:?}", self.name);
        self.at.store(found, Ordering::Relaxed);
        found
    }
}

/// Whether a clock tells the time, rather than how long something has run.
const fn goes_on(clock: clockid_t) -> bool {
    clock >= 0
        && !matches!(
            clock,
            libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID
        )
}

/// Whether an operation of `futex` is a wait that ends at a moment, rather than after some time.
const fn waits_until(operation: c_long) -> bool {
    let flags = (libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) as c_long;
    operation & !flags == libc::FUTEX_WAIT_BITSET as c_long
}

/// The clock by which `futex` waits until a moment.
const fn clock_of_wait(operation: c_long) -> clockid_t {
    if operation & libc::FUTEX_CLOCK_REALTIME as c_long == 0 {
        libc::CLOCK_MONOTONIC
    } else {
        libc::CLOCK_REALTIME
    }
}

/// Whether people set this clock, and may set it back.
const fn is_set_by_people(clock: clockid_t) -> bool {
    matches!(
        clock,
        libc::CLOCK_REALTIME
            | libc::CLOCK_REALTIME_COARSE
            | libc::CLOCK_REALTIME_ALARM
            | libc::CLOCK_TAI
    )
}

/// By how much a clock that goes on is ahead, in nanoseconds.
fn ahead(clock: clockid_t) -> i128 {
    let told = told();
    let all = told.all.load(Ordering::Relaxed);
    let set = if is_set_by_people(clock) {
        told.set_by_people.load(Ordering::Relaxed)
    } else {
        0
    };
    i128::from(all) + i128::from(set)
}

fn told() -> &'static Told {
    let mut at = TOLD.load(Ordering::Acquire);
    if at.is_null() {
        at = map().unwrap_or_else(|| (&raw const NOTHING).cast_mut());
        TOLD.store(at, Ordering::Release); // two threads may map it, which is no harm
    }
    // SAFETY: it is ours, or a page that stays mapped, and numbers in it are read and written as a whole.
    unsafe { &*at }
}

fn map() -> Option<*mut Told> {
    let file = File::open(env::var_os(VARIABLE)?).ok()?;
    let (length, fd) = (size_of::<Told>(), file.as_raw_fd());
    // SAFETY: nothing else is where the kernel finds room.
    let at = unsafe { libc::mmap(null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
    (at != libc::MAP_FAILED).then_some(at.cast())
}

fn moved(time: timespec, by: i128) -> timespec {
    let second = i128::from(SECOND);
    let all = i128::from(time.tv_sec) * second + i128::from(time.tv_nsec) + by;
    let seconds = all.div_euclid(second);
    timespec {
        tv_sec: seconds.try_into().unwrap_or(time.tv_sec),
        tv_nsec: all.rem_euclid(second).try_into().unwrap_or(time.tv_nsec),
    }
}

/// In the tests' own program these functions come before the C library's, as in one that the library is loaded into.
#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::FileExt as _,
        process::Command,
        sync::{Condvar, Mutex},
        time::{Duration, Instant, SystemTime},
    };

    use super::*;

    const LATER: Duration = Duration::from_hours(2);
    const MINUTE: Duration = Duration::from_mins(1);

    /// Does nothing unless the next test starts it. Others may run at the same time, so that it must be a program.
    #[test]
    fn child() {
        let Ok(file) = env::var(VARIABLE) else { return };
        let file = File::options().write(true).open(file).unwrap();
        #[expect(clippy::disallowed_methods, reason = "this is the clock in question")]
        let now = || (SystemTime::now(), Instant::now());
        let (wall, start) = now();
        let nanoseconds = u64::try_from(LATER.as_nanos()).unwrap();
        file.write_all_at(&nanoseconds.to_ne_bytes(), 0).unwrap();
        let (wall_later, later) = now();
        let whole = LATER..LATER + MINUTE;
        assert!(whole.contains(&later.duration_since(start)));
        assert!(whole.contains(&wall_later.duration_since(wall).unwrap()));

        let lock = Mutex::new(());
        let wait = Condvar::new().wait_timeout(lock.lock().unwrap(), Duration::from_millis(50));
        assert!(wait.unwrap().1.timed_out());
        assert!(later.elapsed() < MINUTE);

        let set_back = -2 * i64::try_from(LATER.as_nanos()).unwrap();
        file.write_all_at(&set_back.to_ne_bytes(), 8).unwrap();
        let (wall_set_back, still_later) = now();
        let by = wall.duration_since(wall_set_back).unwrap();
        assert!(by <= LATER && by + MINUTE > LATER, "{by:?}");
        assert!(still_later.duration_since(later) < MINUTE);
    }

    #[test]
    fn clocks_are_ahead_or_set_back_and_waits_with_a_timeout_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [0; size_of::<Told>()]).unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "tests::child"])
            .env(VARIABLE, file.path())
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
    }

    #[test]
    fn who_is_told_nothing_has_the_systems_time() {
        for clock in [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME] {
            assert_eq!(ahead(clock), 0);
        }
    }

    #[test]
    fn moments_move_over_the_bounds_of_seconds() {
        let time = |tv_sec, tv_nsec| timespec { tv_sec, tv_nsec };
        let parts = |time: timespec| (time.tv_sec, time.tv_nsec);
        let second = i128::from(SECOND);
        let late = moved(time(1, 600_000_000), second / 2);
        assert_eq!(parts(late), (2, 100_000_000));
        assert_eq!(parts(moved(late, -second / 2)), (1, 600_000_000));
        assert_eq!(parts(moved(time(1, 0), -2 * second)), (-1, 0));
    }

    #[test]
    fn only_waits_until_a_moment_are_changed() {
        let private = libc::FUTEX_PRIVATE_FLAG;
        for (operation, expected) in [
            (libc::FUTEX_WAIT_BITSET, true),
            (libc::FUTEX_WAIT_BITSET | private, true),
            (libc::FUTEX_WAIT | private, false),
            (libc::FUTEX_WAKE | private, false),
        ] {
            assert_eq!(waits_until(operation.into()), expected, "{operation}");
        }
    }
}
