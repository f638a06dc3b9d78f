//! One entry of an annotation, understood.
//!
//! The dialect of expressions is that of the `regex` crate, which has nearly all of Go's; classes like `\d` and `\w` are
//! ASCII, as there.

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::id::{BaseArn, Excerpt, lower_arn_prefix};

use super::{Annotation, Compat, Format, Invalid, Rules, glob::Glob};

/// The expressions of an annotation that are held against the same text may take so much memory when compiled, twice
/// (forwards and backwards).
const PROGRAM: usize = 64 << 10;

/// What the matcher may remember, for each thread. With less it is slower and still linear.
const MEMORY: usize = 64 << 10;

/// What an entry covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Roles below the base ARN, by what follows it.
    Below(Matcher),
    /// Roles by their whole ARN.
    Whole(Matcher),
}

/// How an entry is held against a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    /// It covers the whole text.
    Glob(Glob),
    /// It is found in the text. It brings its own anchors.
    Expression(String),
}

/// What is wrong with an entry.
enum Fault {
    Syntax(String),
    TooLarge,
}

impl Pattern {
    /// An entry of a list of allowed roles. `None` where kube2iam would leave it out.
    pub(super) fn allowed(entry: &str, rules: &Rules) -> Result<Option<Self>, Invalid> {
        match (rules.format, rules.compat) {
            (Format::Glob, _) => glob(entry, rules.base_arn.as_ref()).map(Some),
            (Format::Regexp, Compat::Kube2iam) => Ok(as_kube2iam(entry, rules.base_arn.as_ref())),
            (Format::Regexp, Compat::None | Compat::Kiam) => {
                expression(entry, rules.base_arn.as_ref()).map(Some)
            }
        }
    }

    /// The expression of permitted roles.
    pub(super) fn permitted(text: &str, compat: Compat) -> Result<Self, Invalid> {
        let matcher = match compat {
            Compat::None | Compat::Kube2iam => Matcher::whole(text),
            Compat::Kiam => Matcher::part(text),
        };
        matcher
            .map(Self::Whole)
            .map_err(|fault| fault.of(Annotation::Permitted, text))
    }
}

fn glob(entry: &str, base: Option<&BaseArn>) -> Result<Pattern, Invalid> {
    Ok(match lower_arn_prefix(entry) {
        Some(arn) => Pattern::Whole(Matcher::Glob(Glob::new(&arn))),
        None => Pattern::Below(Matcher::Glob(Glob::new(relative(entry, base)?))),
    })
}

fn expression(entry: &str, base: Option<&BaseArn>) -> Result<Pattern, Invalid> {
    let wrong = |fault: Fault| fault.of(Annotation::Allowed, entry);
    // Who anchors or groups an ARN still means an ARN.
    let arn = entry.trim_start_matches(['^', '(', '?', ':']);
    let opening = entry.strip_suffix(arn).unwrap_or_default();
    Ok(match lower_arn_prefix(arn) {
        Some(arn) => Pattern::Whole(Matcher::whole(&format!("{opening}{arn}")).map_err(wrong)?),
        None => Pattern::Below(Matcher::whole(relative(entry, base)?).map_err(wrong)?),
    })
}

/// The base ARN is part of the expression there, and nothing is anchored.
fn as_kube2iam(entry: &str, base: Option<&BaseArn>) -> Option<Pattern> {
    let text = match lower_arn_prefix(entry) {
        Some(arn) => arn.into_owned(),
        None => format!("{}{entry}", base.map_or("", BaseArn::as_str)),
    };
    Matcher::part(&text).ok().map(Pattern::Whole)
}

/// What `entry` says about the part of an ARN that follows the base. As with the roles of pods, a slash before it is
/// no part of it.
fn relative<'a>(entry: &'a str, base: Option<&BaseArn>) -> Result<&'a str, Invalid> {
    match base {
        Some(_) => Ok(entry.strip_prefix('/').unwrap_or(entry)),
        None => Err(Invalid::NoBase(Excerpt::of(entry))),
    }
}

impl Matcher {
    /// The expression `text`, which has to cover all of what it is held against.
    fn whole(text: &str) -> Result<Self, Fault> {
        if let Some(glob) = Glob::from_expression(text) {
            return Ok(Self::Glob(glob));
        }
        // By itself first: `a)|(?:b` becomes one only between the parentheses, which it then opens.
        compile([text])?;
        let anchored = format!("^(?:{text})$");
        compile([&anchored])?;
        Ok(Self::Expression(anchored))
    }

    /// The expression `text`, which has to cover some part of what it is held against.
    fn part(text: &str) -> Result<Self, Fault> {
        compile([text])?;
        Ok(Self::Expression(text.to_owned()))
    }
}

/// All `expressions` in one, if there is room for them. Each is an expression for itself.
pub(super) fn compile_all(expressions: &[String]) -> Option<RegexSet> {
    compile(expressions).ok()
}

fn compile(expressions: impl IntoIterator<Item: AsRef<str>>) -> Result<RegexSet, Fault> {
    RegexSetBuilder::new(expressions)
        .unicode(false)
        .size_limit(PROGRAM)
        .dfa_size_limit(MEMORY)
        .build()
        .map_err(Fault::from)
}

impl From<regex::Error> for Fault {
    fn from(error: regex::Error) -> Self {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            return Self::TooLarge;
        }
        // The lines before the last repeat the expression.
        let text = error.to_string();
        let reason = text.lines().next_back().unwrap_or_default();
        Self::Syntax(reason.trim_start_matches("error: ").to_owned())
    }
}

impl Fault {
    /// The fault of `expression`, which stands in `annotation`.
    fn of(self, annotation: Annotation, expression: &str) -> Invalid {
        let expression = Excerpt::of(expression);
        match self {
            Self::Syntax(reason) => Invalid::Expression {
                annotation,
                expression,
                reason,
            },
            Self::TooLarge => Invalid::TooLarge {
                annotation,
                expression,
            },
        }
    }
}
