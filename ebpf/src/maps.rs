//! Every map, behind functions that say what it is for. Their names are what `bpftool` shows: at most 15
//! characters.

use core::ptr::{self, NonNull};

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, SkStorage},
    helpers::generated::{bpf_sk_storage_delete, bpf_sk_storage_get},
    macros::btf_map,
};
use bpf2iam_ebpf::{
    abi::{Active, Config, Conn, Counters, Exempt, Lease, MAX_CONNS, MAX_EXEMPT, Socket, TokenKey},
    decide::Rules,
};

#[btf_map]
static IMDS_LEASE: Array<Lease, { Config::COUNT }> = Array::new();

#[btf_map]
static IMDS_ACTIVE: Array<Active, 1> = Array::new();

#[btf_map]
static IMDS_CONFIG: Array<Config, { Config::COUNT }> = Array::new();

#[btf_map]
static IMDS_EXEMPT: HashMap<u64, u32, MAX_EXEMPT> = HashMap::new();

#[btf_map]
static IMDS_SOCKETS: SkStorage<Socket> = SkStorage::new();

#[btf_map]
static IMDS_CONNS: LruHashMap<u64, Conn, MAX_CONNS> = LruHashMap::new();

#[btf_map]
static IMDS_COUNTERS: PerCpuArray<Counters, 1> = PerCpuArray::new();

/// No program reads it: user space keeps here, in kernel memory, what must survive an agent.
#[btf_map]
static IMDS_TOKEN_KEY: Array<TokenKey, 1> = Array::new();

/// What counts at this moment.
#[inline(always)]
pub(crate) fn rules() -> Option<Rules> {
    let active = read(IMDS_ACTIVE.get_ptr(0)?);
    let leases = [read(IMDS_LEASE.get_ptr(0)?), read(IMDS_LEASE.get_ptr(1)?)];
    let configs = [read(IMDS_CONFIG.get_ptr(0)?), read(IMDS_CONFIG.get_ptr(1)?)];
    Some(Rules::new(active, leases, configs))
}

/// The element of an array map at this moment.
#[inline(always)]
fn read<T: Copy>(element: *const T) -> T {
    // SAFETY: the pointer is to an element of an array map, which lives as long as the program. User space may write at
    // the same time, hence volatile: each field is read once.
    unsafe { element.read_volatile() }
}

/// Whether the cgroup itself keeps its way to the real service.
#[inline(always)]
pub(crate) fn is_exempt(cgroup_id: u64) -> bool {
    IMDS_EXEMPT.get_ptr(cgroup_id).is_some()
}

/// Whether all below the cgroup keep theirs as well.
#[inline(always)]
pub(crate) fn is_exempt_pod(cgroup_id: u64) -> bool {
    IMDS_EXEMPT
        .get_ptr(cgroup_id)
        .is_some_and(|whose| read(whose) == Exempt::Pod as u32)
}

/// This CPU's counters.
#[inline(always)]
pub(crate) fn counters() -> Option<*mut Counters> {
    IMDS_COUNTERS.get_ptr_mut(0)
}

/// What `connect()` kept at this socket.
#[inline(always)]
pub(crate) fn socket(sk: NonNull<bpf_sock>) -> Option<Socket> {
    let socket = storage(sk, 0)?;
    // SAFETY: the pointer is to this socket's storage, which lives at least as long as the program's run.
    Some(unsafe { socket.read() })
}

/// Keeps `socket` at the socket; false when the kernel has no memory for it.
#[inline(always)]
pub(crate) fn keep_socket(sk: NonNull<bpf_sock>, socket: Socket) -> bool {
    let Some(kept) = storage(sk, BPF_SK_STORAGE_GET_F_CREATE.into()) else {
        return false;
    };
    // SAFETY: as in `socket`; a socket is connected by one thread at a time (its lock is held).
    unsafe { kept.write(socket) };
    true
}

/// Forgets what an earlier `connect()` kept at the socket.
#[inline(always)]
pub(crate) fn forget_socket(sk: NonNull<bpf_sock>) {
    let map = (&raw const IMDS_SOCKETS).cast_mut().cast();
    // SAFETY: the map is of this type, and the socket is the context's. It is fine when there was nothing.
    unsafe { bpf_sk_storage_delete(map, sk.as_ptr().cast()) };
}

#[inline(always)]
fn storage(sk: NonNull<bpf_sock>, flags: u64) -> Option<*mut Socket> {
    let map = (&raw const IMDS_SOCKETS).cast_mut().cast();
    // SAFETY: the map is of this type, and the socket is the context's.
    let socket = unsafe { bpf_sk_storage_get(map, sk.as_ptr().cast(), ptr::null_mut(), flags) };
    NonNull::new(socket.cast()).map(NonNull::as_ptr)
}

/// Records the connection of the client socket with this cookie.
#[inline(always)]
pub(crate) fn record(cookie: u64, conn: &Conn) -> bool {
    IMDS_CONNS.insert(cookie, conn, BPF_ANY.into()).is_ok()
}

/// Forgets the connection of the client socket with this cookie. It is fine when there was none.
#[inline(always)]
pub(crate) fn forget(cookie: u64) {
    let _ = IMDS_CONNS.remove(cookie);
}
