//! What each client says when there are no credentials, and what cannot be had of it.

use super::{client::Client, column::Column, reference::Lack};

impl Client {
    /// What it says where there are no credentials, and why.
    pub(super) const fn lament(self, lack: Lack) -> &'static str {
        match (self, lack) {
            (Self::Boto3 | Self::Aiobotocore | Self::AwsCli | Self::AwsCliV2, _) => {
                "Unable to locate credentials"
            }
            (Self::JavaScript, _) => "Could not load credentials from any providers",
            (Self::Go, _) => "no EC2 IMDS role found",
            (Self::Java, _) => "Unable to load credentials from any of the providers in the chain",
            (Self::CurlImdsV1 | Self::CurlImdsV2, Lack::Role) => {
                "The requested URL returned error: 404"
            }
            (Self::CurlImdsV1 | Self::CurlImdsV2, Lack::Answer) => {
                "The requested URL returned error: 503"
            }
            (Self::CurlImdsV1 | Self::CurlImdsV2, Lack::Token) => {
                "The requested URL returned error: 401"
            }
            (Self::AwsConfig, Lack::Role) => "received 404 from IMDS",
            (Self::AwsConfig, Lack::Answer | Lack::Token) => "error response from IMDS",
        }
    }

    /// Whether it shows a token.
    pub(super) const fn has_tokens(self) -> bool {
        !matches!(self, Self::CurlImdsV1)
    }

    /// Whether it is a command that ends when it has said what it was asked for.
    pub(super) const fn is_command(self) -> bool {
        matches!(
            self,
            Self::AwsCli | Self::AwsCliV2 | Self::CurlImdsV1 | Self::CurlImdsV2
        )
    }

    /// Why something cannot be tried with it.
    pub(super) const fn exempt(self, column: Column) -> Option<&'static str> {
        match (self, column) {
            (Self::AwsCli, Column::Region) => Some("asks nobody for its Region; version 2 does"),
            (Self::CurlImdsV1, Column::Sequence) => {
                Some("shows no token; it is here to be served, and refused, without one")
            }
            _ => None,
        }
    }
}
