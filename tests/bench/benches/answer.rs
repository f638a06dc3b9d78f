//! What a warm answer takes: how often it asks for memory and how long it lasts, from a request's head to its answer, with
//! all that is in the agent between the two, against an answer that says the same and that nobody had to find. The
//! result is a line of JSON, with times in nanoseconds.
//!
//! An answer that had to wait for anything would fail this program.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    io::{self, Write as _},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bpf2iam::{
    attest::{Caller, Via},
    clock::Clock,
    creds::{self, Cache, Credentials, Derived, Identity, Secret, Source, SourceError, State},
    id::{CgroupId, NetnsCookie, PodRef, PodUid},
    imds::{
        Instance, Known, Made, Metrics, Service,
        token::{Authority, BootId, Key},
    },
    metadata::Place,
    pods::{
        Namespace, Pod, Subject,
        annotation::ROLE,
        binding::{Binding, Policy, Template, decide},
        index,
        resolve::Resolver,
    },
    telemetry::{self, Format, Level, Settings},
    terminal::Colour,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use zeroizing_alloc::ZeroAlloc;

const BASE: &str = "arn:aws:iam::123456789012:role/";
const NAME: &str = "cart";
const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const ADDRESS: [u8; 4] = [10, 77, 1, 1];

const TOKEN: &str = "/latest/api/token";
const LIST: &str = "/latest/meta-data/iam/security-credentials/";

/// As long as those of STS are.
const SESSION_TOKEN: usize = 900;

/// The turn in the middle counts.
const TURNS: usize = 301;
/// Requests of a turn.
const CALLS: u32 = 200;

/// How long the first keys may take.
const KEYS: Duration = Duration::from_secs(10);

/// The agent's allocator, which counts.
struct Counting(ZeroAlloc<System>);

#[global_allocator]
static MEMORY: Counting = Counting(ZeroAlloc(System));

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to the allocator inside, which is one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: our caller keeps what the inner one asks for, here and below.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { self.0.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

fn count() {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
}

/// What something takes.
struct Cost {
    allocations: u64,
    nanoseconds: f64,
}

impl Cost {
    /// Of `work`, done over and over again with what `ready` has ready for it.
    fn of<I, O>(ready: impl Fn() -> I, work: impl Fn(I) -> Result<O>) -> Result<Self> {
        let mut turns = Vec::new();
        let mut counts = Vec::new();
        for _ in 0..TURNS {
            let inputs: Vec<_> = (0..CALLS).map(|_| ready()).collect();
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let start = Instant::now();
            for input in inputs {
                black_box(work(black_box(input))?);
            }
            let took = start.elapsed();
            counts.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
            turns.push(took.as_secs_f64() * 1e9 / f64::from(CALLS));
        }
        turns.sort_by(f64::total_cmp);
        counts.sort_unstable();
        Ok(Self {
            allocations: counts[TURNS / 2] / u64::from(CALLS),
            nanoseconds: turns[TURNS / 2],
        })
    }

    fn json(&self) -> Value {
        json!({"allocations": self.allocations, "nanoseconds": self.nanoseconds})
    }
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let agent = Agent::new(&runtime)?;
    let _inside = runtime.enter();
    let token = agent.body(put(TOKEN)?)?;
    let token = std::str::from_utf8(&token)?;
    let list = get(LIST, token)?;
    let credentials = get(&format!("{LIST}{NAME}"), token)?;
    ensure!(agent.body(list.clone())? == NAME, "another role");
    let mut answers = Vec::new();
    for (kind, request) in [
        ("token", put(TOKEN)?),
        ("role list", list),
        ("credentials", credentials.clone()),
    ] {
        let silent = agent.cost(&request)?;
        let logging = telemetry::subscriber(LOG, Colour::Off, io::sink);
        let logged = tracing::subscriber::with_default(logging, || agent.cost(&request))?;
        answers.push(json!({"kind": kind, "silent": silent.json(), "logged": logged.json()}));
    }
    let reference = Bare::of(agent.answer(credentials)?)?.cost()?;
    ensure!(agent.calls() == 1, "STS was called {} times", agent.calls());
    let all = json!({"reference": reference.json(), "answers": answers});
    writeln!(io::stdout(), "{all}")?;
    Ok(())
}

/// As the agent logs by default.
const LOG: Settings = Settings {
    level: Level::Info,
    format: Format::Json,
};

type Question = Request<Empty<Bytes>>;
type Reply = Response<Full<Bytes>>;

/// The agent from an attested request to its answer, and a pod that asks it.
struct Agent {
    service: Service<Cache>,
    caller: Caller,
    sts: Sts,
    /// The pods do not change, but who writes them is there.
    _pods: index::Writer,
}

impl Agent {
    /// One that holds the keys of its pod.
    fn new(runtime: &Runtime) -> Result<Self> {
        let (subject, policy) = (subject()?, policy()?);
        let Binding::Role(identity, _) = decide(&subject, None, &policy) else {
            bail!("the pod has no role");
        };
        let sts = Sts::default();
        let cache = Cache::new(sts.clone(), Clock::system(), creds::Metrics::new());
        runtime.block_on(obtain(&cache, &identity))?;
        let caller = caller(subject.pod.uid);
        let (pods, store) = index::new();
        let _changes = pods.reset([subject]);
        let service = Service {
            pods: Resolver::new(store, Arc::new(policy), None),
            credentials: cache,
            tokens: Authority::new(&Key::generate()?, BootId::new([1; 16])),
            instance: Instance::Made(Made {
                known: tokio::sync::watch::channel(Known::All(Place::default())).1,
                since: Clock::system().now(),
            }),
            clock: Clock::system(),
            metrics: Metrics::new(),
        };
        Ok(Self {
            service,
            caller,
            sts,
            _pods: pods,
        })
    }

    /// Asks once. To have to wait is an error.
    fn answer(&self, request: Question) -> Result<Reply> {
        let answer = pin!(self.service.respond(&self.caller, request));
        match answer.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Ok(answer),
            Poll::Pending => bail!("a warm answer has to wait"),
        }
    }

    fn body(&self, request: Question) -> Result<Bytes> {
        let answer = self.answer(request)?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        body(answer)
    }

    fn cost(&self, request: &Question) -> Result<Cost> {
        Cost::of(|| request.clone(), |request| self.answer(request))
    }

    fn calls(&self) -> u64 {
        self.sts.0.load(Ordering::Relaxed)
    }
}

/// Waits until there are keys.
async fn obtain(cache: &Cache, identity: &Identity) -> Result<()> {
    let mut states = cache.watch(identity);
    let ready = states.wait_for(|state| matches!(state, State::Ready(_)));
    let _keys = tokio::time::timeout(KEYS, ready)
        .await
        .context("no keys")??;
    Ok(())
}

/// An answer that is known beforehand.
struct Bare {
    headers: HeaderMap,
    body: Bytes,
}

impl Bare {
    fn of(answer: Reply) -> Result<Self> {
        Ok(Self {
            headers: answer.headers().clone(),
            body: body(answer)?,
        })
    }

    fn cost(&self) -> Result<Cost> {
        let answer = |()| {
            let mut answer = Response::new(Full::new(self.body.clone()));
            answer.headers_mut().clone_from(&self.headers);
            Ok(answer)
        };
        Cost::of(|| (), answer)
    }
}

fn body(answer: Reply) -> Result<Bytes> {
    let collected = pin!(answer.into_body().collect());
    match collected.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(body) => Ok(body?.to_bytes()),
        Poll::Pending => bail!("the body is there already"),
    }
}

fn put(path: &str) -> Result<Question> {
    let request = Request::put(path).header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    Ok(request.body(Empty::new())?)
}

fn get(path: &str, token: &str) -> Result<Question> {
    let request = Request::get(path).header("x-aws-ec2-metadata-token", token);
    Ok(request.body(Empty::new())?)
}

/// Gives keys, and counts how often.
#[derive(Clone, Debug, Default)]
struct Sts(Arc<AtomicU64>);

impl Source for Sts {
    async fn fetch(&self, _identity: &Identity) -> Result<Credentials, SourceError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let issued = Clock::system().now();
        Ok(Credentials {
            access_key_id: "ASIAEXAMPLEEXAMPLE00".to_owned(),
            secret_access_key: Secret::new("k".repeat(40)),
            session_token: Secret::new("t".repeat(SESSION_TOKEN)),
            issued,
            expires: issued + Duration::from_hours(1),
            document: Derived::default(),
        })
    }
}

/// A pod with a role of its own, as the API server shows it.
fn subject() -> Result<Subject> {
    let mut pod = Pod::new(UID.parse()?, PodRef::new("shop", NAME));
    pod.service_account = Some("default".to_owned());
    pod.annotations.insert(ROLE.to_owned(), NAME.to_owned());
    pod.ips.push(ADDRESS.into());
    Ok(Subject {
        namespace: Some(Arc::new(Namespace::default())),
        ..Subject::alone(pod)
    })
}

/// As without flags, but for the base of roles.
fn policy() -> Result<Policy> {
    let mut policy = Policy::new("");
    policy.base_arn = Some(BASE.parse()?);
    policy.sessions.name = Template::new(Template::USUAL, "node-1")?;
    Ok(policy)
}

fn caller(pod: PodUid) -> Caller {
    Caller {
        cgroup: CgroupId::new(1),
        pod,
        container: None,
        client: ADDRESS.into(),
        netns: NetnsCookie::new(1),
        via: Via::Redirect,
    }
}
