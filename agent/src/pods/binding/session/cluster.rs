//! The cluster, as tags of sessions tell it.

use crate::{creds::Tags, id::Excerpt};

use super::tags::Word;

/// What the operator says of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    name: Option<String>,
    arn: Option<String>,
}

/// Something that cannot be said of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCluster {
    /// STS takes no tag with this value.
    #[error(
        "--cluster-name is {0}, which is no value of a session tag: up to 256 letters, digits, spaces and _.:/=+-@"
    )]
    Name(Excerpt),
    /// It is no ARN of a cluster.
    #[error(
        "--cluster-arn is {0}, which is no ARN of a cluster; give arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME"
    )]
    Arn(Excerpt),
}

impl Cluster {
    /// Checks what `--cluster-name` and `--cluster-arn` say.
    pub fn new(name: Option<String>, arn: Option<String>) -> Result<Self, InvalidCluster> {
        if let Some(name) = name.as_deref()
            && Tags::new([(Word::ClusterName.key(), name)]).is_err()
        {
            return Err(InvalidCluster::Name(Excerpt::of(name)));
        }
        if let Some(arn) = arn.as_deref()
            && !is_arn(arn)
        {
            return Err(InvalidCluster::Arn(Excerpt::of(arn)));
        }
        Ok(Self { name, arn })
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its ARN.
    pub fn arn(&self) -> Option<&str> {
        self.arn.as_deref()
    }
}

/// `arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME`. (spec: Amazon EKS's API reference, `CreateCluster`, on names.)
fn is_arn(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    let ["arn", partition, "eks", region, account, resource] = parts[..] else {
        return false;
    };
    let is_word = |text: &str| {
        let is_legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !text.is_empty() && text.len() <= 32 && text.bytes().all(is_legal)
    };
    is_word(partition)
        && partition.starts_with("aws")
        && is_word(region)
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.strip_prefix("cluster/").is_some_and(is_name)
}

fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: Option<&str>, arn: Option<&str>) -> Result<Cluster, InvalidCluster> {
        Cluster::new(name.map(str::to_owned), arn.map(str::to_owned))
    }

    #[test]
    fn a_cluster_is_what_was_said_of_it() {
        for arn in [
            "arn:aws:eks:eu-west-1:123456789012:cluster/prod",
            "arn:aws-us-gov:eks:us-gov-west-1:123456789012:cluster/Prod_2-b",
        ] {
            let cluster = of(Some("prod.example.com"), Some(arn)).unwrap();
            assert_eq!(cluster.name(), Some("prod.example.com"));
            assert_eq!(cluster.arn(), Some(arn));
        }
        assert_eq!(of(None, None).unwrap(), Cluster::default());
    }

    #[test]
    fn what_cannot_be_said_of_a_cluster_is_refused_by_its_flag() {
        for name in ["a,b", "a*", &"n".repeat(257)] {
            let refused = of(Some(name), None).unwrap_err();
            assert_eq!(refused, InvalidCluster::Name(Excerpt::of(name)));
        }
        let long = format!(
            "arn:aws:eks:eu-west-1:123456789012:cluster/{}",
            "n".repeat(101)
        );
        for arn in [
            "nonsense",
            "prod",
            "arn:x",
            "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
            "arn:gcp:eks:eu-west-1:123456789012:cluster/prod",
            "arn:aws:eks::123456789012:cluster/prod",
            "arn:aws:eks:eu-west-1:1234:cluster/prod",
            "arn:aws:eks:eu-west-1:12345678901x:cluster/prod",
            "arn:aws:eks:eu-west-1:123456789012:nodegroup/prod",
            "arn:aws:eks:eu-west-1:123456789012:cluster/",
            "arn:aws:eks:eu-west-1:123456789012:cluster/-prod",
            "arn:aws:eks:eu-west-1:123456789012:cluster/prod/x",
            "arn:aws:eks:eu-west-1:123456789012:cluster/prod:x",
            " arn:aws:eks:eu-west-1:123456789012:cluster/prod",
            &long,
        ] {
            let refused = of(None, Some(arn)).unwrap_err();
            assert_eq!(refused, InvalidCluster::Arn(Excerpt::of(arn)), "{arn}");
        }
    }
}
