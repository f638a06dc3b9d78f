//! A library that is loaded before all others (`LD_PRELOAD`), and tells a program that it is later than it is.
//!
//! By how much is in the file that `TOLD_TIME_FILE` names: nanoseconds, eight bytes in the machine's order, in one
//! write. All clocks that go on are ahead by that, also those that only go forward. A program that sleeps does not see
//! it change until something wakes it up: how long it sleeps is up to the kernel, which knows nothing of this.
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
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

use libc::{clockid_t, timespec};

/// Names the file.
const VARIABLE: &str = "TOLD_TIME_FILE";

const SECOND: u64 = 1_000_000_000;

/// What is told where there is no file.
static NOTHING: AtomicU64 = AtomicU64::new(0);
/// The file in memory, from the first question on.
static TOLD: AtomicPtr<AtomicU64> = AtomicPtr::new(null_mut());

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
        *time = later(*time, told());
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
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    type Function =
        unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;
    // SAFETY: so the C library's function of this name is called, whatever number of arguments it is declared with.
    let next = unsafe { mem::transmute::<*mut c_void, Function>(SYSCALL.get()) };
    let until = ptr::with_exposed_provenance::<timespec>(d.cast_unsigned() as usize);
    if number != libc::SYS_futex || !waits_until(b) || until.is_null() {
        // SAFETY: the caller's promises are those that it wants.
        return unsafe { next(number, a, b, c, d, e, f) };
    }
    // SAFETY: for this call the kernel will read a time there.
    let until = earlier(unsafe { *until }, told());
    let d = (&raw const until).expose_provenance().cast_signed() as c_long;
    // SAFETY: as before, and the time that is handed on lives until the call returns.
    unsafe { next(number, a, b, c, d, e, f) }
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

/// How much later it is, in nanoseconds.
fn told() -> u64 {
    let mut at = TOLD.load(Ordering::Acquire);
    if at.is_null() {
        at = map().unwrap_or_else(|| (&raw const NOTHING).cast_mut());
        TOLD.store(at, Ordering::Release); // two threads may map it, which is no harm
    }
    // SAFETY: it is a number of ours, or a page that stays mapped, and numbers in it are read and written as a whole.
    unsafe { &*at }.load(Ordering::Relaxed)
}

fn map() -> Option<*mut AtomicU64> {
    let file = File::open(env::var_os(VARIABLE)?).ok()?;
    let (length, fd) = (size_of::<AtomicU64>(), file.as_raw_fd());
    // SAFETY: nothing else is where the kernel finds room.
    let at = unsafe { libc::mmap(null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, fd, 0) };
    (at != libc::MAP_FAILED).then_some(at.cast())
}

fn later(time: timespec, by: u64) -> timespec {
    moved(time, i128::from(by))
}

fn earlier(time: timespec, by: u64) -> timespec {
    moved(time, -i128::from(by))
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
