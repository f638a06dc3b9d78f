use super::*;

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn what_connection_names_goes_with_it_but_for_what_the_service_decides_by() {
    for (connection, gone) in [
        ("close", &[][..]),
        ("x-a", &["x-a"]),
        ("X-A,x-b", &["x-a", "x-b"]),
        (" x-a , , x-b,", &["x-a", "x-b"]),
        ("x-forwarded-for, host", &[]),
        (
            "X-Aws-Ec2-Metadata-Token, x-aws-ec2-metadata-token-ttl-seconds, x-b",
            &["x-b"],
        ),
        ("x-a x-b, (, \"x-a\"", &[]),
    ] {
        let mut all = headers(&[
            ("host", "a"),
            ("x-forwarded-for", "b"),
            ("x-aws-ec2-metadata-token", "c"),
            ("x-aws-ec2-metadata-token-ttl-seconds", "d"),
            ("x-a", "e"),
            ("x-b", "f"),
        ]);
        let mut expected = all.clone();
        for name in gone {
            expected.remove(*name);
        }
        all.insert(CONNECTION, HeaderValue::from_static(connection));
        assert_eq!(of_both_ends(&all), expected, "{connection}");
    }
}

#[test]
fn each_of_several_connection_headers_counts() {
    let all = headers(&[
        ("connection", "x-a"),
        ("connection", "x-b"),
        ("x-a", "1"),
        ("x-b", "2"),
        ("x-c", "3"),
        ("x-c", "4"),
    ]);
    assert_eq!(of_both_ends(&all), headers(&[("x-c", "3"), ("x-c", "4")]));
}
