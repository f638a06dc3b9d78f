//! How the image is run, as the last stage of `deploy/Dockerfile` says.
//!
//! Only what that stage needs is understood. Whatever else is written there is an error, not left out of the image.

use std::{collections::BTreeMap, fs, iter};

use anyhow::{Context as _, Result, bail, ensure};

use crate::cx::Cx;

/// Where it stands.
const DOCKERFILE: &str = "deploy/Dockerfile";
/// What puts into the image what [`super::root`] has written.
const COPY: &str = "--from=build /image /";

/// How the image is run, and what is said of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recipe {
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    pub(super) user: String,
    pub(super) env: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// Reads the Dockerfile.
pub(super) fn read(cx: &Cx) -> Result<Recipe> {
    let text = fs::read_to_string(cx.root.join(DOCKERFILE)).context(DOCKERFILE)?;
    parse(&text).context(DOCKERFILE)
}

fn parse(text: &str) -> Result<Recipe> {
    let instructions = instructions(text);
    let mut stages = instructions.rsplitn(2, |(word, _)| *word == "FROM");
    let last = stages.next().unwrap_or_default();
    let from = stages.next().map_or(0, <[_]>::len);
    ensure!(
        instructions.get(from) == Some(&("FROM", "scratch")),
        "the last stage is not FROM scratch"
    );
    ensure!(
        last.contains(&("COPY", COPY)),
        "the last stage does not say COPY {COPY}"
    );
    let mut recipe = Recipe::default();
    for (word, rest) in last {
        let understood = recipe.take(word, rest);
        understood.with_context(|| format!("cannot make an image by `{word} {rest}`"))?;
    }
    Ok(recipe)
}

/// Each instruction and what follows it. None is longer than its line.
fn instructions(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect()
}

impl Recipe {
    fn take(&mut self, word: &str, rest: &str) -> Result<()> {
        match word {
            "COPY" if rest == COPY => {}
            "ENTRYPOINT" => self.entrypoint = serde_json::from_str(rest)?,
            "CMD" => self.cmd = serde_json::from_str(rest)?,
            "USER" => rest.clone_into(&mut self.user),
            "ENV" => self
                .env
                .extend(iter::once(pair(rest)?).map(|(name, value)| format!("{name}={value}"))),
            "LABEL" => self.labels.extend(iter::once(pair(rest)?)),
            _ => bail!("this instruction is not understood"),
        }
        Ok(())
    }
}

/// `NAME="VALUE"`.
fn pair(text: &str) -> Result<(String, String)> {
    let quoted = text.split_once('=');
    let (name, value) = quoted.context("it is not NAME=\"VALUE\"")?;
    Ok((name.to_owned(), serde_json::from_str(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = "FROM x AS build\nRUN make \\\n  all\n";

    fn last(stage: &str) -> Result<Recipe> {
        parse(&format!(
            "{BUILD}FROM scratch\nCOPY --from=build /image /\n{stage}"
        ))
    }

    fn project(file: &str) -> String {
        let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).expect("a file of the project")
    }

    #[test]
    fn the_last_stage_says_how_the_image_is_run() {
        let recipe = last(
            "# why\nUSER 0:0\n\nENV A=\"b c\"\nENTRYPOINT [\"/x\"]\nCMD [\"run\", \"-v\"]\nLABEL d=\"e=f\"\nLABEL a=\"b\"\n",
        );
        let expected = Recipe {
            entrypoint: vec!["/x".into()],
            cmd: vec!["run".into(), "-v".into()],
            user: "0:0".into(),
            env: vec!["A=b c".into()],
            labels: [("a", "b"), ("d", "e=f")]
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        };
        assert_eq!(recipe.expect("all of it is understood"), expected);
    }

    #[test]
    fn what_is_not_understood_is_never_left_out() {
        for stage in [
            "RUN true",
            "EXPOSE 80",
            "COPY a b",
            "COPY --from=other /image /",
            "VOLUME /x",
            "entrypoint [\"/x\"]",
            "ENTRYPOINT /x",
            "CMD run",
            "LABEL a",
            "LABEL a=b",
            "LABEL a=\"b\" c=\"d\"",
            "LABEL a=\"b\" \\",
            "ENV A b",
        ] {
            assert!(last(stage).is_err(), "{stage}");
        }
        for text in [
            "",
            BUILD,
            "FROM scratch\n",
            "FROM debian\nCOPY --from=build /image /\n",
            "FROM scratch AS x\nCOPY --from=build /image /\n",
            "FROM scratch\nCOPY --from=build /image /\nFROM debian\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_dockerfile_is_of_this_version_and_builds_with_the_pinned_compiler() {
        let text = project(DOCKERFILE);
        let recipe = parse(&text).expect("it is understood");
        let version = &recipe.labels["org.opencontainers.image.version"];
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&format!(" -t bpf2iam:{version} ")));
        let toolchain = project("rust-toolchain.toml");
        let channel = toolchain.split('"').nth(1).expect("a channel");
        let from = ("FROM", &*format!("rust:{channel}-bookworm AS build"));
        assert_eq!(instructions(&text).first(), Some(&from));
    }

    #[test]
    fn the_agent_is_what_is_run() {
        let recipe = parse(&project(DOCKERFILE)).expect("it is understood");
        assert_eq!(
            recipe.entrypoint,
            [format!("/{}", super::super::root::AGENT)]
        );
        assert_eq!(recipe.cmd, ["run"]);
        assert_eq!(recipe.user, "0:0");
    }
}
