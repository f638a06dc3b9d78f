use std::{fs, os::unix::fs::symlink, path::Path};

use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::pods::index::Store;

/// Shorter than [`REREAD`]: what happens within it, the system told us of.
const PATIENCE: Duration = Duration::from_secs(15);

fn manifest(name: &str, number: u8) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  uid: \
         00000000-0000-0000-0000-0000000000{number:02x}\nspec:\n  nodeName: node-1\n"
    )
}

fn reads() -> Reads {
    Reads {
        node: Some("node-1".to_owned()),
        keys: Keys::default(),
    }
}

/// An agent's source on a directory of its own.
struct Running {
    scratch: TempDir,
    store: Store,
    metrics: Registry,
    task: JoinHandle<anyhow::Error>,
}

impl Running {
    async fn on(files: &[(&str, String)]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("pods");
        fs::create_dir(&dir).unwrap();
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
        let (mut registry, metrics) = (Registry::default(), Metrics::new());
        metrics.register(&mut registry);
        let source =
            FileSource::open(dir, "node-1", Keys::default(), metrics, Clock::system()).unwrap();
        let (writer, store) = index::new();
        let running = Self {
            scratch,
            store,
            metrics: registry,
            task: tokio::spawn(source.run(writer)),
        };
        let mut watch = running.store.watch();
        let complete = watch.wait_for(|snapshot| snapshot.complete());
        drop(time::timeout(PATIENCE, complete).await.unwrap().unwrap());
        running
    }

    fn dir(&self) -> PathBuf {
        self.scratch.path().join("pods")
    }

    fn names(&self) -> Vec<String> {
        names(&self.store.snapshot())
    }

    /// Waits until exactly the pods with these names are known.
    async fn until(&self, expected: &[&str]) {
        let mut watch = self.store.watch();
        let same = watch.wait_for(|snapshot| names(snapshot) == expected);
        let in_time = time::timeout(PATIENCE, same).await.is_ok();
        assert!(in_time, "{:?} instead of {expected:?}", self.names());
    }

    fn metric(&self, name: &str) -> i64 {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &self.metrics).unwrap();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in\n{page}"))
            .parse()
            .unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn names(snapshot: &index::Snapshot) -> Vec<String> {
    let names = snapshot
        .pods()
        .map(|subject| subject.pod.name.name().to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

/// Writes `text` as a careful program does: under another name first.
fn replace(file: &Path, text: &str) {
    let draft = file.with_file_name(".draft");
    fs::write(&draft, text).unwrap();
    fs::rename(draft, file).unwrap();
}

fn age(time: i64) -> i64 {
    let now = Clock::system().now().as_second();
    now - time
}

#[tokio::test]
async fn the_index_is_complete_with_what_was_there_at_the_start() {
    let running = Running::on(&[("a.yaml", manifest("a", 1))]).await;
    assert_eq!(running.names(), ["a"]);
    assert_eq!(running.metric("pods"), 1);
    assert_eq!(running.metric("manifest_errors"), 0);
    assert!(age(running.metric("pods_last_success_timestamp_seconds")) < 60);
}

#[tokio::test]
async fn an_empty_directory_is_complete_too() {
    let running = Running::on(&[]).await;
    assert!(running.store.snapshot().complete());
    assert_eq!(running.metric("pods"), 0);
}

#[tokio::test]
async fn files_that_come_change_and_go_are_followed() {
    let running = Running::on(&[]).await;
    let (a, b) = (running.dir().join("a.yaml"), running.dir().join("b.json"));
    replace(&a, &manifest("a", 1));
    running.until(&["a"]).await;
    fs::write(&b, manifest("b", 2)).unwrap();
    running.until(&["a", "b"]).await;
    fs::write(&a, manifest("a-2", 1)).unwrap();
    running.until(&["a-2", "b"]).await;
    fs::rename(&b, running.dir().join("b.json.off")).unwrap();
    running.until(&["a-2"]).await;
    fs::remove_file(&a).unwrap();
    running.until(&[]).await;
}

#[tokio::test]
async fn a_file_that_is_written_in_pieces_counts_when_it_is_whole() {
    let running = Running::on(&[]).await;
    let text = manifest("a", 1);
    let path = running.dir().join("a.yaml");
    for end in (0..text.len()).step_by(40) {
        fs::write(&path, text.get(..end).unwrap()).unwrap();
        time::sleep(QUIET / 5).await;
    }
    fs::write(&path, &text).unwrap();
    running.until(&["a"]).await;
    assert_eq!(running.metric("manifest_errors"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_read_when_it_is_over_or_takes_too_long() {
    for (changes, expected) in [
        (0, REREAD),
        (1, QUIET),
        (4, QUIET / 2 * 3 + QUIET),
        (1000, IMPATIENCE),
    ] {
        let changed = Notify::new();
        let waited = async {
            let start = time::Instant::now();
            wait(&changed, REREAD).await;
            start.elapsed()
        };
        let notified = async {
            for _ in 0..changes {
                changed.notify_one();
                time::sleep(QUIET / 2).await;
            }
        };
        let (waited, ()) = tokio::join!(waited, notified);
        assert_eq!(waited, expected, "{changes} changes");
    }
}

#[tokio::test]
async fn a_manifest_that_becomes_wrong_takes_its_pod_away_and_no_other() {
    let running = Running::on(&[("a.yaml", manifest("a", 1)), ("b.yaml", manifest("b", 2))]).await;
    replace(&running.dir().join("a.yaml"), &manifest("A", 1));
    running.until(&["b"]).await;
    assert_eq!(running.metric("manifest_errors"), 1);
    replace(&running.dir().join("a.yaml"), &manifest("b", 2));
    running.until(&[]).await;
    replace(&running.dir().join("a.yaml"), &manifest("a", 1));
    running.until(&["a", "b"]).await;
    assert_eq!(running.metric("manifest_errors"), 0);
}

#[tokio::test]
async fn a_config_map_that_is_updated_is_followed() {
    let running = Running::on(&[]).await;
    let dir = running.dir();
    for (version, name) in [("..1", "a"), ("..2", "a-2")] {
        fs::create_dir(dir.join(version)).unwrap();
        fs::write(dir.join(version).join("a.yaml"), manifest(name, 1)).unwrap();
        symlink(version, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
        if version == "..1" {
            symlink("..data/a.yaml", dir.join("a.yaml")).unwrap();
        }
        running.until(&[name]).await;
    }
}

#[tokio::test]
async fn another_directory_under_the_same_name_is_followed() {
    let running = Running::on(&[("a.yaml", manifest("a", 1))]).await;
    let (dir, next) = (running.dir(), running.scratch.path().join("next"));
    fs::create_dir(&next).unwrap();
    fs::write(next.join("b.yaml"), manifest("b", 2)).unwrap();
    fs::rename(&dir, running.scratch.path().join("old")).unwrap();
    fs::rename(next, &dir).unwrap();
    running.until(&["b"]).await;
    replace(&dir.join("c.yaml"), &manifest("c", 3));
    running.until(&["b", "c"]).await;
}

#[tokio::test]
async fn pods_go_with_their_directory_and_come_back_with_it() {
    let running = Running::on(&[("a.yaml", manifest("a", 1))]).await;
    let dir = running.dir();
    fs::remove_dir_all(&dir).unwrap();
    running.until(&[]).await;
    assert!(running.store.snapshot().complete());
    assert_eq!(running.metric("pods"), 0);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("a.yaml"), manifest("a", 1)).unwrap();
    running.until(&["a"]).await;
    fs::write(dir.join("b.yaml"), manifest("b", 2)).unwrap();
    running.until(&["a", "b"]).await;
}

/// Nobody tells us of a change behind a link. Time is paused: it goes on when all tasks wait.
#[tokio::test(start_paused = true)]
async fn what_nobody_tells_us_of_is_found_in_the_end() {
    let running = Running::on(&[]).await;
    let behind = running.scratch.path().join("behind.yaml");
    fs::write(&behind, manifest("a", 1)).unwrap();
    symlink(&behind, running.dir().join("a.yaml")).unwrap();
    let late = time::sleep(REREAD * 2);
    late.await;
    running.until(&["a"]).await;
    fs::write(&behind, manifest("a-2", 1)).unwrap();
    time::sleep(REREAD * 2).await;
    running.until(&["a-2"]).await;
}

#[tokio::test]
async fn our_own_reading_does_not_make_us_read_again() {
    let running = Running::on(&[("a.yaml", manifest("a", 1))]).await;
    running.task.abort();
    let changed = Arc::new(Notify::new());
    let mut watcher = watcher(&changed).unwrap();
    watcher
        .watch(&running.dir(), RecursiveMode::NonRecursive)
        .unwrap();
    directory::read(&running.dir(), &reads()).unwrap();
    assert!(time::timeout(QUIET * 4, changed.notified()).await.is_err());
    fs::write(running.dir().join("b.yaml"), "").unwrap();
    time::timeout(PATIENCE, changed.notified()).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_not_there_at_the_start_is_an_error() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("file"), "").unwrap();
    for name in ["missing", "file"] {
        let dir = scratch.path().join(name);
        let error = FileSource::open(
            dir,
            "node-1",
            Keys::default(),
            Metrics::new(),
            Clock::system(),
        )
        .unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
}
