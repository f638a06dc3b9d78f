//! The agent's end of the control socket.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper::{StatusCode, Uri};
use tokio::{
    net::{UnixListener, UnixSocket, UnixStream},
    time::{self, Instant},
};

use crate::{
    chain::chain,
    digest::Digest,
    drain,
    explain::{Explanation, Question},
    http::{self, Page},
    id::PodRef,
    status::Status,
};

use super::{
    EXPLAIN, QUESTION, STATUS,
    file::{SocketFile, make_private, remove},
    socket_path,
};

/// How many connections may wait to be accepted.
const QUEUE: u32 = 128;
/// How often it is looked whether the socket's file is there.
const LOOK: Duration = Duration::from_secs(1);
/// For how long an agent may answer that is about to end: its requests have five seconds.
const ENDING: Duration = Duration::from_secs(8);
/// How often it is looked whether it has ended.
const GLANCE: Duration = Duration::from_millis(50);
/// How often it is tried once more where others take the directory away.
const TRIES: u32 = 3;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runtime directory is not there and cannot be made.
    #[error("cannot make the directory {} (--runtime-dir)", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Two agents in one directory would take each other's socket away.
    #[error(
        "another agent answers at {}; stop it, or give this one another --runtime-dir",
        path.display()
    )]
    Alive {
        /// Its socket.
        path: PathBuf,
    },
    /// There is something that no agent has left.
    #[error("{} is in the way and no socket; remove it, or give another --runtime-dir", path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// Anything else.
    #[error(
        "cannot listen on {} (below --runtime-dir, which must be writable: in a pod, an emptyDir volume)",
        path.display()
    )]
    Bind {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// How an agent stands to others on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is to be no other.
    Alone,
    /// It takes over from one that still serves.
    Successor,
}

/// What the agent says to those who may open its socket.
pub trait Answers: Send + Sync + 'static {
    /// The agent as it is now.
    fn status(&self) -> Status;
    /// Why a pod of this node has the role that it has.
    fn explain(
        &self,
        question: Question,
    ) -> impl Future<Output = Result<Explanation, NoSuchPod>> + Send;
}

/// Nothing can be said about a pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchPod {
    /// It is not among the pods of this node.
    #[error("{0} is no pod of this node that the agent knows; `bpf2iam status` lists those")]
    Unknown(PodRef),
    /// Nobody has told the agent yet.
    #[error(
        "the agent does not know the pods of this node yet; `bpf2iam status` says what it waits for"
    )]
    TooEarly,
}

/// The control socket, open. Its file goes when the server goes, and the directory if nothing else is in it.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
}

impl Server {
    /// Opens the socket below `runtime_dir`, which is made if it is not there. The socket of an agent that died is
    /// replaced, and that of a living one only by who takes over from it; one that is about to end is waited for.
    pub async fn bind(runtime_dir: &Path, standing: Standing) -> Result<Self, Error> {
        let path = socket_path(runtime_dir);
        let mut tries = 0..TRIES;
        let deadline = Instant::now() + ENDING;
        loop {
            make_private(runtime_dir).map_err(|source| Error::Directory {
                path: runtime_dir.to_owned(),
                source,
            })?;
            match refuse_if_taken(&path).await {
                Err(Error::Alive { .. }) if standing == Standing::Successor => {}
                Err(Error::Alive { .. }) if Instant::now() < deadline => {
                    time::sleep(GLANCE).await;
                    continue;
                }
                free => free?,
            }
            match listen(&path) {
                // The agent before us has taken the directory away, as it does at its end.
                Err(error) if error.kind() == ErrorKind::NotFound && tries.next().is_some() => {}
                listening => return listening.map_err(|source| Error::Bind { path, source }),
            }
        }
    }

    /// Whether its file is its own.
    #[cfg(test)]
    pub(super) fn is_there(&self) -> bool {
        self.file.is_there()
    }

    /// Answers until the drain with what `answers` says at the moment of each request. Where the socket's file is taken
    /// away, or replaced by an agent that has ended since, it is opened anew.
    pub async fn run(mut self, answers: impl Answers, drain: drain::Watch) {
        let answers = Arc::new(answers);
        loop {
            let pages = Pages(Arc::clone(&answers));
            tokio::select! {
                () = http::serve(self.listener, pages, drain.clone()) => return,
                again = again(&self.file) => self = again,
            }
            tracing::warn!("the control socket was gone; opened anew");
        }
    }
}

/// Waits until `file` is gone and nobody answers in its place, and opens the socket anew. What keeps it from doing so may
/// pass.
async fn again(file: &SocketFile) -> Server {
    let warnings = Digest::default();
    loop {
        time::sleep(LOOK).await;
        if file.is_there() {
            continue;
        }
        match reopen(file.path()).await {
            Ok(server) => return server,
            // It has its own.
            Err(Error::Alive { .. }) => {}
            Err(error) => {
                if let Some(count) = warnings.add("control") {
                    let error = chain(&error);
                    tracing::warn!(
                        count,
                        error,
                        "the control socket is gone; cannot open it anew"
                    );
                }
            }
        }
    }
}

async fn reopen(path: &Path) -> Result<Server, Error> {
    refuse_if_taken(path).await?;
    let directory = path.parent().map_or(Ok(()), make_private);
    let listening = directory.and_then(|()| listen(path));
    let path = path.to_owned();
    listening.map_err(|source| Error::Bind { path, source })
}

/// Looks whether anybody answers at `path`.
async fn refuse_if_taken(path: &Path) -> Result<(), Error> {
    let path = path.to_owned();
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NotASocket { path }),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::Bind { path, source }),
    }
    match UnixStream::connect(&path).await {
        // A queue that is full is somebody's, too.
        Ok(_) => Err(Error::Alive { path }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Error::Alive { path }),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(source) => Err(Error::Bind { path, source }),
    }
}

/// Listens at `path`. Nobody can connect before only the owner can.
fn listen(path: &Path) -> io::Result<Server> {
    remove(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let file = SocketFile::new(path)?;
    let listener = socket.listen(QUEUE)?;
    Ok(Server { listener, file })
}

struct Pages<A>(Arc<A>);

impl<A: Answers> http::Pages for Pages<A> {
    async fn get(&self, target: &Uri) -> Option<Page> {
        match target.path() {
            STATUS => Some(json(self.0.status().to_json())),
            EXPLAIN => Some(self.explain(target.query().unwrap_or_default()).await),
            _ => None,
        }
    }
}

impl<A: Answers> Pages<A> {
    async fn explain(&self, query: &str) -> Page {
        let Some(question) = question(query) else {
            return Page::text(StatusCode::BAD_REQUEST, "this is no question\n");
        };
        match self.0.explain(question).await {
            Ok(explanation) => json(explanation.to_json()),
            Err(error) => Page::text(StatusCode::GONE, error.to_string()),
        }
    }
}

fn question(query: &str) -> Option<Question> {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let (_, text) = fields.find(|(key, _)| key == QUESTION)?;
    serde_json::from_str(&text).ok()
}

fn json(page: serde_json::Result<String>) -> Page {
    match page {
        Ok(body) => Page {
            status: StatusCode::OK,
            content_type: "application/json",
            body,
        },
        Err(error) => {
            tracing::warn!(%error, "cannot write an answer");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Page::text(status, "cannot write the answer\n")
        }
    }
}
