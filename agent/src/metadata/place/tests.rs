use super::*;

fn place() -> Place {
    Place {
        region: Some("eu-west-1".to_owned()),
        zone: Some("eu-west-1b".to_owned()),
        instance_id: Some("i-01ed50f7e2607f09e".to_owned()),
        instance_type: Some("m5.large".to_owned()),
        account: None,
    }
}

fn role() -> RoleArn {
    "arn:aws:iam::123456789012:role/team/cart".parse().unwrap()
}

fn region(region: &str) -> Place {
    Place {
        region: Some(region.to_owned()),
        ..Place::default()
    }
}

#[test]
fn what_is_known_is_there_and_nothing_else() {
    for (path, expected) in [
        ("", Some("dynamic\nmeta-data")),
        ("dynamic", Some("instance-identity/")),
        ("dynamic/instance-identity", Some("document")),
        ("dynamic/instance-identity/pkcs7", None),
        (
            "meta-data",
            Some("iam/\ninstance-id\ninstance-type\nplacement/\nservices/"),
        ),
        ("meta-data/iam", None),
        ("meta-data/iam/info", None),
        ("meta-data/instance-id", Some("i-01ed50f7e2607f09e")),
        ("meta-data/instance-life-cycle", None),
        ("meta-data/instance-type", Some("m5.large")),
        ("meta-data/local-ipv4", None),
        ("meta-data/placement", Some("availability-zone\nregion")),
        ("meta-data/placement/availability-zone", Some("eu-west-1b")),
        ("meta-data/placement/availability-zone-id", None),
        ("meta-data/placement/region", Some("eu-west-1")),
        ("meta-data/placement/region/x", None),
        ("meta-data/place", None),
        ("meta-data/services", Some("domain\npartition")),
        ("meta-data/services/domain", Some("amazonaws.com")),
        ("meta-data/services/partition", Some("aws")),
        ("user-data", None),
    ] {
        let text = place().read(path, Some(&role()));
        assert_eq!(text.as_deref(), expected, "{path:?}");
    }
}

#[test]
fn a_pod_without_a_role_has_no_iam_tree() {
    let listing = place().read("meta-data", None);
    assert_eq!(
        listing.as_deref(),
        Some("instance-id\ninstance-type\nplacement/\nservices/")
    );
}

#[test]
fn the_document_has_each_key_and_null_for_what_is_not_known() {
    let expected = r#"{
  "accountId" : "123456789012",
  "architecture" : null,
  "availabilityZone" : "eu-west-1b",
  "billingProducts" : null,
  "devpayProductCodes" : null,
  "marketplaceProductCodes" : null,
  "imageId" : null,
  "instanceId" : "i-01ed50f7e2607f09e",
  "instanceType" : "m5.large",
  "kernelId" : null,
  "pendingTime" : null,
  "privateIp" : null,
  "ramdiskId" : null,
  "region" : "eu-west-1",
  "version" : "2017-09-30"
}"#;
    let document = place().read(DOCUMENT, Some(&role()));
    assert_eq!(document.as_deref(), Some(expected));
}

#[test]
fn the_documents_account_is_the_operators_else_the_roles() {
    let account = |account: Option<&str>, role: Option<&RoleArn>| {
        let place = Place {
            account: account.map(str::to_owned),
            ..place()
        };
        let document = place.read(DOCUMENT, role).unwrap();
        document.lines().nth(1).map(str::to_owned).unwrap()
    };
    assert_eq!(
        account(Some("111122223333"), Some(&role())),
        "  \"accountId\" : \"111122223333\","
    );
    assert_eq!(
        account(None, Some(&role())),
        "  \"accountId\" : \"123456789012\","
    );
    assert_eq!(account(None, None), "  \"accountId\" : null,");
}

#[test]
fn without_a_region_there_is_neither_document_nor_partition() {
    let known = Place {
        region: None,
        ..place()
    };
    for path in [
        "dynamic",
        DOCUMENT,
        "meta-data/services",
        "meta-data/placement/region",
    ] {
        assert_eq!(known.read(path, Some(&role())), None, "{path}");
    }
    let placement = known.read("meta-data/placement", None);
    assert_eq!(placement.as_deref(), Some("availability-zone"));
}

#[test]
fn where_nothing_is_known_there_is_the_pods_role_and_no_more() {
    let nothing = Place::default();
    assert_eq!(nothing.read("", None), None);
    assert_eq!(nothing.read("meta-data", None), None);
    assert_eq!(
        nothing.read("meta-data", Some(&role())).as_deref(),
        Some("iam/")
    );
}

#[test]
fn the_domain_is_that_of_the_regions_partition_and_none_if_that_is_not_known() {
    let domain = |name: &str| region(name).read("meta-data/services/domain", None);
    assert_eq!(domain("cn-north-1").as_deref(), Some("amazonaws.com.cn"));
    assert_eq!(domain("us-gov-west-1").as_deref(), Some("amazonaws.com"));
    assert_eq!(domain("moon-1"), None);
    assert!(region("moon-1").read(DOCUMENT, None).is_some());
}
