//! Which endpoint is called, by region: seen by a proxy that connects nobody.

use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
};

use super::*;

/// A client that can reach nothing but the proxy.
pub(super) fn through(proxy: &str) -> SharedHttpClient {
    let proxy = ProxyConfig::all(proxy).unwrap();
    Builder::new().build_with_connector_fn(move |settings, _components| {
        let trusted = TlsContext::builder().with_trust_store(TrustStore::empty());
        let mut connector = Connector::builder().proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .tls_context(trusted.build().unwrap())
            .build()
    })
}

/// `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`.
#[derive(Clone, Copy, Debug)]
enum Switch {
    None,
    Fips,
    DualStack,
    Both,
}

/// Where a call for a role of `partition` goes from `region`.
async fn called(region: &str, partition: &str, switch: Switch) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let mut config = config(region, &proxy).into_builder();
    config.set_endpoint_url(None);
    config.set_use_fips(Some(matches!(switch, Switch::Fips | Switch::Both)));
    config.set_use_dual_stack(Some(matches!(switch, Switch::DualStack | Switch::Both)));
    let config = config.http_client(through(&proxy)).build();
    let sts = Sts::new(&config, clock()).unwrap();
    let identity = Identity {
        role: format!("arn:{partition}:iam::123456789012:role/r")
            .parse()
            .unwrap(),
        ..identity()
    };
    let seen = async {
        let (stream, _) = listener.accept().await.unwrap();
        let line = BufReader::new(stream).lines().next_line().await;
        line.unwrap().unwrap()
    };
    let host = |line: String| {
        let host = line
            .strip_prefix("CONNECT ")
            .and_then(|line| line.split(':').next());
        host.map(ToOwned::to_owned).unwrap_or(line)
    };
    tokio::select! {
        line = seen => host(line),
        refused = sts.fetch(&identity) => panic!("nobody was called: {refused:?}"),
    }
}

/// spec: AWS's partitions, as the SDK knows them; kube2iam's table J and kiam's regions are among them. Both have lists;
/// here a region that is newer than this code works, and one that does not exist has no endpoint.
#[tokio::test]
async fn the_endpoint_is_the_regions_own_in_every_partition() {
    for (region, partition, host) in [
        ("us-east-1", "aws", "sts.us-east-1.amazonaws.com"),
        ("us-west-2", "aws", "sts.us-west-2.amazonaws.com"),
        ("eu-west-1", "aws", "sts.eu-west-1.amazonaws.com"),
        ("mx-central-1", "aws", "sts.mx-central-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "sts.cn-north-1.amazonaws.com.cn"),
        ("cn-north-7", "aws-cn", "sts.cn-north-7.amazonaws.com.cn"),
        (
            "us-gov-east-1",
            "aws-us-gov",
            "sts.us-gov-east-1.amazonaws.com",
        ),
        ("us-iso-east-1", "aws-iso", "sts.us-iso-east-1.c2s.ic.gov"),
        (
            "us-isob-east-1",
            "aws-iso-b",
            "sts.us-isob-east-1.sc2s.sgov.gov",
        ),
        (
            "eu-isoe-west-1",
            "aws-iso-e",
            "sts.eu-isoe-west-1.cloud.adc-e.uk",
        ),
        (
            "us-isof-south-1",
            "aws-iso-f",
            "sts.us-isof-south-1.csp.hci.ic.gov",
        ),
        (
            "eusc-de-east-1",
            "aws-eusc",
            "sts.eusc-de-east-1.amazonaws.eu",
        ),
        ("nonsense", "aws", "sts.nonsense.amazonaws.com"),
    ] {
        let called = called(region, partition, Switch::None).await;
        assert_eq!(called, host, "{region}");
    }
}

/// kiam has `us-east-1-fips` as a region; to the SDK it is a switch.
#[tokio::test]
async fn fips_and_dual_stack_are_switches_of_the_sdk() {
    for (region, partition, switch, host) in [
        (
            "us-east-1",
            "aws",
            Switch::Fips,
            "sts-fips.us-east-1.amazonaws.com",
        ),
        (
            "us-gov-west-1",
            "aws-us-gov",
            Switch::Fips,
            "sts.us-gov-west-1.amazonaws.com",
        ),
        (
            "us-east-1",
            "aws",
            Switch::DualStack,
            "sts.us-east-1.api.aws",
        ),
        (
            "us-east-1",
            "aws",
            Switch::Both,
            "sts-fips.us-east-1.api.aws",
        ),
        (
            "cn-north-1",
            "aws-cn",
            Switch::DualStack,
            "sts.cn-north-1.api.amazonwebservices.com.cn",
        ),
        (
            "eusc-de-east-1",
            "aws-eusc",
            Switch::DualStack,
            "sts.eusc-de-east-1.api.amazonwebservices.eu",
        ),
    ] {
        let called = called(region, partition, switch).await;
        assert_eq!(called, host, "{region} {switch:?}");
    }
}

/// The SDK would call the global endpoint, or none.
#[test]
fn without_a_region_nothing_is_called() {
    let error = Sts::new(&config("", "http://127.0.0.1:1"), clock()).unwrap_err();
    assert!(matches!(error, Error::NoRegion), "{error}");
}
