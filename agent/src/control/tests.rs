use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    slice,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::{self, Instant},
};

use crate::{
    drain,
    explain::{Explanation, Question, Supposition},
    http::tests::exchange,
    status,
    telemetry::testing::Logged,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

/// An agent that runs in `dir`.
async fn agent(dir: &Path) -> (drain::Signal, JoinHandle<()>) {
    let (signal, watch) = drain::channel();
    let server = Server::bind(dir, Standing::Alone).await.unwrap();
    (signal, tokio::spawn(server.run(Example, watch)))
}

/// Knows one pod.
struct Example;

impl Answers for Example {
    fn status(&self) -> status::Status {
        status::tests::example()
    }

    async fn explain(&self, question: Question) -> Result<Explanation, NoSuchPod> {
        if question.name == "cart" {
            Ok(explained(question.in_words()))
        } else {
            Err(NoSuchPod::Unknown(question.pod()))
        }
    }
}

fn explained(supposed: Vec<String>) -> Explanation {
    Explanation {
        namespace: "shop".to_owned(),
        name: "cart".to_owned(),
        uid: "u".to_owned(),
        service_account: None,
        supposed,
        cases: Vec::new(),
        metadata: None,
    }
}

#[tokio::test]
async fn a_question_arrives_as_it_was_asked() {
    let dir = TempDir::new().unwrap();
    let (_signal, _running) = agent(dir.path()).await;
    let client = Client::new(dir.path());
    let mut question: Question = "shop/cart".parse().unwrap();
    let odd = " a&question=%7B}+\u{e9}\n\"";
    question.suppositions = vec![Supposition::Annotation(odd.to_owned(), None)];
    let answer = client.explain(&question).await.unwrap();
    assert_eq!(answer, explained(question.in_words()));
    question.name = "till".to_owned();
    let error = client.explain(&question).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "shop/till is no pod of this node that the agent knows; `bpf2iam status` lists those"
    );
}

#[tokio::test]
async fn the_longest_policy_can_be_supposed() {
    let dir = TempDir::new().unwrap();
    let (_signal, _running) = agent(dir.path()).await;
    let longest = format!("{{{}}}", "\"\u{e9}".repeat(1023));
    let mut question: Question = "shop/cart".parse().unwrap();
    let key = "bpf2iam.io/session-policy".to_owned();
    question.suppositions = vec![Supposition::Annotation(key, Some(longest))];
    let answer = Client::new(dir.path()).explain(&question).await.unwrap();
    assert_eq!(answer, explained(question.in_words()));
}

/// A socket in `dir` at which whatever `answer` says is said to one client.
fn somebody_who_says(dir: &Path, answer: &'static [u8]) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket_path(dir)).unwrap();
    tokio::spawn(async move {
        let (mut stream, _peer) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _read = stream.read(&mut request).await.unwrap();
        stream.write_all(answer).await.unwrap();
    })
}

/// Why a client in `dir` gets no status, with causes; the directory is called DIR.
async fn refusal(dir: &Path) -> String {
    let error = Client::new(dir).status().await.unwrap_err();
    let text = format!("{:#}", anyhow::Error::from(error));
    text.replace(dir.to_str().unwrap(), "DIR")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_command_gets_what_the_agent_says() {
    let dir = TempDir::new().unwrap();
    let (signal, running) = agent(dir.path()).await;
    let client = Client::new(dir.path());
    for _ in 0..2 {
        assert_eq!(client.status().await.unwrap(), status::tests::example());
    }
    assert!(signal.drain(PATIENCE).await);
    running.await.unwrap();
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[tokio::test]
async fn only_the_owner_can_open_the_socket() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("run/bpf2iam");
    let _server = Server::bind(&dir, Standing::Alone).await.unwrap();
    assert_eq!(mode(&socket_path(&dir)), 0o600);
    assert_eq!(mode(&dir), 0o700);
}

#[tokio::test]
async fn a_directory_that_is_there_keeps_its_mode() {
    let dir = TempDir::new().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _server = Server::bind(dir.path(), Standing::Alone).await.unwrap();
    assert_eq!(mode(dir.path()), 0o755);
}

#[tokio::test]
async fn only_status_and_explanations_are_there() {
    let dir = TempDir::new().unwrap();
    let (_signal, _running) = agent(dir.path()).await;
    for (request, answer) in [
        ("GET /v1/status", "200 OK"),
        ("POST /v1/status", "405 Method Not Allowed"),
        ("GET /v1/explain", "400 Bad Request"),
        ("GET /v1/explain?question=x", "400 Bad Request"),
        ("GET /v1/credentials", "404 Not Found"),
        ("GET /latest/meta-data/", "404 Not Found"),
        ("GET /metrics", "404 Not Found"),
    ] {
        let stream = UnixStream::connect(socket_path(dir.path())).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let response = exchange(stream, &request).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {answer}\r\n")),
            "{request}{response}"
        );
    }
}

#[tokio::test]
async fn the_socket_of_a_dead_agent_is_replaced() {
    let dir = TempDir::new().unwrap();
    drop(UnixListener::bind(socket_path(dir.path())).unwrap());
    assert!(socket_path(dir.path()).exists());
    let (_signal, _running) = agent(dir.path()).await;
    assert!(Client::new(dir.path()).status().await.is_ok());
}

#[tokio::test]
async fn the_socket_of_a_living_agent_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let (_signal, _running) = agent(dir.path()).await;
    let path = socket_path(dir.path());
    assert_eq!(
        Server::bind(dir.path(), Standing::Alone)
            .await
            .unwrap_err()
            .to_string(),
        format!(
            "another agent answers at {}; stop it, or give this one another --runtime-dir",
            path.display()
        )
    );
    assert!(Client::new(dir.path()).status().await.is_ok());
}

#[tokio::test]
async fn an_agent_that_is_about_to_end_is_waited_for() {
    let dir = TempDir::new().unwrap();
    let (signal, _running) = agent(dir.path()).await;
    let end = async {
        time::sleep(Duration::from_millis(200)).await;
        signal.drain(PATIENCE).await
    };
    let (bound, _ended) = tokio::join!(Server::bind(dir.path(), Standing::Alone), end);
    assert!(bound.is_ok(), "{bound:?}");
}

/// Whether the agent in `dir` can be asked before [`PATIENCE`] ends.
async fn is_back(dir: &Path) -> bool {
    let back = async {
        while Client::new(dir).status().await.is_err() {
            time::sleep(Duration::from_millis(20)).await;
        }
    };
    time::timeout(PATIENCE, back).await.is_ok()
}

#[tokio::test]
async fn a_socket_that_was_taken_away_is_opened_anew() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("run");
    let (signal, running) = agent(&dir).await;
    fs::remove_dir_all(&dir).unwrap();
    assert!(is_back(&dir).await);
    assert_eq!(mode(&socket_path(&dir)), 0o600);
    assert!(signal.drain(PATIENCE).await);
    running.await.unwrap();
    assert!(!socket_path(&dir).exists(), "nothing is left");
}

#[tokio::test]
async fn a_socket_comes_back_when_the_successor_that_replaced_it_has_failed() {
    let dir = TempDir::new().unwrap();
    let (_signal, _running) = agent(dir.path()).await;
    let next = Server::bind(dir.path(), Standing::Successor).await.unwrap();
    // As long as that one lives, the socket is its own.
    time::sleep(Duration::from_millis(1500)).await;
    assert!(next.is_there());
    drop(next);
    assert!(is_back(dir.path()).await);
}

#[tokio::test]
async fn what_no_agent_has_left_is_not_removed() {
    let dir = TempDir::new().unwrap();
    let path = socket_path(dir.path());
    fs::write(&path, "precious").unwrap();
    assert_eq!(
        Server::bind(dir.path(), Standing::Alone)
            .await
            .unwrap_err()
            .to_string(),
        format!(
            "{} is in the way and no socket; remove it, or give another --runtime-dir",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_successors_socket_is_not_removed() {
    let dir = TempDir::new().unwrap();
    let path = socket_path(dir.path());
    let server = Server::bind(dir.path(), Standing::Alone).await.unwrap();
    fs::rename(&path, dir.path().join("before")).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
}

#[tokio::test]
async fn a_directory_that_the_agent_has_made_goes_with_it_and_others_stay() {
    let parent = TempDir::new().unwrap();
    let [ours, shared, given] = ["ours", "shared", "given"].map(|name| parent.path().join(name));
    fs::create_dir(&given).unwrap();
    fs::set_permissions(&given, fs::Permissions::from_mode(0o755)).unwrap();
    for dir in [&ours, &shared, &given] {
        let server = Server::bind(dir, Standing::Alone).await.unwrap();
        if *dir == shared {
            fs::write(dir.join("theirs"), "precious").unwrap();
        }
        drop(server);
        assert!(!socket_path(dir).exists());
    }
    assert_eq!(
        [&ours, &shared, &given].map(|dir| dir.exists()),
        [false, true, true]
    );
}

#[tokio::test]
async fn a_dead_agents_socket_is_a_leftover_and_a_living_ones_is_not() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("run");
    assert!(leftovers(&dir).is_empty());
    let server = Server::bind(&dir, Standing::Alone).await.unwrap();
    assert!(leftovers(&dir).is_empty());
    drop(server);
    file::make_private(&dir).unwrap();
    assert_eq!(leftovers(&dir), slice::from_ref(&dir));
    let socket = socket_path(&dir);
    drop(UnixListener::bind(&socket).unwrap());
    let theirs = dir.join("theirs");
    fs::write(&theirs, "precious").unwrap();
    assert_eq!(leftovers(&dir), slice::from_ref(&socket));
    fs::remove_file(theirs).unwrap();
    let all = leftovers(&dir);
    assert_eq!(all, [socket, dir.clone()]);
    for path in all {
        remove_leftover(&path).unwrap();
    }
    assert!(!dir.exists());
}

/// Connections that nobody accepts, as many as there is room for.
fn fill(socket: &Path) -> Vec<std::os::fd::OwnedFd> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    };
    let address = SocketAddrUnix::new(socket).unwrap();
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let connected = std::iter::from_fn(|| {
        let ours = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        connect(&ours, &address).ok().map(|()| ours)
    });
    connected.collect()
}

#[tokio::test]
async fn an_agent_that_hangs_is_alive_and_keeps_nobody_waiting() {
    let dir = TempDir::new().unwrap();
    let _silent = UnixListener::bind(socket_path(dir.path())).unwrap();
    let _waiting = fill(&socket_path(dir.path()));
    let began = std::time::Instant::now();
    assert_eq!(leftovers(dir.path()), [] as [PathBuf; 0]);
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn another_mode_makes_no_other_socket() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("run");
    let server = Server::bind(&dir, Standing::Alone).await.unwrap();
    // The time of the change is another one.
    time::sleep(Duration::from_millis(20)).await;
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(socket_path(&dir), open).unwrap();
    assert!(server.is_there());
    drop(server);
    assert!(!dir.exists());
}

#[tokio::test]
async fn what_is_in_the_way_of_the_socket_is_told() {
    let dir = TempDir::new().unwrap();
    let (logged, _listening) = Logged::listen();
    let (_signal, _running) = agent(dir.path()).await;
    let path = socket_path(dir.path());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let says = "is in the way and no socket";
    let begun = Instant::now();
    while logged.lines(says).is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_told_by_its_flag() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = anyhow::Error::from(
        Server::bind(&file.join("run"), Standing::Alone)
            .await
            .unwrap_err(),
    );
    assert_eq!(
        format!("{error:#}"),
        format!(
            "cannot make the directory {}/run (--runtime-dir): Not a directory (os error 20)",
            file.display()
        )
    );
    let long = dir.path().join("x".repeat(100));
    let error = anyhow::Error::from(Server::bind(&long, Standing::Alone).await.unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        format!(
            "cannot listen on {}/control.sock (below --runtime-dir, which must be writable: in a pod, an \
             emptyDir volume): path must be shorter than \
             SUN_LEN",
            long.display()
        )
    );
}

#[tokio::test]
async fn nobody_there_is_told() {
    let dir = TempDir::new().unwrap();
    let says = "no agent answers at DIR/control.sock; does it run on this node, with the same \
                --runtime-dir?";
    assert_eq!(refusal(dir.path()).await, says);
    drop(UnixListener::bind(socket_path(dir.path())).unwrap());
    assert_eq!(refusal(dir.path()).await, says);
}

#[tokio::test]
async fn somebody_else_there_is_told() {
    for (answer, says) in [
        (
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n" as &[u8],
            "the agent at DIR/control.sock answers 404 Not Found; is it of another version?",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "cannot understand the agent at DIR/control.sock; is it of another version?: missing \
             field `version` at line 1 column 2",
        ),
        (
            b"220 smtp.example.com\r\n",
            "cannot talk to the agent at DIR/control.sock: invalid HTTP version parsed",
        ),
        (
            b"",
            "cannot talk to the agent at DIR/control.sock: connection closed before message completed",
        ),
    ] {
        let dir = TempDir::new().unwrap();
        let somebody = somebody_who_says(dir.path(), answer);
        assert_eq!(refusal(dir.path()).await, says);
        somebody.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_is_not_waited_for() {
    let dir = TempDir::new().unwrap();
    let _silent = UnixListener::bind(socket_path(dir.path())).unwrap();
    let began = Instant::now();
    assert_eq!(
        refusal(dir.path()).await,
        "the agent at DIR/control.sock gives no answer within 5 s"
    );
    assert!((PATIENCE..PATIENCE * 2).contains(&began.elapsed()));
}
