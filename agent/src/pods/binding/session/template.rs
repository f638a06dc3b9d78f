//! How sessions are called: a text with placeholders for what differs from pod to pod.

use std::{fmt, sync::Arc};

use crate::{creds::session_name, id::Excerpt, pods::Pod};

/// What is put for the ServiceAccount of a pod that has none. No ServiceAccount is called so.
const NOBODY: &str = "-";

/// How sessions are called (`--session-name`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    filling: Filling,
}

/// What is put in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Filling {
    /// Nothing: all sessions have this name.
    Same(Arc<str>),
    /// What each pod says.
    OfPod(Box<[Part]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Namespace,
    Pod,
    Uid,
    ServiceAccount,
}

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// There is no such placeholder.
    #[error("{0} is no placeholder; there are {all}", all = Template::PLACEHOLDERS.join(", "))]
    Unknown(Excerpt),
    /// A placeholder has no end, or no beginning.
    #[error("a brace stands alone; write placeholders as in {usual}", usual = Template::USUAL)]
    Brace,
}

impl Template {
    /// How sessions are called where the operator does not say it.
    pub const USUAL: &str = "{namespace}.{pod}";

    /// What may stand in a template.
    pub const PLACEHOLDERS: [&str; 5] = [
        "{namespace}",
        "{pod}",
        "{uid}",
        "{service-account}",
        "{node}",
    ];

    /// Reads `text`. All pods are on `node`.
    pub fn new(text: &str, node: &str) -> Result<Self, InvalidTemplate> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            parts.push(Part::Text(before.into()));
            let end = brace.find('}').ok_or(InvalidTemplate::Brace)?;
            let (placeholder, after) = brace.split_at(end + 1);
            parts.push(Part::new(placeholder, node)?);
            rest = after;
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self {
            text: text.into(),
            filling: Filling::new(parts),
        })
    }

    /// All sessions are called `name`, which is one that STS takes.
    pub(super) fn named(name: Arc<str>) -> Self {
        Self {
            text: (&*name).into(),
            filling: Filling::Same(name),
        }
    }

    /// How a session of `pod` is called, as STS takes it.
    pub(super) fn fill(&self, pod: &Pod) -> Arc<str> {
        match &self.filling {
            Filling::Same(name) => Arc::clone(name),
            Filling::OfPod(parts) => {
                let mut name = String::with_capacity(64);
                for part in parts {
                    part.put(&mut name, pod);
                }
                session_name(&name).into()
            }
        }
    }
}

impl Filling {
    fn new(parts: Vec<Part>) -> Self {
        let texts: Option<String> = parts.iter().map(Part::text).collect();
        match texts {
            Some(text) => Self::Same(session_name(&text).into()),
            None => Self::OfPod(parts.into()),
        }
    }
}

impl Part {
    fn new(placeholder: &str, node: &str) -> Result<Self, InvalidTemplate> {
        Ok(match placeholder {
            "{namespace}" => Self::Namespace,
            "{pod}" => Self::Pod,
            "{uid}" => Self::Uid,
            "{service-account}" => Self::ServiceAccount,
            "{node}" => Self::Text(node.into()),
            "}" => return Err(InvalidTemplate::Brace),
            other => return Err(InvalidTemplate::Unknown(Excerpt::of(other))),
        })
    }

    /// What it is for every pod, if it is the same for all.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Namespace | Self::Pod | Self::Uid | Self::ServiceAccount => None,
        }
    }

    fn put(&self, name: &mut String, pod: &Pod) {
        match self {
            Self::Text(text) => name.push_str(text),
            Self::Namespace => name.push_str(pod.name.namespace()),
            Self::Pod => name.push_str(pod.name.name()),
            Self::Uid => name.push_str(&pod.api_uid.to_string()),
            Self::ServiceAccount => {
                name.push_str(pod.service_account.as_deref().unwrap_or(NOBODY));
            }
        }
    }
}

/// As it was given.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PodRef;

    const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

    fn pod(namespace: &str, name: &str) -> Pod {
        let mut pod = Pod::new(UID.parse().unwrap(), PodRef::new(namespace, name));
        pod.service_account = Some("till".to_owned());
        pod
    }

    fn filled(template: &str, pod: &Pod) -> String {
        let template = Template::new(template, "node-1").unwrap();
        template.fill(pod).to_string()
    }

    #[test]
    fn each_placeholder_is_filled_with_what_the_pod_says() {
        for (template, name) in [
            (Template::USUAL, "shop.cart-0"),
            ("{namespace}", "shop"),
            ("{pod}", "cart-0"),
            ("{uid}", UID),
            ("{service-account}@{namespace}", "till@shop"),
            ("{node}", "node-1"),
            ("{node},{pod}+{pod}", "node-1,cart-0+cart-0"),
            ("bpf2iam", "bpf2iam"),
            (
                "a={namespace}{pod}{service-account}=z",
                "a=shopcart-0till=z",
            ),
        ] {
            assert_eq!(filled(template, &pod("shop", "cart-0")), name, "{template}");
        }
        assert!(
            Template::PLACEHOLDERS
                .iter()
                .all(|one| Template::new(one, "n").is_ok())
        );
    }

    #[test]
    fn what_sts_would_not_take_is_cleaned_and_long_names_stay_apart() {
        let long = "p".repeat(253);
        for (template, pod, start, length) in [
            (
                "{namespace}/{pod}",
                pod("shop", "cart-0"),
                "shop-cart-0=",
                24,
            ),
            (Template::USUAL, pod("shop", &long), "shop.ppp", 64),
            ("{uid}{uid}", pod("shop", "cart-0"), UID, 64),
            ("caf\u{e9}", pod("shop", "cart-0"), "caf-=", 17),
            ("", pod("shop", "cart-0"), "=", 13),
        ] {
            let name = filled(template, &pod);
            assert!(name.starts_with(start), "{template}: {name}");
            assert_eq!(name.len(), length, "{template}: {name}");
        }
        let other = format!("{long}q");
        let [one, other] = [&long, &other].map(|name| filled(Template::USUAL, &pod("shop", name)));
        assert_ne!(one, other);
    }

    #[test]
    fn a_static_pod_is_known_by_the_uid_of_the_api_server_and_has_no_service_account() {
        let mut pod = pod("shop", "cart-0");
        pod.uid = "0f1e2d3c4b5a69788796a5b4c3d2e1f0".parse().unwrap();
        pod.service_account = None;
        assert_eq!(filled("{uid}", &pod), UID);
        assert_eq!(filled("{namespace}.{service-account}", &pod), "shop.-");
    }

    #[test]
    fn what_is_the_same_for_all_is_made_once() {
        let template = Template::new("{node}.x", "node-1").unwrap();
        let [one, other] = ["a", "b"].map(|name| template.fill(&pod("shop", name)));
        assert!(Arc::ptr_eq(&one, &other));
    }

    #[test]
    fn a_placeholder_that_nobody_knows_or_closes_is_refused() {
        for (template, unknown) in [
            ("{name}", "{name}"),
            ("{Pod}", "{Pod}"),
            ("{ pod }", "{ pod }"),
            ("{}", "{}"),
            ("{namespace}.{container}", "{container}"),
            ("{{pod}}", "{{pod}"),
            ("a{service_account}b", "{service_account}"),
        ] {
            let error = Template::new(template, "node-1").unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "\"{unknown}\" is no placeholder; there are {{namespace}}, {{pod}}, {{uid}}, \
                     {{service-account}}, {{node}}"
                )
            );
        }
        for template in ["{", "}", "{pod", "pod}", "{pod}}", "{pod}.{", "}{pod"] {
            let error = Template::new(template, "node-1").unwrap_err();
            assert_eq!(error, InvalidTemplate::Brace, "{template}");
        }
        // What is put in is no template itself.
        let template = Template::new("{node}", "{pod}").unwrap();
        assert_eq!(&*template.fill(&pod("shop", "a")), session_name("{pod}"));
    }
}
