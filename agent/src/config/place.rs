//! Where this node is, for pods of a node without a metadata service that would say it.

use crate::{id::BaseArn, metadata::Place};

use super::{Error, Machine, MetadataAddr, Pods, Warning, given};

/// Where it is, with what whoever said so should know. Nothing of it matters where there is a metadata service. Where
/// there is an API server, that may know more.
pub(super) fn here(
    metadata: Option<&MetadataAddr>,
    zone: Option<String>,
    machine: &Machine,
    base: Option<&BaseArn>,
    pods: &Pods,
) -> Result<(Place, Option<Warning>), Error> {
    let zone = given(zone);
    if metadata.is_some() {
        let unused = zone.map(|_| Warning::new("availability-zone", UNUSED));
        return Ok((Place::default(), unused));
    }
    let zone = zone.map(|text| name("--availability-zone", text));
    let place = Place {
        region: region(machine)?,
        zone: zone.transpose()?,
        account: base.map(|base| base.account().to_owned()),
        ..Place::default()
    };
    let warning = warning(&place, pods);
    Ok((place, warning))
}

/// As the AWS SDKs are told.
fn region(machine: &Machine) -> Result<Option<String>, Error> {
    let variables = [
        ("$AWS_REGION", &machine.region),
        ("$AWS_DEFAULT_REGION", &machine.default_region),
    ];
    let mut said = variables
        .into_iter()
        .filter_map(|(by, value)| Some((by, given(value.clone())?)));
    said.next().map(|(by, value)| name(by, value)).transpose()
}

/// The name of a region or zone: a part of the names of hosts, and of what pods are told.
fn name(given_by: &'static str, value: String) -> Result<String, Error> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if value.len() <= 63 && value.bytes().all(is_of_name) && !value.starts_with('-') {
        Ok(value)
    } else {
        Err(Error::Place { given_by, value })
    }
}

const UNUSED: &str =
    "not used, as the metadata service of this node says it; it is for --metadata-addr=off";

/// What pods would stumble over.
fn warning(place: &Place, pods: &Pods) -> Option<Warning> {
    match (&place.region, &place.zone) {
        (None, _) if matches!(pods, Pods::Files(_)) => Some(Warning::new(
            "metadata-addr",
            "it is off and no region is given, so that pods find none; set $AWS_REGION",
        )),
        (Some(region), Some(zone)) if !zone.starts_with(&**region) => Some(Warning::new(
            "availability-zone",
            "it does not begin with the region ($AWS_REGION), and some SDKs take the region from it",
        )),
        (None | Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{BASE, config_on, machine, reason};

    use super::*;

    fn on(
        region: &str,
        default_region: &str,
        flags: &[&str],
    ) -> Result<crate::config::Config, Error> {
        let machine = Machine {
            region: Some(region.to_owned()),
            default_region: Some(default_region.to_owned()),
            ..machine()
        };
        config_on(machine, &[&["--metadata-addr=off"], flags].concat())
    }

    fn warnings(region: &str, flags: &[&str]) -> Vec<String> {
        let config = on(region, "", flags).unwrap();
        config.warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_is_where_the_sdks_variables_and_the_flags_say() {
        let base = format!("--base-role-arn={BASE}");
        let flags = [&*base, "--availability-zone=eu-west-1b"];
        let config = on("eu-west-1", "us-east-1", &flags).unwrap();
        let place = Place {
            region: Some("eu-west-1".to_owned()),
            zone: Some("eu-west-1b".to_owned()),
            account: Some("123456789012".to_owned()),
            ..Place::default()
        };
        assert_eq!((config.place, config.warnings), (place, Vec::new()));
        let config = on("", "us-east-1", &["--availability-zone="]).unwrap();
        let place = Place {
            region: Some("us-east-1".to_owned()),
            ..Place::default()
        };
        assert_eq!((config.place, config.warnings), (place, Vec::new()));
        assert_eq!(on("", "", &[]).unwrap().place, Place::default());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["eu west", "eu-west-1\n", "-", "eu_west_1", "é", "a/b", "\""] {
            let says = |given_by| {
                format!(
                    "{given_by} is {text:?}, which is no name (letters, digits and '-'); give one \
                     such as eu-west-1 or eu-west-1a"
                )
            };
            assert_eq!(reason(on(text, "", &[])), says("$AWS_REGION"));
            assert_eq!(reason(on("", text, &[])), says("$AWS_DEFAULT_REGION"));
            let zone = format!("--availability-zone={text}");
            assert_eq!(reason(on("", "", &[&zone])), says("--availability-zone"));
        }
    }

    #[test]
    fn where_there_is_a_metadata_service_regions_are_not_ours_to_check() {
        let machine = Machine {
            region: Some("eu west".to_owned()),
            ..machine()
        };
        let config = config_on(machine, &["--availability-zone=eu-west-1a"]).unwrap();
        assert_eq!(config.place, Place::default());
        assert_eq!(
            config.warnings[0].to_string(),
            "--availability-zone: not used, as the metadata service of this node says it; it is for \
             --metadata-addr=off"
        );
    }

    #[test]
    fn what_makes_pods_find_no_region_or_a_wrong_one_is_told() {
        let none = "--metadata-addr: it is off and no region is given, so that pods find none; set \
                    $AWS_REGION";
        assert_eq!(warnings("", &[]), [none]);
        assert_eq!(warnings("", &["--availability-zone=eu-west-1a"]), [none]);
        // The API server may know it.
        assert_eq!(warnings("", &["--pods=kube"]), [""; 0]);
        let other = "--availability-zone: it does not begin with the region ($AWS_REGION), and some \
                     SDKs take the region from it";
        assert_eq!(
            warnings("eu-west-1", &["--availability-zone=rack-7"]),
            [other]
        );
        let local = ["--availability-zone=us-west-2-lax-1a"];
        assert_eq!(warnings("us-west-2", &local), [""; 0]);
    }
}
