use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    id::PodRef,
    pods::{
        Container, Namespace, Pod,
        annotation::{DEFAULT_ROLE, ROLE},
        index,
    },
};

const PATIENCE: Duration = Duration::from_millis(900);
const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/a";
const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const STEP: Duration = Duration::from_millis(120);

fn uid() -> PodUid {
    UID.parse().unwrap()
}

fn container(digit: char) -> ContainerId {
    String::from(digit).repeat(64).parse().unwrap()
}

fn pod(annotations: &[(&str, &str)]) -> Subject {
    let mut pod = Pod::new(uid(), PodRef::new("shop", "cart"));
    let annotations = annotations.iter();
    pod.annotations = annotations
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Subject::alone(pod)
}

fn other() -> Subject {
    let uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1".parse().unwrap();
    Subject::alone(Pod::new(uid, PodRef::new("shop", "till")))
}

fn named() -> Subject {
    pod(&[(ROLE, ROLE_ARN)])
}

fn nowhere(subject: Subject) -> Subject {
    Subject {
        namespace: None,
        ..subject
    }
}

/// Answers as the test wants, one step of time after it was asked; the last answer again and again.
#[derive(Debug)]
struct Scripted {
    answers: Mutex<VecDeque<Result<Option<Subject>, Unanswered>>>,
    asked: AtomicUsize,
}

impl Lookup for Scripted {
    fn find(&self, uid: PodUid, _: Option<Arc<Subject>>) -> Found<'_, Option<Subject>> {
        assert_eq!(uid.to_string().replace('-', ""), UID.replace('-', ""));
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            let answer = answers.pop_front().unwrap();
            if answers.is_empty() {
                answers.push_back(answer.clone());
            }
            answer
        };
        Box::pin(async {
            time::sleep(STEP).await;
            answer
        })
    }

    fn service_account<'a>(&'a self, _: &'a str, _: &'a str) -> Found<'a, Arc<ServiceAccount>> {
        Box::pin(async { Err(Unanswered) })
    }
}

struct World {
    writer: index::Writer,
    resolver: Resolver,
    lookup: Arc<Scripted>,
}

impl World {
    fn new(answers: impl IntoIterator<Item = Result<Option<Subject>, Unanswered>>) -> Self {
        let (writer, store) = index::new();
        let lookup = Arc::new(Scripted {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: AtomicUsize::new(0),
        });
        let policy = Policy {
            default_role: Some("arn:aws:iam::123456789012:role/fallback".parse().unwrap()),
            ..Policy::new("node")
        };
        let asked = Arc::clone(&lookup);
        let resolver = Resolver::new(store, Arc::new(policy), Some(asked));
        Self {
            writer,
            resolver,
            lookup,
        }
    }

    async fn told(&self, id: Option<ContainerId>) -> (String, Duration) {
        self.told_where(id, Need::Role).await
    }

    async fn told_where(&self, id: Option<ContainerId>, need: Need) -> (String, Duration) {
        let start = Instant::now();
        let resolving = self.resolver.resolve(uid(), id, need, start + PATIENCE);
        let resolution = resolving.await;
        let told = match resolution {
            Resolution::Decided(_, Binding::Role(identity, _)) => identity.role.name().to_owned(),
            Resolution::Decided(_, binding) => format!("{binding:?}"),
            Resolution::Unsure(_, missing) => format!("unsure {missing:?}"),
            Resolution::NotHere => "not here".to_owned(),
        };
        (told, start.elapsed())
    }

    fn asked(&self) -> usize {
        self.lookup.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_index_knows_is_answered_at_once_and_nobody_is_asked() {
    let world = World::new([Ok(None)]);
    world.writer.reset([named()]);
    assert_eq!(world.told(None).await, ("a".to_owned(), Duration::ZERO));
    assert_eq!(world.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn for_who_does_not_wait_nobody_is_asked() {
    let world = World::new([Ok(Some(named()))]);
    let told = async || {
        let now = Instant::now();
        world.resolver.resolve(uid(), None, Need::Role, now).await
    };
    assert!(matches!(
        told().await,
        Resolution::Unsure(None, Missing::Pod)
    ));
    assert_eq!(world.asked(), 0);
    world.writer.reset([named()]);
    assert!(matches!(told().await, Resolution::Decided(..)));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_the_index_learns_of_ends_the_wait_and_another_does_not() {
    let world = World::new([Err(Unanswered)]);
    let learn = async {
        for subject in [other(), nowhere(pod(&[])), named()] {
            time::sleep(STEP * 2).await;
            world.writer.reset([subject]);
        }
    };
    let (told, ()) = tokio::join!(world.told(None), learn);
    assert_eq!(told, ("a".to_owned(), STEP * 6));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_a_look_up_finds_is_served_and_does_not_enter_the_index() {
    let world = World::new([Ok(Some(named()))]);
    assert_eq!(world.told(None).await, ("a".to_owned(), STEP));
    assert!(world.resolver.known(uid()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_not_on_the_node_is_known_not_to_be() {
    let world = World::new([Ok(None)]);
    assert_eq!(world.told(None).await, ("not here".to_owned(), STEP));
}

#[tokio::test(start_paused = true)]
async fn a_static_pod_may_run_before_the_api_server_hears_of_it() {
    let world = World::new([Ok(None)]);
    let hash: PodUid = UID.replace('-', "").parse().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let resolution = world
        .resolver
        .resolve(hash, None, Need::Role, deadline)
        .await;
    assert!(matches!(resolution, Resolution::Unsure(None, Missing::Pod)));
    assert_eq!(Instant::now(), deadline);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_is_asked_again_and_never_falls_back() {
    let world = World::new([Err(Unanswered), Err(Unanswered), Ok(Some(named()))]);
    let third = STEP * 3 + AGAIN * 2;
    assert_eq!(world.told(None).await, ("a".to_owned(), third));
    let world = World::new([Err(Unanswered)]);
    assert_eq!(world.told(None).await, ("unsure Pod".to_owned(), PATIENCE));
    assert_eq!(world.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_not_known_is_waited_for_and_looked_up() {
    let world = World::new([Err(Unanswered)]);
    world.writer.reset([nowhere(pod(&[]))]);
    assert_eq!(
        world.told(None).await,
        ("unsure Namespace".to_owned(), PATIENCE)
    );
    let mut found = pod(&[]);
    let default = [(DEFAULT_ROLE.to_owned(), ROLE_ARN.to_owned())];
    found.namespace = Some(Namespace::new(default).into());
    let world = World::new([Ok(Some(found))]);
    world.writer.reset([nowhere(pod(&[]))]);
    assert_eq!(world.told(None).await, ("a".to_owned(), STEP));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_the_answer_depends_on_is_waited_for_although_the_role_is_known() {
    let world = World::new([Err(Unanswered)]);
    world.writer.reset([nowhere(named())]);
    assert_eq!(world.told(None).await, ("a".to_owned(), Duration::ZERO));
    let told = world.told_where(None, Need::Namespace).await;
    assert_eq!(told, ("unsure Namespace".to_owned(), PATIENCE));
    let learn = async {
        time::sleep(STEP).await;
        world.writer.reset([named()]);
    };
    let (told, ()) = tokio::join!(world.told_where(None, Need::Namespace), learn);
    assert_eq!(told, ("a".to_owned(), STEP));
    let world = World::new([Ok(Some(named()))]);
    let told = world.told_where(None, Need::Namespace).await;
    assert_eq!(told, ("a".to_owned(), STEP));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_started_just_now_is_waited_for() {
    let own = || pod(&[("container.bpf2iam.io/main", ROLE_ARN)]);
    let mut started = own();
    Arc::make_mut(&mut started.pod).containers = vec![Container {
        id: container('a'),
        name: "main".to_owned(),
    }];
    let world = World::new([Ok(Some(own()))]);
    world.writer.reset([own()]);
    let learn = async {
        time::sleep(STEP / 2).await;
        world.writer.reset([started]);
    };
    let (told, ()) = tokio::join!(world.told(Some(container('a'))), learn);
    assert_eq!(told, ("a".to_owned(), STEP / 2));
    let never = world.told(Some(container('b'))).await;
    assert_eq!(never, ("unsure Container".to_owned(), PATIENCE));
}

#[tokio::test(start_paused = true)]
async fn without_a_look_up_and_without_a_writer_the_wait_is_still_bounded() {
    let (writer, store) = index::new();
    let resolver = Resolver::new(store, Arc::new(Policy::new("node")), None);
    drop(writer);
    let start = Instant::now();
    let resolving = resolver.resolve(uid(), None, Need::Role, start + PATIENCE);
    let resolution = resolving.await;
    assert!(matches!(resolution, Resolution::Unsure(None, Missing::Pod)));
    assert_eq!(start.elapsed(), PATIENCE);
}
