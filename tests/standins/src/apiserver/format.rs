//! What a client wants of each object: all of it, or its metadata.

use hyper::{
    Request,
    header::{ACCEPT, HeaderValue},
};

use super::refusal::Refusal;

/// What is sent of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// All of it.
    Full,
    /// Its metadata, as `PartialObjectMetadata`.
    Metadata,
}

/// What a request is about: the two have names of their own for metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One object, or one after the other in a watch.
    Single,
    /// A list.
    List,
}

impl Format {
    /// Reads the `Accept` header. The first type that can be served decides.
    pub(super) fn wanted<B>(request: &Request<B>, shape: Shape) -> Result<Self, Refusal> {
        let accept = request.headers().get(ACCEPT).map(HeaderValue::to_str);
        match accept {
            None => Ok(Self::Full),
            Some(Err(_)) => Err(nothing_acceptable()),
            Some(Ok(accept)) => {
                let mut types = accept.split(',').filter_map(Media::parse);
                let first = types.next().ok_or_else(nothing_acceptable)?;
                first.format(shape)
            }
        }
    }

    /// The type of an object in this format, if it is not the object's own.
    pub(super) const fn type_meta(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Full => None,
            Self::Metadata => Some(("PartialObjectMetadata", "meta.k8s.io/v1")),
        }
    }
}

/// JSON, as what.
#[derive(Debug, PartialEq, Eq)]
struct Media<'a> {
    kind: Option<&'a str>,
}

impl<'a> Media<'a> {
    /// `None` for what is not JSON, and for conversions to what is not known.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name| {
            let mut found = parameters.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| *value)
        };
        let kind = parameter("as");
        let known =
            kind.is_none() || (parameter("g"), parameter("v")) == (Some("meta.k8s.io"), Some("v1"));
        known.then_some(Self { kind })
    }

    fn format(&self, shape: Shape) -> Result<Format, Refusal> {
        match (self.kind, shape) {
            (None, _) => Ok(Format::Full),
            (Some("PartialObjectMetadata"), Shape::Single)
            | (Some("PartialObjectMetadataList"), Shape::List) => Ok(Format::Metadata),
            (Some(kind @ "PartialObjectMetadata"), Shape::List) => Err(Refusal::not_acceptable(
                &format!("you requested {kind}, but the requested object is a list"),
            )),
            (Some(kind @ "PartialObjectMetadataList"), Shape::Single) => {
                Err(Refusal::not_acceptable(&format!(
                    "you requested {kind}, but the requested object is not a list"
                )))
            }
            (Some(_), _) => Err(nothing_acceptable()),
        }
    }
}

fn nothing_acceptable() -> Refusal {
    Refusal::not_acceptable("only the following media types are accepted: application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &'static str, shape: Shape) -> Result<Format, u16> {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        Format::wanted(&request, shape).map_err(|refusal| refusal.code.as_u16())
    }

    #[test]
    fn the_first_type_that_can_be_served_decides() {
        const META: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        const LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        for (accept, shape, format) in [
            ("*/*", Shape::List, Ok(Format::Full)),
            ("application/json", Shape::Single, Ok(Format::Full)),
            (META, Shape::Single, Ok(Format::Metadata)),
            (LIST, Shape::List, Ok(Format::Metadata)),
            (META, Shape::List, Err(406)),
            (LIST, Shape::Single, Err(406)),
            (
                "application/vnd.kubernetes.protobuf, application/json",
                Shape::Single,
                Ok(Format::Full),
            ),
            (
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v2,application/json",
                Shape::Single,
                Ok(Format::Full),
            ),
            ("application/yaml", Shape::Single, Err(406)),
            (
                "application/json;as=Table;g=meta.k8s.io;v=v1",
                Shape::List,
                Err(406),
            ),
        ] {
            assert_eq!(wanted(accept, shape), format, "{accept} {shape:?}");
        }
    }

    #[test]
    fn without_a_wish_all_is_sent() {
        let request = Request::new(());
        assert_eq!(Format::wanted(&request, Shape::List).unwrap(), Format::Full);
    }
}
