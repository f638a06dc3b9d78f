//! Finds the record of a connection whose SYN was lost, by its address.
//!
//! That takes a look at every record, which is dear: half a second when an attacker has filled the map. So one search
//! serves all who came before it began, there is one at a time, and only so many may wait. Whoever finds no
//! place is refused: that costs connections that came with SYN cookies, and nobody else. A part of the records proves
//! nothing: among so many that some may have been pushed out, nobody is found.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use bpf2iam_ebpf::abi::MAX_CONNS;
use tokio::{
    sync::{mpsc, oneshot},
    task, time,
};

use crate::redirect::{Conns, Record};

use super::Refusal;

/// How many may wait for a search.
const ROOM: usize = 256;
/// How long one may wait: for the search that is under way, and the next one.
const PATIENCE: Duration = Duration::from_secs(2);

/// With more records than these the kernel may have dropped some: it does so before the map is quite full, for each
/// CPU keeps some free places to itself.
const FULL: usize = MAX_CONNS / 2;

/// Asks what searches.
#[derive(Debug)]
pub(super) struct Search(mpsc::Sender<Question>);

#[derive(Debug)]
struct Question {
    peer: SocketAddr,
    answer: oneshot::Sender<Result<Record, Refusal>>,
}

/// All records at one moment.
pub(super) trait Records: Send + Sync + 'static {
    fn all(&self) -> io::Result<Vec<Record>>;
}

impl Records for Conns {
    fn all(&self) -> io::Result<Vec<Record>> {
        Ok(Self::all(self)?.into_values().collect())
    }
}

impl Search {
    /// What asks, and what has to run for it to be answered. That ends when the other is dropped.
    pub(super) fn new(records: Arc<impl Records>) -> (Self, impl Future<Output = ()> + Send) {
        let (questions_tx, questions_rx) = mpsc::channel(ROOM);
        (Self(questions_tx), run(records, questions_rx))
    }

    /// The one record of a client at `peer`, which must be there already.
    pub(super) async fn find(&self, peer: SocketAddr) -> Result<Record, Refusal> {
        let (answer, found) = oneshot::channel();
        let busy = |_| Refusal::Busy;
        self.0.try_send(Question { peer, answer }).map_err(busy)?;
        let found = time::timeout(PATIENCE, found)
            .await
            .map_err(|_elapsed| Refusal::Busy)?;
        found.unwrap_or(Err(Refusal::Busy))
    }
}

async fn run(records: Arc<impl Records>, mut questions: mpsc::Receiver<Question>) {
    let mut waiting = Vec::with_capacity(ROOM);
    while questions.recv_many(&mut waiting, ROOM).await > 0 {
        let records = Arc::clone(&records);
        let all = task::spawn_blocking(move || records.all().map(|all| ByClient::new(&all)));
        let all = all
            .await
            .unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        for question in waiting.drain(..) {
            // Whoever has given up does not hear the answer.
            let _heard = question.answer.send(answer(&all, question.peer)).is_ok();
        }
    }
}

/// All records.
struct ByClient {
    /// How many there are.
    all: usize,
    /// Each client's record, and how many there are of that client.
    clients: HashMap<SocketAddr, (Record, usize)>,
}

impl ByClient {
    fn new(records: &[Record]) -> Self {
        let mut clients = HashMap::<_, (Record, usize)>::with_capacity(records.len());
        for record in records {
            clients.entry(record.client).or_insert((*record, 0)).1 += 1;
        }
        Self {
            all: records.len(),
            clients,
        }
    }
}

/// Another pod may have recorded the same address from a network namespace of its own: then nobody is served. Nor is
/// anybody when the kernel may have dropped records for want of room: the one that is left may be the other pod's.
fn answer(all: &io::Result<ByClient>, peer: SocketAddr) -> Result<Record, Refusal> {
    let all = all
        .as_ref()
        .map_err(|error| Refusal::System(io::Error::other(error.to_string())))?;
    if all.all > FULL {
        return Err(Refusal::Crowded(all.all));
    }
    match all.clients.get(&peer) {
        None => Err(Refusal::NoRecord),
        Some((record, 1)) => Ok(*record),
        Some((_, several)) => Err(Refusal::Ambiguous(*several)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        thread,
    };

    use crate::{
        id::{CgroupId, NetnsCookie},
        redirect::Via,
    };

    use super::*;

    fn record(cgroup: u64, client: &str) -> Record {
        Record {
            cgroup: CgroupId::new(cgroup),
            netns: NetnsCookie::new(1),
            client: client.parse().unwrap(),
            via: Via::Redirect,
        }
    }

    fn found(records: &[Record]) -> Result<Record, Refusal> {
        answer(
            &Ok(ByClient::new(records)),
            SocketAddr::from(([10, 77, 1, 2], 4711)),
        )
    }

    #[test]
    fn a_lost_syn_needs_exactly_one_record_of_its_address() {
        let ours = record(7, "10.77.1.2:4711");
        let neighbours = [record(8, "10.77.1.2:4712"), record(9, "10.77.1.3:4711")];
        assert_eq!(found(&[neighbours[0], ours, neighbours[1]]).unwrap(), ours);
        assert!(matches!(found(&neighbours), Err(Refusal::NoRecord)));
        assert!(matches!(found(&[]), Err(Refusal::NoRecord)));
        let poison = record(8, "10.77.1.2:4711");
        assert!(matches!(found(&[ours, poison]), Err(Refusal::Ambiguous(2))));
    }

    #[test]
    fn among_so_many_that_some_may_be_lost_the_only_one_proves_nothing() {
        let ours = record(7, "10.77.1.2:4711");
        let mut records = vec![record(8, "10.77.1.3:1"); FULL - 1];
        records.push(ours);
        assert_eq!(found(&records).unwrap(), ours);
        records.push(record(8, "10.77.1.3:1"));
        assert!(matches!(found(&records), Err(Refusal::Crowded(_))));
    }

    #[test]
    fn records_that_cannot_be_read_whole_prove_nothing() {
        let broken = Err(io::Error::other("too fast"));
        let peer = SocketAddr::from(([10, 77, 1, 2], 4711));
        assert!(matches!(answer(&broken, peer), Err(Refusal::System(_))));
    }

    /// Records whose reading lasts until the test lets it go on.
    #[derive(Default)]
    struct Slow {
        open: AtomicBool,
        searches: AtomicUsize,
        records: Vec<Record>,
    }

    impl Records for Slow {
        fn all(&self) -> io::Result<Vec<Record>> {
            self.searches.fetch_add(1, Ordering::SeqCst);
            while !self.open.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            Ok(self.records.clone())
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_search_serves_all_who_wait_and_the_rest_are_refused() {
        let records = vec![record(7, "10.77.1.2:4711")];
        let slow = Arc::new(Slow {
            records,
            ..Slow::default()
        });
        let (search, run) = Search::new(Arc::clone(&slow));
        let search = Arc::new(search);
        tokio::spawn(run);
        let ask = || {
            let search = Arc::clone(&search);
            tokio::spawn(async move { search.find(SocketAddr::from(([10, 77, 1, 2], 4711))).await })
        };
        let first = ask();
        while slow.searches.load(Ordering::SeqCst) == 0 {
            task::yield_now().await;
        }
        let crowd: Vec<_> = (0..ROOM + 50).map(|_| ask()).collect();
        // Whoever finds no place hears of it at once.
        while crowd.iter().filter(|one| one.is_finished()).count() < 50 {
            task::yield_now().await;
        }
        slow.open.store(true, Ordering::SeqCst);
        assert!(first.await.unwrap().is_ok());
        let mut served = 0;
        for one in crowd {
            match one.await.unwrap() {
                Ok(_) => served += 1,
                Err(error) => assert!(matches!(error, Refusal::Busy), "{error}"),
            }
        }
        assert_eq!(served, ROOM);
        assert_eq!(slow.searches.load(Ordering::SeqCst), 2);
    }
}
