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
fn through(proxy: &str) -> SharedHttpClient {
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

/// Where a call for a role of `partition` goes from `region`.
async fn called(region: &str, partition: &str, fips: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let mut config = config(region, &proxy).into_builder();
    config.set_endpoint_url(None);
    config.set_use_fips(Some(fips));
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
    tokio::select! {
        line = seen => line,
        refused = sts.fetch(&identity) => panic!("nobody was called: {refused:?}"),
    }
}

/// kube2iam's table J and kiam's regions. Both have lists of them; here a region that is newer than this code works,
/// and one that does not exist has no endpoint.
#[tokio::test]
async fn the_endpoint_is_the_regions_own() {
    for (region, partition, host) in [
        ("us-east-1", "aws", "sts.us-east-1.amazonaws.com"),
        ("us-west-2", "aws", "sts.us-west-2.amazonaws.com"),
        ("eu-west-1", "aws", "sts.eu-west-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "sts.cn-north-1.amazonaws.com.cn"),
        (
            "cn-northwest-1",
            "aws-cn",
            "sts.cn-northwest-1.amazonaws.com.cn",
        ),
        (
            "us-gov-east-1",
            "aws-us-gov",
            "sts.us-gov-east-1.amazonaws.com",
        ),
        ("us-iso-east-1", "aws-iso", "sts.us-iso-east-1.c2s.ic.gov"),
        ("cn-north-7", "aws-cn", "sts.cn-north-7.amazonaws.com.cn"),
        ("nonsense", "aws", "sts.nonsense.amazonaws.com"),
    ] {
        let line = called(region, partition, false).await;
        assert!(
            line.starts_with(&format!("CONNECT {host}:443 ")),
            "{region}: {line}"
        );
    }
    // kiam has it as a region `us-east-1-fips`; the SDK as a switch, `AWS_USE_FIPS_ENDPOINT`.
    let line = called("us-east-1", "aws", true).await;
    assert!(
        line.starts_with("CONNECT sts-fips.us-east-1.amazonaws.com:443 "),
        "{line}"
    );
}

/// The SDK would call the global endpoint, or none.
#[test]
fn without_a_region_nothing_is_called() {
    let error = Sts::new(&config("", "http://127.0.0.1:1"), clock()).unwrap_err();
    assert!(matches!(error, Error::NoRegion), "{error}");
}
