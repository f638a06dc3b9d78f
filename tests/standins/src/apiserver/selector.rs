//! Field selectors: which objects a list or a watch is about.

use super::{kind::Kind, object::Object, refusal::Refusal};

/// A field that objects can be selected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    NodeName,
    ServiceAccountName,
    Phase,
    PodIp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: Field,
    equal: bool,
    value: String,
}

/// Terms that must all be true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<Term>);

impl Selector {
    /// Reads the parameter `fieldSelector` of a request about `kind`.
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, Refusal> {
        let terms = text.split(',').filter(|term| !term.is_empty());
        let terms = terms.map(|term| Term::parse(kind, text, term));
        terms.collect::<Result<_, _>>().map(Self)
    }

    /// Whether it is about everything.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|term| term.matches(object))
    }
}

impl Term {
    fn parse(kind: Kind, all: &str, text: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let message = format!("invalid selector: '{all}'; can't understand '{text}'");
            Refusal::bad_request(message)
        };
        let (left, value) = text.split_once('=').ok_or_else(wrong)?;
        let (name, equal) = match left.strip_suffix('!') {
            Some(name) => (name, false),
            None => (left, true),
        };
        let value = value.strip_prefix('=').filter(|_| equal).unwrap_or(value);
        let field = Field::parse(kind, name).ok_or_else(|| unknown(kind, name))?;
        let value = value.to_owned();
        Ok(Self {
            field,
            equal,
            value,
        })
    }

    fn matches(&self, object: &Object) -> bool {
        (self.field.of(object) == self.value) == self.equal
    }
}

impl Field {
    fn parse(kind: Kind, name: &str) -> Option<Self> {
        match (name, kind) {
            ("metadata.name", _) => Some(Self::Name),
            ("metadata.namespace", kind) if kind.is_namespaced() => Some(Self::Namespace),
            ("spec.nodeName", Kind::Pod) => Some(Self::NodeName),
            ("spec.serviceAccountName", Kind::Pod) => Some(Self::ServiceAccountName),
            ("status.phase", Kind::Pod) => Some(Self::Phase),
            ("status.podIP", Kind::Pod) => Some(Self::PodIp),
            _ => None,
        }
    }

    fn of(self, object: &Object) -> &str {
        match self {
            Self::Name => &object.key.name,
            Self::Namespace => &object.key.namespace,
            Self::NodeName => object.text(&["spec", "nodeName"]),
            Self::ServiceAccountName => object.text(&["spec", "serviceAccountName"]),
            Self::Phase => object.text(&["status", "phase"]),
            Self::PodIp => object.text(&["status", "podIP"]),
        }
    }
}

/// Kinds without fields of their own have words of their own.
fn unknown(kind: Kind, name: &str) -> Refusal {
    Refusal::bad_request(match kind {
        Kind::Pod | Kind::Namespace | Kind::Event | Kind::Node => {
            format!("field label not supported: {name}")
        }
        Kind::ServiceAccount => format!(
            "\"{name}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_terms_must_be_true() {
        let pod = Object::parse(
            json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"nodeName": "node-1"}}),
        )
        .unwrap();
        for (text, matches) in [
            ("", true),
            ("spec.nodeName=node-1", true),
            ("spec.nodeName==node-1", true),
            ("spec.nodeName=node-2", false),
            ("spec.nodeName!=node-2", true),
            ("spec.nodeName=", false),
            ("status.phase=", true),
            ("spec.nodeName=node-1,metadata.namespace=shop", true),
            ("spec.nodeName=node-1,metadata.namespace!=shop", false),
            ("metadata.name=web", true),
        ] {
            let selector = Selector::parse(Kind::Pod, text).unwrap();
            assert_eq!(selector.matches(&pod), matches, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_selected_by_is_refused() {
        for (kind, text, message) in [
            (
                Kind::Pod,
                "spec.foo=x",
                "field label not supported: spec.foo",
            ),
            (
                Kind::Namespace,
                "metadata.namespace=x",
                "field label not supported: metadata.namespace",
            ),
            (
                Kind::ServiceAccount,
                "spec.nodeName=x",
                "\"spec.nodeName\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            (
                Kind::Pod,
                "metadata.name",
                "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
            ),
        ] {
            let refusal = Selector::parse(kind, text).unwrap_err();
            assert_eq!(
                (refusal.code.as_u16(), refusal.message.as_str()),
                (400, message)
            );
        }
    }
}
