//! Clients that run until their first keys have ended: they have others by then, and nothing fails. What is a command
//! is run again and again.
//!
//! The sessions are as short as they can be for the agent, which does not give away keys with less than some twenty
//! seconds left. Clients that think such keys too short for anything run in [`day`] instead, with
//! sessions of an hour, and are told the time.

use std::{
    panic::resume_unwind,
    process::Command,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;
use bpf2iam_support::stage::{BASE_ARN, Stage};
use serde_json::{Value, json};

use super::{
    client::Client,
    column::Column,
    day,
    kit::Kit,
    ledger::{Account, Ledger},
    member::Member,
    ran::{PATIENCE, Ran, run},
    table::Table,
    task::Task,
    transport::Transport,
};

/// How long the sessions are.
const SESSION: Duration = Duration::from_secs(50);
/// How often each asks who it is, ...
const TIMES: u32 = 9;
/// ... and how long it waits between: it is longer about than a session lives.
const PAUSE: Duration = Duration::from_secs(8);
/// One begins so long after the other: to start all of them at once is more than a small machine can do.
const STAGGER: Duration = Duration::from_secs(2);

/// A client while it runs.
pub(super) struct Running {
    client: Client,
    member: Member,
    thread: JoinHandle<Result<Ran>>,
}

/// What STS is told about the roles.
pub(super) fn rules() -> Vec<Value> {
    let rule = |client| {
        let role = format!("{BASE_ARN}{}", role(client));
        json!({"role": role, "do": {"session": format!("{}s", SESSION.as_secs())}})
    };
    clients().map(rule).collect()
}

/// Starts every client in a pod of its own. They run beside whatever comes next.
pub(super) fn start(stage: &Stage, kit: &Kit) -> Result<Vec<Running>> {
    let start = |(number, client)| {
        let role = role(client);
        let pod = stage.add_pod_with_role(&role, &role)?;
        let member = Member::new(stage, pod, Some(&role))?;
        let command = member.command(kit, client, Transport::Ipv4, task(client))?;
        let thread = thread::spawn(move || {
            thread::sleep(STAGGER * number);
            go_on(client, command)
        });
        Ok(Running {
            client,
            member,
            thread,
        })
    };
    (0..).zip(clients()).map(start).collect()
}

/// Waits for all of them, and judges.
pub(super) fn end(all: Vec<Running>, stage: &Stage, table: &mut Table) -> Result<()> {
    let ended: Vec<_> = all.into_iter().map(Running::join).collect();
    let ledger = Ledger::read(stage)?;
    for (client, member, ran) in ended {
        let role = role(client);
        let account = ledger.account(&format!("{BASE_ARN}{role}"));
        let verdict = ran
            .map_err(|error| format!("{error:#}"))
            .and_then(|ran| judge(&role, &ran, &account));
        table.show(
            client,
            Column::Refresh,
            ["short keys", member.name()],
            verdict,
        );
    }
    Ok(())
}

impl Running {
    fn join(self) -> (Client, Member, Result<Ran>) {
        let ran = self.thread.join();
        let ran = ran.unwrap_or_else(|panic| resume_unwind(panic));
        (self.client, self.member, ran)
    }
}

/// What a client is asked for at once.
fn task(client: Client) -> Task {
    if client.is_command() {
        return Task::Caller;
    }
    Task::Refresh {
        times: TIMES,
        pause: PAUSE,
    }
}

/// Lets a client ask until its end.
fn go_on(client: Client, mut command: Command) -> Result<Ran> {
    if !client.is_command() {
        return run(&mut command, PAUSE * TIMES + PATIENCE);
    }
    let mut all = run(&mut command, PATIENCE)?;
    for _ in 1..TIMES {
        thread::sleep(PAUSE);
        all = all.then(&run(&mut command, PATIENCE)?);
    }
    Ok(all)
}

fn clients() -> impl Iterator<Item = Client> {
    let here = |client: &Client| !day::has(*client) && client.exempt(Column::Refresh).is_none();
    Client::ALL.into_iter().filter(here)
}

/// The role of the pod in which a client runs, and the name of that pod.
fn role(client: Client) -> String {
    let number = Client::ALL.iter().position(|&one| one == client);
    format!("short-{}", number.unwrap_or_default())
}

/// Whether a client was its pod's `role` to the end, and STS has the same on record.
fn judge(role: &str, ran: &Ran, account: &Account) -> Result<String, String> {
    let session = format!(":assumed-role/{role}/");
    let times = ran
        .stdout
        .lines()
        .filter(|line| line.contains(&session))
        .count();
    let wanted = usize::try_from(TIMES).unwrap_or(usize::MAX);
    for (is_wrong, wrong) in [
        (
            ran.is_node(),
            format!("THE NODE'S KEY: {}", ran.all_it_said()),
        ),
        (
            !ran.succeeded() || times != wanted || ran.stdout.lines().count() != wanted,
            format!(
                "was {role} {times} times of {wanted}: {}",
                ran.all_it_said()
            ),
        ),
        (
            account.refused > 0,
            format!("STS refused {} requests", account.refused),
        ),
        (
            account.beyond == 0 || account.keys < 2,
            format!(
                "{} requests after the end of the first keys, {} keys in all",
                account.beyond, account.keys
            ),
        ),
    ] {
        if is_wrong {
            return Err(wrong);
        }
    }
    Ok(format!(
        "{} requests with {} keys of {} s, {} after the end of the first ones",
        account.requests,
        account.keys,
        SESSION.as_secs(),
        account.beyond
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::ran::tests::ended;

    fn account() -> Account {
        Account {
            requests: 9,
            keys: 2,
            beyond: 1,
            ..Account::default()
        }
    }

    fn lines(times: usize) -> String {
        vec!["KEY arn:aws:sts::1:assumed-role/short-1/s"; times].join("\n")
    }

    fn verdict(ran: &Ran, account: &Account) -> Result<String, String> {
        judge("short-1", ran, account)
    }

    #[test]
    fn who_has_new_keys_when_the_first_end_is_good() {
        let seen = verdict(&ended(0, &lines(9), "a warning"), &account()).unwrap();
        assert_eq!(
            seen,
            "9 requests with 2 keys of 50 s, 1 after the end of the first ones"
        );
    }

    #[test]
    fn everything_else_is_not() {
        let good = ended(0, &lines(9), "");
        let one_failed = format!("{}\nnobody", lines(8));
        let other = lines(9).replacen("short-1", "short-11", 1);
        let node = format!("{}\nAKIDNODE", lines(9));
        let with = |change: fn(&mut Account)| {
            let mut account = account();
            change(&mut account);
            account
        };
        for (ran, account, complaint) in [
            (ended(1, &lines(9), ""), account(), "was short-1 9 times"),
            (ended(0, &lines(8), ""), account(), "was short-1 8 times"),
            (ended(0, &one_failed, ""), account(), "was short-1 8 times"),
            (ended(0, &other, ""), account(), "was short-1 8 times"),
            (ended(0, &node, ""), account(), "THE NODE'S KEY"),
            (
                good.clone(),
                with(|account| account.refused = 1),
                "STS refused 1",
            ),
            (
                good.clone(),
                with(|account| account.beyond = 0),
                "0 requests after",
            ),
            (good, with(|account| account.keys = 1), "1 requests after"),
        ] {
            let error = verdict(&ran, &account).expect_err(complaint);
            assert!(error.starts_with(complaint), "{error}");
        }
    }

    #[test]
    fn the_clients_outlive_their_first_keys() {
        assert!(PAUSE * (TIMES - 1) > SESSION + Duration::from_secs(5));
    }

    #[test]
    fn each_client_is_here_or_has_a_day_or_is_exempt() {
        for client in Client::ALL {
            let is_here = clients().any(|one| one == client);
            let is_elsewhere = day::has(client) || client.exempt(Column::Refresh).is_some();
            assert!(is_here != is_elsewhere, "{}", client.name());
        }
    }
}
