//! AWS's partitions: which Region is in which, and the domain of its services.

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    name: &'static str,
    domain: &'static str,
}

/// Those that there are, with their DNS suffix.
const AWS: Partition = Partition::new("aws", "amazonaws.com");
const CHINA: Partition = Partition::new("aws-cn", "amazonaws.com.cn");
const GOV: Partition = Partition::new("aws-us-gov", "amazonaws.com");
const ISO: Partition = Partition::new("aws-iso", "c2s.ic.gov");
const ISO_B: Partition = Partition::new("aws-iso-b", "sc2s.sgov.gov");
const ISO_E: Partition = Partition::new("aws-iso-e", "cloud.adc-e.uk");
const ISO_F: Partition = Partition::new("aws-iso-f", "csp.hci.ic.gov");
const EUSC: Partition = Partition::new("aws-eusc", "amazonaws.eu");

/// Regions by how they begin, the longest beginning first, and their partition (botocore's `partitions.json`).
const REGIONS: [(&str, Partition); 16] = [
    ("cn-", CHINA),
    ("us-gov-", GOV),
    ("us-isob-", ISO_B),
    ("us-isof-", ISO_F),
    ("us-iso-", ISO),
    ("eu-isoe-", ISO_E),
    ("eusc-", EUSC),
    ("af-", AWS),
    ("ap-", AWS),
    ("ca-", AWS),
    ("eu-", AWS),
    ("il-", AWS),
    ("me-", AWS),
    ("mx-", AWS),
    ("sa-", AWS),
    ("us-", AWS),
];

impl Partition {
    const fn new(name: &'static str, domain: &'static str) -> Self {
        Self { name, domain }
    }

    /// That of `region`, if it is one that we know.
    pub(crate) fn of(region: &str) -> Option<Self> {
        let known = REGIONS.iter().find(|(start, _)| region.starts_with(start));
        known.map(|(_, partition)| *partition)
    }

    /// As in ARNs: `aws`, `aws-cn`.
    pub(crate) const fn name(self) -> &'static str {
        self.name
    }

    /// What the names of its services end with: `amazonaws.com`.
    pub(crate) const fn domain(self) -> &'static str {
        self.domain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_tells_its_partition_and_domain() {
        for (region, expected) in [
            ("us-east-1", Some(("aws", "amazonaws.com"))),
            ("ap-southeast-7", Some(("aws", "amazonaws.com"))),
            ("cn-northwest-1", Some(("aws-cn", "amazonaws.com.cn"))),
            ("us-gov-west-1", Some(("aws-us-gov", "amazonaws.com"))),
            ("us-iso-east-1", Some(("aws-iso", "c2s.ic.gov"))),
            ("us-isob-east-1", Some(("aws-iso-b", "sc2s.sgov.gov"))),
            ("us-isof-south-1", Some(("aws-iso-f", "csp.hci.ic.gov"))),
            ("eu-isoe-west-1", Some(("aws-iso-e", "cloud.adc-e.uk"))),
            ("eusc-de-east-1", Some(("aws-eusc", "amazonaws.eu"))),
            ("xx-new-1", None),
        ] {
            let partition = Partition::of(region);
            let partition = partition.map(|partition| (partition.name(), partition.domain()));
            assert_eq!(partition, expected, "{region}");
        }
    }
}
