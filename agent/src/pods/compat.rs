//! Where bpf2iam decides as another system did, although it is less safe (`--compat`).

use clap::ValueEnum;

/// Whose decisions are taken over. What is not in this table is the same for all of them.
///
/// | What | [`None`](Self::None) | [`Kube2iam`](Self::Kube2iam) | [`Kiam`](Self::Kiam) |
/// |---|---|---|---|
/// | pod without a role, where there is a base ARN | 404 to the list of roles | 200 and an empty list | as `none` |
/// | regular expression in a namespace's list of allowed roles | the whole role, grouped: `^(?:BASE(?:ENTRY))$` | anywhere in the role, after the text of the base ARN: `BASEENTRY`; one that is wrong is left out | as `none` |
/// | regular expression of a namespace's permitted roles | the whole role, grouped: `^(?:EXPRESSION)$` | as `none` | anywhere in the role, as where kiam is not strict |
///
/// Nothing else is taken over. A refusal of the namespace is a 404 at once, where kube2iam takes two seconds to say so; a
/// token is looked at, where kube2iam does not; the list of roles is answered with and without its slash; a default role
/// is exempt from restrictions if there is one, where kube2iam takes the bare base ARN for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Compat {
    /// Nobody's: the safe column.
    #[default]
    None,
    /// Those of kube2iam.
    Kube2iam,
    /// Those of kiam.
    Kiam,
}
