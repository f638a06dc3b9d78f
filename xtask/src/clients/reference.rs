//! How each client fails on an instance that has nothing for it, with no agent about: what it says there, and how long
//! that takes, is what is normal for it.

use std::{collections::HashMap, time::Duration};

use anyhow::Result;

use super::{
    client::Client,
    column::Column,
    kit::Kit,
    member::Member,
    ran::{PATIENCE, at_once},
    table::Table,
    task::Task,
    transport::Transport,
    verdict::{Expected, judge},
};

/// By how much a client may be later than it is on such an instance, on a machine as busy. One that was left without
/// an answer would be: every SDK waits a second, and then asks in another way.
const MARGIN: Duration = Duration::from_millis(1500);

/// Why there are no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lack {
    /// There is no role: 404 where the role's name would be.
    Role,
    /// There is no answer yet: 503 in its place, after almost a second.
    Answer,
    /// No token was shown, and one is required: 401.
    Token,
}

impl Lack {
    /// What is said of an instance that lacks it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Role => "bare node",
            Self::Answer => "slow node",
            Self::Token => "strict node",
        }
    }

    /// What makes the stand-in for the metadata service such an instance. How long the agent waits for keys is what a
    /// slow one takes.
    pub(super) const fn instance(self) -> &'static [&'static str] {
        match self {
            Self::Role => &["--no-role"],
            Self::Answer => &[
                "--rule",
                r#"{"path":"*/meta-data/iam/security-credentials/*","do":{"latency":"900ms"}}"#,
                "--rule",
                r#"{"path":"*/meta-data/iam/security-credentials/*","do":{"status":503}}"#,
            ],
            Self::Token => &["--tokens", "required"],
        }
    }

    /// What is shown where this is met.
    const fn column(self) -> Column {
        match self {
            Self::Role => Column::Absent,
            Self::Answer => Column::Refused,
            Self::Token => Column::Required,
        }
    }
}

/// The times.
#[derive(Debug, Default)]
pub(super) struct Reference {
    slowest: HashMap<(&'static str, Lack), Duration>,
}

impl Reference {
    /// Runs every client once, on an instance with this `lack`: as many at the same time as there are pods.
    pub(super) fn rehearse(
        &mut self,
        lack: Lack,
        members: &[Member],
        kit: &Kit,
        table: &mut Table,
    ) -> Result<()> {
        for clients in Client::ALL.chunks(members.len()) {
            let mut commands = Vec::new();
            for (&client, member) in clients.iter().zip(members) {
                let command = member.command(kit, client, Transport::Ipv4, Task::Caller)?;
                commands.push(((client, member), command));
            }
            for ((client, member), ran) in at_once(commands) {
                let expected = Expected::Nobody {
                    lament: client.lament(lack),
                    limit: PATIENCE,
                };
                let verdict = ran.map_err(|error| format!("{error:#}")).and_then(|ran| {
                    self.slowest.insert((client.name(), lack), ran.took);
                    judge(&expected, &ran)
                });
                table.show(client, lack.column(), [lack.name(), member.name()], verdict);
            }
        }
        Ok(())
    }

    /// How long a client may take to give up. `meanwhile` is how long it takes at the same time where there are
    /// credentials, if that is known: the machine may be busier than it was.
    pub(super) fn limit(&self, client: Client, lack: Lack, meanwhile: Duration) -> Duration {
        // Without a token nothing else is asked: that is no slower than without a role.
        let lack = if lack == Lack::Token {
            Lack::Role
        } else {
            lack
        };
        let slowest = self.slowest.get(&(client.name(), lack));
        let slowest = slowest.copied().unwrap_or_default();
        slowest + slowest.max(meanwhile) + MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_own_time_twice_or_more_where_all_are_slow() {
        let second = Duration::from_secs(1);
        let mut reference = Reference::default();
        for (lack, took) in [(Lack::Role, second), (Lack::Answer, second * 4)] {
            reference.slowest.insert((Client::Go.name(), lack), took);
        }
        for (lack, meanwhile, expected) in [
            (Lack::Role, Duration::ZERO, second * 2),
            (Lack::Role, second * 3, second * 4),
            (Lack::Token, Duration::ZERO, second * 2),
            (Lack::Answer, second * 3, second * 8),
        ] {
            let limit = reference.limit(Client::Go, lack, meanwhile);
            assert_eq!(limit, expected + MARGIN, "{lack:?} {meanwhile:?}");
        }
        assert_eq!(
            reference.limit(Client::Java, Lack::Role, Duration::ZERO),
            MARGIN
        );
    }
}
