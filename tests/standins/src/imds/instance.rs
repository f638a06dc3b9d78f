//! The instance that the metadata service speaks of.

use std::collections::BTreeMap;

use crate::LEAK_MARK;

/// What there is to know about an instance. [`Default`] is a node of a cluster in `eu-west-1`, in which all that pods
/// should not see without leave carries the [`LEAK_MARK`], where its form lets it; [`Instance::unmarked`] is the rest.
#[derive(Clone, Debug)]
pub struct Instance {
    /// `i-` and 17 hexadecimal digits.
    pub id: String,
    /// `m5.large` and the like.
    pub instance_type: String,
    /// The image it runs.
    pub image: String,
    /// 12 digits.
    pub account: String,
    /// It is in the first zone of this Region.
    pub region: String,
    /// The role of its instance profile, if it has one.
    pub role: Option<String>,
    /// Of its first network interface.
    pub mac: String,
    /// Its first private address.
    pub local_ipv4: String,
    /// Its first public address.
    pub public_ipv4: String,
    /// The placement group it is in, if any.
    pub group: Option<String>,
    /// The dedicated host it is on, if any.
    pub host: Option<String>,
    /// What its image is billed as, and its product code.
    pub billing_products: Vec<String>,
    /// What its owner wrote on it.
    pub tags: BTreeMap<String, String>,
    /// The start script, which holds secrets on many nodes of this world.
    pub user_data: String,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            id: "i-0a1b2c3d4e5f60718".to_owned(),
            instance_type: "m5.large".to_owned(),
            image: format!("ami-0{LEAK_MARK}12345678"),
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            role: Some("node-role".to_owned()),
            mac: "02:29:96:8f:6a:2d".to_owned(),
            local_ipv4: "10.0.12.34".to_owned(),
            public_ipv4: "203.0.113.25".to_owned(),
            group: Some(format!("{LEAK_MARK}-group")),
            host: Some(format!("h-0{LEAK_MARK}12345678")),
            billing_products: vec![format!("bp-{LEAK_MARK}")],
            tags: BTreeMap::from([("Name".to_owned(), format!("{LEAK_MARK}-node-1"))]),
            user_data: format!(
                "#!/bin/bash\nset -e\nexport TOKEN={LEAK_MARK}-BOOTSTRAP-4f9d2c.0123456789abcdef\n\
                 /etc/node/bootstrap.sh --token \"$TOKEN\"\n"
            ),
        }
    }
}

impl Instance {
    /// The availability zone.
    pub fn zone(&self) -> String {
        format!("{}a", self.region)
    }

    /// The zone as AWS names it in every account alike: `euw1-az1` is in `eu-west-1`.
    pub fn zone_id(&self) -> String {
        let short = self.region.split('-').map(abbreviated);
        format!("{}-az1", short.collect::<String>())
    }

    /// The partition that the Region belongs to.
    pub fn partition(&self) -> &'static str {
        self.place().0
    }

    /// The DNS suffix of the partition's services.
    pub fn domain(&self) -> &'static str {
        self.place().1
    }

    fn place(&self) -> (&'static str, &'static str) {
        let place = PARTITIONS
            .iter()
            .find(|(prefix, ..)| self.region.starts_with(prefix));
        place.map_or(("aws", "amazonaws.com"), |(_, partition, domain)| {
            (partition, domain)
        })
    }

    /// The name of the host in the instance's own network.
    pub fn hostname(&self) -> String {
        let address = self.local_ipv4.replace('.', "-");
        format!("ip-{address}.{LEAK_MARK}.{}.compute.internal", self.region)
    }

    /// The name of its public address.
    pub fn public_hostname(&self) -> String {
        let address = self.public_ipv4.replace('.', "-");
        format!(
            "ec2-{address}.{LEAK_MARK}.{}.compute.{}",
            self.region,
            self.domain()
        )
    }

    /// What pods should not see without leave, and what cannot carry a mark.
    pub fn unmarked(&self) -> [&str; 3] {
        [&self.local_ipv4, &self.public_ipv4, &self.mac]
    }
}

/// Region prefix, partition and DNS suffix, as botocore lists them; everything else is `aws`.
const PARTITIONS: &[(&str, &str, &str)] = &[
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("eusc-de-", "aws-eusc", "amazonaws.eu"),
];

fn abbreviated(part: &str) -> String {
    let mut short = part.to_owned();
    for (long, letter) in [
        ("north", "n"),
        ("south", "s"),
        ("central", "c"),
        ("east", "e"),
        ("west", "w"),
        ("gov", "g"),
    ] {
        short = short.replace(long, letter);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_decides_zone_partition_and_domain() {
        for (region, zone, zone_id, partition, domain) in [
            (
                "eu-west-1",
                "eu-west-1a",
                "euw1-az1",
                "aws",
                "amazonaws.com",
            ),
            (
                "ap-southeast-2",
                "ap-southeast-2a",
                "apse2-az1",
                "aws",
                "amazonaws.com",
            ),
            (
                "us-gov-west-1",
                "us-gov-west-1a",
                "usgw1-az1",
                "aws-us-gov",
                "amazonaws.com",
            ),
            (
                "cn-north-1",
                "cn-north-1a",
                "cnn1-az1",
                "aws-cn",
                "amazonaws.com.cn",
            ),
        ] {
            let instance = Instance {
                region: region.to_owned(),
                ..Instance::default()
            };
            assert_eq!(instance.zone(), zone);
            assert_eq!(instance.zone_id(), zone_id);
            assert_eq!(
                (instance.partition(), instance.domain()),
                (partition, domain)
            );
        }
    }

    #[test]
    fn user_data_holds_something_whose_leak_is_seen() {
        assert!(Instance::default().user_data.contains("AKIDNODE-BOOTSTRAP"));
    }
}
