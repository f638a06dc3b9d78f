use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// As EC2 gives it, newest layout.
const EC2: &str = r#"{
  "accountId" : "123456789012",
  "architecture" : "x86_64",
  "availabilityZone" : "eu-west-1b",
  "billingProducts" : [ "bp-6ba54002" ],
  "devpayProductCodes" : null,
  "marketplaceProductCodes" : [ "1abc2defghijklm3nopqrs4tu" ],
  "imageId" : "ami-b2e756ca",
  "instanceId" : "i-01ed50f7e2607f09e",
  "instanceType" : "m5.large",
  "kernelId" : null,
  "pendingTime" : "2018-03-07T16:26:04Z",
  "privateIp" : "10.0.0.171",
  "ramdiskId" : null,
  "region" : "eu-west-1",
  "version" : "2017-09-30"
}"#;

fn without(document: &str) -> Option<String> {
    without_secrets(document.as_bytes())
}

#[test]
fn what_concerns_the_node_is_null_and_the_rest_is_as_it_was() {
    let expected = EC2
        .replace("[ \"bp-6ba54002\" ]", "null")
        .replace("[ \"1abc2defghijklm3nopqrs4tu\" ]", "null")
        .replace("\"ami-b2e756ca\"", "null")
        .replace("\"10.0.0.171\"", "null");
    assert_eq!(without(EC2).unwrap(), expected);
    assert_eq!(without(&expected).unwrap(), expected);
}

#[test]
fn the_order_is_the_documents_own_and_unknown_keys_are_dropped() {
    let document = r#"{"region":"eu-west-1","publicIp":"192.0.2.1","kernelId":"aki-1","accountId":"123456789012","tags":{"region":"x"}}"#;
    let expected = "{\n  \"region\" : \"eu-west-1\",\n  \"kernelId\" : null,\n  \"accountId\" : \"123456789012\"\n}";
    assert_eq!(without(document).unwrap(), expected);
}

#[test]
fn nothing_is_ever_told_of_some_keys() {
    for key in [
        "billingProducts",
        "devpayProductCodes",
        "imageId",
        "kernelId",
        "marketplaceProductCodes",
        "privateIp",
        "ramdiskId",
    ] {
        let document = format!(r#"{{"region":"eu-west-1","{key}":"x"}}"#);
        let expected = format!("{{\n  \"region\" : \"eu-west-1\",\n  \"{key}\" : null\n}}");
        assert_eq!(without(&document), Some(expected), "{key}");
    }
}

#[test]
fn a_value_that_is_not_what_it_should_be_is_null() {
    for (key, value) in [
        ("accountId", "12345678901"),
        ("accountId", "12345678901x"),
        ("architecture", "x86 64"),
        ("availabilityZone", "10.0.0.1"),
        ("instanceId", ""),
        ("instanceId", "fd00:ec2::1"),
        ("instanceType", "10.0.0.1"),
        ("instanceType", "m5."),
        ("pendingTime", "yesterday"),
        ("pendingTime", "2018-03-07"),
        ("version", "\\\"\\n"),
    ] {
        let document = format!(r#"{{"region":"eu-west-1","{key}":"{value}"}}"#);
        let expected = format!("{{\n  \"region\" : \"eu-west-1\",\n  \"{key}\" : null\n}}");
        assert_eq!(without(&document), Some(expected), "{key} {value}");
    }
}

#[test]
fn the_time_is_as_go_reads_it() {
    for (value, expected) in [
        ("2018-03-07T16:26:04Z", "2018-03-07T16:26:04Z"),
        ("2018-03-07T16:26:04.5+01:00", "2018-03-07T15:26:04Z"),
        ("2018-03-07 16:26:04Z", "2018-03-07T16:26:04Z"),
    ] {
        assert_eq!(time(value).as_deref(), Some(expected));
    }
    assert_eq!(time("-000001-03-07T16:26:04Z"), None);
}

#[test]
fn what_is_no_such_document_is_none() {
    for document in [
        "",
        "null",
        "[]",
        "\"region\"",
        "{}",
        r#"{"accountId":"123456789012"}"#,
        r#"{"region":null}"#,
        r#"{"region":""}"#,
        r#"{"region":["eu-west-1"]}"#,
        r#"{"region":"eu-west-1""#,
        r#"{"region":"eu-west-1"} x"#,
        "<?xml version=\"1.0\"?>",
    ] {
        assert_eq!(without(document), None, "{document}");
    }
    assert_eq!(without_secrets(b"{\"region\":\"\xff\"}"), None);
    let nested = format!(
        r#"{{"region":"eu-west-1","x":{}1{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert_eq!(without(&nested), None);
}

#[test]
fn its_size_is_bounded() {
    let padded = |size| {
        let rest = r#"{"region":"eu-west-1","x":""}"#.len();
        format!(
            r#"{{"region":"eu-west-1","x":"{}"}}"#,
            "x".repeat(size - rest)
        )
    };
    assert!(without(&padded(LONGEST)).is_some());
    assert_eq!(without(&padded(LONGEST + 1)), None);
}

#[test]
fn of_a_key_that_is_there_twice_the_first_counts() {
    let document = r#"{"region":"eu-west-1","region":"us-east-1"}"#;
    assert_eq!(
        without(document).unwrap(),
        "{\n  \"region\" : \"eu-west-1\"\n}"
    );
}

/// What could be said wherever a document says something.
fn any_value(address: IpAddr) -> impl Strategy<Value = Value> {
    let address = address.to_string();
    prop_oneof![
        Just(Value::Null),
        Just(Value::from(address.clone())),
        "[ -~]{0,6}".prop_map({
            let address = address.clone();
            move |text| Value::from(format!("{text}{address}"))
        }),
        "[a-z0-9.:-]{0,12}".prop_map(Value::from),
        Just(serde_json::json!([address, { "region": address }])),
    ]
}

fn any_document() -> impl Strategy<Value = (IpAddr, String)> {
    let v6 = any::<[u8; 16]>().prop_map(IpAddr::from);
    let address = prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), v6];
    address.prop_flat_map(|address| {
        let key = prop_oneof![
            prop::sample::select(FIELDS.map(|(key, _)| key).to_vec()).prop_map(str::to_owned),
            "[a-zA-Z]{1,12}",
        ];
        let entries = prop::collection::vec((key, any_value(address)), 0..20);
        entries.prop_map(move |entries| {
            let line = |(key, value): &(String, Value)| format!("{}:{value}", Value::from(&**key));
            let lines: Vec<_> = entries.iter().map(line).collect();
            let document = format!("{{{},\"region\":\"eu-west-1\"}}", lines.join(","));
            (address, document.replace("{,", "{"))
        })
    })
}

proptest! {
    #[test]
    fn no_address_of_the_node_is_left((address, document) in any_document()) {
        let left = without(&document).unwrap_or_default();
        prop_assert!(!left.contains(&address.to_string()), "{left}");
    }

    #[test]
    fn anything_at_all_is_read_without_a_panic(bytes in any::<Vec<u8>>()) {
        let _nothing = without_secrets(&bytes);
    }
}
