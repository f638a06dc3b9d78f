//! What a namespace says of the metadata service that its pods see.
//!
//! Its tenants write it. Where it cannot be understood, the stricter reading counts, and what is wrong is told.

use clap::ValueEnum as _;

use crate::id::Excerpt;

use super::{Allow, TokenUse};

/// What a namespace says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Whether its pods need tokens; what counts otherwise is the operator's word.
    pub tokens: Option<TokenUse>,
    /// What its pods may read beside what all may.
    pub allow: Allow,
    /// What is wrong with it, in words.
    pub wrong: Vec<String>,
}

impl Said {
    /// Understands its annotations, where it has them: `tokens` is `bpf2iam.io/imds-tokens`; `allow` is
    /// `bpf2iam.io/allow-paths`, entries with commas or white space between them.
    pub fn parse(tokens: Option<&str>, allow: Option<&str>) -> Self {
        let mut wrong = Vec::new();
        let tokens = tokens.map(|word| {
            TokenUse::from_str(word.trim(), false).unwrap_or_else(|_no_such_word| {
                wrong.push(wrong_tokens(word));
                TokenUse::Required
            })
        });
        let is_between = |character: char| character == ',' || character.is_whitespace();
        let entries = allow.unwrap_or_default().split(is_between);
        let (allow, invalid) = Allow::of_namespace(entries.filter(|entry| !entry.is_empty()));
        wrong.extend(
            invalid
                .iter()
                .map(|invalid| format!("bpf2iam.io/allow-paths: {invalid}")),
        );
        Self {
            tokens,
            allow,
            wrong,
        }
    }
}

fn wrong_tokens(word: &str) -> String {
    let word = Excerpt::of(word);
    format!("bpf2iam.io/imds-tokens: {word} counts as required; write optional or required")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(tokens: Option<TokenUse>, allow: &str, wrong: &[&str]) -> Said {
        let (allow, invalid) = Allow::of_namespace(allow.split_whitespace());
        assert_eq!(invalid, []);
        Said {
            tokens,
            allow,
            wrong: wrong.iter().map(|&text| text.to_owned()).collect(),
        }
    }

    #[test]
    fn a_namespace_without_annotations_says_nothing() {
        assert_eq!(Said::parse(None, None), Said::default());
        assert_eq!(Said::parse(None, Some(" ,\n")), Said::default());
    }

    #[test]
    fn a_word_about_tokens_counts_in_both_directions_and_a_wrong_one_is_strict() {
        for (word, expected) in [
            ("optional", TokenUse::Optional),
            (" required\n", TokenUse::Required),
        ] {
            assert_eq!(
                Said::parse(Some(word), None),
                said(Some(expected), "", &[]),
                "{word:?}"
            );
        }
        for word in ["", "Optional", "off", "false", "optional,required"] {
            let told = format!(
                "bpf2iam.io/imds-tokens: {word:?} counts as required; write optional or required"
            );
            let expected = said(Some(TokenUse::Required), "", &[&told]);
            assert_eq!(Said::parse(Some(word), None), expected, "{word:?}");
        }
    }

    #[test]
    fn entries_have_commas_or_white_space_between_them() {
        let expected = said(
            None,
            "meta-data/mac meta-data/spot/** meta-data/tags/**",
            &[],
        );
        for entries in [
            "meta-data/mac,meta-data/spot/**,meta-data/tags/**",
            " /latest/meta-data/mac , meta-data/spot/**\n\tmeta-data/tags/**/,",
        ] {
            assert_eq!(Said::parse(None, Some(entries)), expected, "{entries:?}");
        }
    }

    #[test]
    fn a_wrong_entry_is_told_and_the_others_count() {
        let entries = "user-data, meta-data/mac, dynamic/instance-identity/pkcs7";
        let expected = said(
            None,
            "meta-data/mac",
            &[
                "bpf2iam.io/allow-paths: \"user-data\": no pod gets it, whoever allows it: leave it out, or see --node-role-for",
                "bpf2iam.io/allow-paths: \"dynamic/instance-identity/pkcs7\": only the operator can allow a proof of who the node \
             is, with --allow-path",
            ],
        );
        assert_eq!(Said::parse(None, Some(entries)), expected);
    }

    #[test]
    fn of_a_flood_of_entries_the_first_ones_count_and_little_is_told() {
        let flood = "user-data ".repeat(10_000);
        let said = Said::parse(Some(&"x".repeat(10_000)), Some(&flood));
        assert_eq!(said.wrong.len(), 34);
        assert!(
            said.wrong.iter().all(|line| line.len() < 250),
            "{:?}",
            said.wrong
        );
    }
}
