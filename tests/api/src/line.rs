//! A line between two networks that no device joins: what connects at one end is connected at the other.
//!
//! So a node without an uplink reaches the API server, and still no packet leaves it. The line can be held, which to
//! those who talk is a server that hangs, and it can be cut.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, mpsc},
    thread,
};

use anyhow::{Context as _, Result};
use bpf2iam_support::netns::Netns;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A line that is laid. On drop it is cut: who talks over it is disconnected, and who calls is refused.
#[derive(Debug)]
pub struct Line {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// Two sockets whose bytes go from one to the other.
type Pair = [TcpStream; 2];

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    flow: Flow,
    pairs: Vec<Weak<Pair>>,
    /// What callers said, by connection, on a line that is tapped.
    said: Option<Vec<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flow {
    #[default]
    Passing,
    Held,
    Cut,
}

impl Line {
    /// Lays a line: whoever connects to the address of `near`, in that network, talks to the address of `far` in the
    /// network of that file.
    pub(crate) fn lay(near: (&Netns, SocketAddr), far: (&Path, SocketAddr)) -> Result<Self> {
        let listener = near.0.run(|| TcpListener::bind(near.1))?;
        let listener = listener.with_context(|| format!("{} on a node", near.1))?;
        let network = File::open(far.0).with_context(|| far.0.display().to_string())?;
        let shared = Arc::<Shared>::default();
        let line = Self {
            listener: listener.try_clone()?,
            shared: Arc::clone(&shared),
        };
        let (tx, entered) = mpsc::channel();
        thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            let result = move_into_link_name_space(network.as_fd(), kind);
            if tx.send(result).is_ok() && result.is_ok() {
                serve(&listener, far.1, &shared)?;
            }
            io::Result::Ok(())
        });
        let entered = entered.recv().context("the line's thread")?;
        entered.with_context(|| format!("cannot enter {}", far.0.display()))?;
        Ok(line)
    }

    /// Taps what goes to a server that speaks without TLS: whoever calls the line's address talks to `server`, in
    /// the same network, and what the caller says is kept.
    pub fn tap(network: &Netns, server: SocketAddr) -> Result<Self> {
        let near = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let line = Self::lay((network, near), (&network.path(), server))?;
        line.shared.lock().said = Some(Vec::new());
        Ok(line)
    }

    /// What callers said so far, by connection. Nothing, unless the line is tapped.
    pub fn said(&self) -> Vec<String> {
        self.shared.lock().words()
    }

    /// Where the near end is.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// From now on nothing passes any more, and nobody is told.
    pub fn hold(&self) {
        self.shared.set(Flow::Held);
    }

    /// Lets everything pass, what was held first.
    pub fn release(&self) {
        self.shared.set(Flow::Passing);
    }

    /// Ends every connection there is. New ones are taken as before.
    pub fn disconnect(&self) {
        self.shared.disconnect();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.set(Flow::Cut);
        self.shared.disconnect();
        // On Linux this ends `accept` in the other thread too.
        let _gone = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).err();
    }
}

impl State {
    /// On a line that is tapped, gives the connection's number.
    fn remember(&mut self, pair: &Arc<Pair>) -> Option<usize> {
        self.pairs.retain(|pair| pair.strong_count() > 0);
        self.pairs.push(Arc::downgrade(pair));
        let said = self.said.as_mut()?;
        said.push(Vec::new());
        Some(said.len() - 1)
    }

    fn keep(&mut self, connection: usize, words: &[u8]) {
        let said = self.said.as_mut();
        if let Some(said) = said.and_then(|said| said.get_mut(connection)) {
            said.extend_from_slice(words);
        }
    }

    fn words(&self) -> Vec<String> {
        let said = self.said.iter().flatten();
        said.map(|said| String::from_utf8_lossy(said).into_owned())
            .collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, flow: Flow) {
        self.lock().flow = flow;
        self.changed.notify_all();
    }

    fn disconnect(&self) {
        for pair in self.lock().pairs.iter().filter_map(Weak::upgrade) {
            for end in pair.iter() {
                let _closed = end.shutdown(Shutdown::Both).err();
            }
        }
    }

    /// Waits while the line is held.
    fn wait(&self) {
        let held = |state: &mut State| state.flow == Flow::Held;
        let waited = self.changed.wait_while(self.lock(), held);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Takes calls until the line is cut.
fn serve(listener: &TcpListener, far: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    loop {
        let (near, _caller) = listener.accept()?;
        // Nobody at the far end: the caller is disconnected.
        let Ok(far) = TcpStream::connect(far) else {
            continue;
        };
        for end in [&near, &far] {
            end.set_nodelay(true)?;
        }
        let pair = Arc::new([near, far]);
        let tapped = shared.lock().remember(&pair);
        for (from, to, tapped) in [(0, 1, tapped), (1, 0, None)] {
            let (pair, shared) = (Arc::clone(&pair), Arc::clone(shared));
            thread::spawn(move || copy(&pair[from], &pair[to], &shared, tapped));
        }
    }
}

/// Copies until one of the two is closed, and closes the other in this direction.
fn copy(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared, tapped: Option<usize>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        shared.wait();
        if let Some(connection) = tapped {
            shared.lock().keep(connection, &buffer[..read]);
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _closed = to.shutdown(Shutdown::Write).err();
}
