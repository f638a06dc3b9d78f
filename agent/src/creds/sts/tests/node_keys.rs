//! The keys of the node and its region: found as the SDK finds them, and looked up afresh when STS takes them no more.
//!
//! Whatever the SDK looks for, it asks a proxy on loopback: no other host can be reached.

#![expect(
    deprecated,
    reason = "the new names of the profile files are in a crate that is needed for nothing else"
)]

use std::{fs, path::Path};

use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
use server::Asked;
use tempfile::TempDir;

use super::{region::through, *};

/// Gives other keys each time it is asked.
#[derive(Debug, Default)]
struct Rotating(AtomicUsize);

impl ProvideCredentials for Rotating {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("AKIDNODE{number}");
        future::ProvideCredentials::ready(provider::Result::Ok(NodeKeys::new(
            id, SECRET, None, None, "test",
        )))
    }
}

fn rotating(server: &Server) -> Sts {
    let config = config("eu-west-1", &server.url())
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(Rotating::default()))
        .build();
    Sts::new(&config, clock()).unwrap()
}

/// The access keys that signed, in the order of the calls.
fn signers(server: &Server) -> Vec<String> {
    let signer = |asked: Asked| {
        let (_, rest) = asked.authorization.split_once("Credential=")?;
        Some(rest.split('/').next()?.to_owned())
    };
    server.asked().into_iter().filter_map(signer).collect()
}

#[tokio::test]
async fn keys_that_sts_takes_no_more_are_looked_up_afresh_once() {
    for (status, code) in [
        (403, "ExpiredToken"),
        (400, "ExpiredTokenException"),
        (403, "InvalidClientTokenId"),
        (403, "UnrecognizedClientException"),
    ] {
        let server = Server::start(move |number| match number {
            0 => Said::error(status, code, "as STS puts it"),
            _ => Said::success(),
        })
        .await;
        let sts = rotating(&server);
        assert!(sts.fetch(&identity()).await.is_ok(), "{code}");
        assert!(sts.fetch(&identity()).await.is_ok(), "{code}");
        assert_eq!(signers(&server), ["AKIDNODE1", "AKIDNODE2", "AKIDNODE2"]);
    }
}

/// Lets some seconds pass.
async fn a_while() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn keys_that_are_never_taken_are_not_looked_up_all_the_time() {
    let said = || Said::error(403, "InvalidClientTokenId", "as STS puts it");
    let server = Server::start(move |_| said()).await;
    let sts = rotating(&server);
    for calls in [2, 3] {
        let error = sts.fetch(&identity()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::Unavailable, "{error}");
        assert!(error.to_string().contains("the node's own keys"), "{error}");
        assert_eq!(server.asked().len(), calls);
    }
    a_while().await;
    assert!(sts.fetch(&identity()).await.is_err());
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn nobodys_keys_are_looked_up_because_of_a_role() {
    let server = Server::start(|_| Said::error(403, "AccessDenied", "no")).await;
    let sts = rotating(&server);
    for _ in 0..2 {
        assert!(sts.fetch(&identity()).await.is_err());
    }
    assert_eq!(signers(&server), ["AKIDNODE1", "AKIDNODE1"]);
}

/// STS on a node that is set up by the profile in `directory`.
async fn by_profile(directory: &Path, server: &Server) -> Result<Sts, Error> {
    let (path, url) = (directory.join("config"), server.url());
    let chain = move || {
        let file = ProfileFiles::builder().with_file(ProfileFileKind::Config, &path);
        aws_config::defaults(behaviour())
            .empty_test_environment()
            .profile_files(file.build())
            .endpoint_url("http://sts.test")
            .http_client(through(&url))
    };
    Sts::from_chain(chain, clock()).await
}

fn write(directory: &TempDir, profile: &str) {
    let text = format!("[default]\n{profile}\n");
    fs::write(directory.path().join("config"), text).unwrap();
}

fn with_keys(id: &str) -> String {
    format!("region = eu-south-2\naws_access_key_id = {id}\naws_secret_access_key = {SECRET}")
}

#[tokio::test]
async fn keys_that_were_rotated_in_a_file_are_read_again() {
    let directory = TempDir::new().unwrap();
    write(&directory, &with_keys("AKIDNODEOLD"));
    let server = Server::of(|asked| {
        if asked.authorization.contains("AKIDNODEOLD") {
            Said::error(403, "InvalidClientTokenId", "as STS puts it")
        } else {
            Said::success()
        }
    })
    .await;
    let sts = by_profile(directory.path(), &server).await.unwrap();
    assert_eq!(sts.region(), "eu-south-2");
    write(
        &directory,
        &with_keys("AKIDNODENEW").replace("eu-south-2", "eu-west-1"),
    );
    for _ in 0..2 {
        sts.fetch(&identity()).await.unwrap();
    }
    let expected = ["AKIDNODEOLD", "AKIDNODENEW", "AKIDNODENEW"];
    assert_eq!(signers(&server), expected);
    let scope = &server.asked()[1].authorization;
    assert!(
        scope.contains("/eu-south-2/sts/"),
        "nothing else changes: {scope}"
    );
}

#[tokio::test]
async fn keys_that_come_late_or_are_mended_are_found_without_a_restart() {
    for wrong in [
        "region = eu-west-1",
        "region = eu-west-1\naws_secret_access_key = half",
        "region = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/agent\nsource_profile = x",
    ] {
        let directory = TempDir::new().unwrap();
        write(&directory, wrong);
        let server = Server::of(|asked| match asked.line.as_str() {
            "POST http://sts.test/" => Said::success(),
            _ => Said::new(404, ""),
        })
        .await;
        let sts = by_profile(directory.path(), &server).await.unwrap();
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(sts.fetch(&identity()).await.unwrap_err().to_string());
        }
        assert_eq!(told[0], told[1]);
        write(&directory, &with_keys("AKIDNODE1"));
        a_while().await;
        sts.fetch(&identity()).await.unwrap();
    }
}

/// The metadata service of a node, and STS for whoever calls it.
fn instance(asked: &Asked) -> Said {
    let keys = format!(
        r#"{{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "AKIDNODE1", "SecretAccessKey": "{SECRET}",
            "Token": "{TOKEN}", "Expiration": "2999-01-01T00:00:00Z", "LastUpdated": "2026-01-01T00:00:00Z"}}"#
    );
    let (_, target) = asked.line.split_once("http://").unwrap();
    match target {
        "169.254.169.254/latest/api/token" => Said::Token("AQAEXAMPLE"),
        "169.254.169.254/latest/meta-data/placement/region" => Said::new(200, "ap-south-2"),
        "169.254.169.254/latest/meta-data/iam/security-credentials/" => Said::new(200, "node"),
        "169.254.169.254/latest/meta-data/iam/security-credentials/node" => Said::new(200, keys),
        "sts.test/" => Said::success(),
        _ => Said::new(404, ""),
    }
}

#[tokio::test]
async fn on_an_instance_nothing_needs_to_be_set() {
    let directory = TempDir::new().unwrap();
    write(&directory, "");
    let server = Server::of(instance).await;
    let sts = by_profile(directory.path(), &server).await.unwrap();
    assert_eq!(sts.region(), "ap-south-2");
    sts.fetch(&identity()).await.unwrap();
    assert_eq!(signers(&server), ["AKIDNODE1"]);
    let asked = server.asked();
    let elsewhere = |asked: &&Asked| !asked.line.contains("169.254.169.254/latest/");
    let lines: Vec<_> = asked
        .iter()
        .filter(elsewhere)
        .map(|asked| &asked.line)
        .collect();
    assert_eq!(
        lines,
        ["POST http://sts.test/"],
        "nobody asks for regions or prices"
    );
}

#[tokio::test]
async fn without_a_region_anywhere_there_is_no_sts() {
    let directory = TempDir::new().unwrap();
    write(&directory, "");
    let server = Server::of(|_| Said::new(404, "")).await;
    let error = by_profile(directory.path(), &server).await.unwrap_err();
    assert!(matches!(error, Error::NoRegion), "{error}");
}

#[tokio::test]
async fn who_failed_to_give_keys_is_named_and_no_key_is() {
    let only_half = format!("region = eu-west-1\naws_secret_access_key = {SECRET}");
    let elsewhere = "region = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/agent\nsource_profile = none";
    let by_file = "region = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/agent\n\
                   web_identity_token_file = /nonexistent/token";
    for (profile, parts) in [
        (
            "region = eu-west-1",
            vec![
                "Environment: ",
                "Profile: ",
                "WebIdentityToken: ",
                "Ec2InstanceMetadata: received 404",
            ],
        ),
        (&only_half, vec!["Profile", "aws_access_key_id"]),
        (elsewhere, vec!["Profile", "`none`"]),
        (
            by_file,
            vec!["No such file", "in the log says which provider"],
        ),
    ] {
        let directory = TempDir::new().unwrap();
        write(&directory, profile);
        let server = Server::of(|asked| match asked.line.as_str() {
            "PUT http://169.254.169.254/latest/api/token" => Said::Token("AQAEXAMPLE"),
            _ => Said::new(404, ""),
        })
        .await;
        let sts = by_profile(directory.path(), &server).await.unwrap();
        let error = sts.fetch(&identity()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::Unavailable, "{error}");
        let told = error.to_string();
        for part in parts
            .into_iter()
            .chain(["no keys of the node to sign with"])
        {
            assert!(told.contains(part), "{part} in {told}");
        }
        for told in [told, format!("{error:?}")] {
            assert!(
                !told.contains(SECRET) && !told.contains("AQAEXAMPLE"),
                "{told}"
            );
        }
    }
}
