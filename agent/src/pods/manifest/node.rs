//! A document as a tree in which each value knows where it stands.
//!
//! Types are those that YAML itself gives (`5` is a number, `yes` a boolean), as for everybody else who reads
//! manifests. A wrong one is found later, when it is known what it should have been.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use crate::pods::{
    convert::{Invalid, Problem as Wrong},
    field::{Field, Step},
};

use super::Problem;

/// A value of a document.
#[derive(Debug)]
pub(super) enum Node {
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(String, Spanned<Self>)>),
}

impl Node {
    /// The same without places.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(list) => list.iter().map(|node| node.value.value()).collect(),
            Self::Map(map) => map
                .iter()
                .map(|(key, node)| (key.clone(), node.value.value()))
                .collect(),
        }
    }

    pub(super) const fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// The text under `key`, which has to be there.
    pub(super) fn text(&self, key: &str) -> Result<&str, Problem> {
        let node = self.under(key)?;
        let Self::Scalar(Value::String(text)) = node else {
            return Err(node.unlike(key, "a string"));
        };
        Ok(text)
    }

    /// The elements of the list under `key`, which has to be there.
    pub(super) fn elements(&self, key: &str) -> Result<&[Spanned<Self>], Problem> {
        let node = self.under(key)?;
        let Self::List(list) = node else {
            return Err(node.unlike(key, "a sequence"));
        };
        Ok(list)
    }

    fn under(&self, key: &str) -> Result<&Self, Problem> {
        let found = self.child(&Step::Key(key.to_owned()));
        let missing = || Invalid {
            field: Field::from([key]),
            problem: Wrong::Missing,
        };
        Ok(&found.ok_or_else(missing)?.value)
    }

    fn child(&self, step: &Step) -> Option<&Spanned<Self>> {
        match (self, step) {
            (Self::Map(map), Step::Key(key)) => map
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, node)| node),
            (Self::List(list), Step::Index(index)) => list.get(*index),
            (Self::Scalar(_) | Self::List(_) | Self::Map(_), Step::Key(_) | Step::Index(_)) => None,
        }
    }

    fn unlike(&self, key: &str, wanted: &str) -> Problem {
        Problem::Type {
            field: Field::from([key]),
            wrong: serde_json::Error::invalid_type(self.unexpected(), &wanted),
        }
    }

    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Scalar(Value::String(text)) => Unexpected::Str(text),
            Self::Scalar(Value::Bool(value)) => Unexpected::Bool(*value),
            Self::Scalar(Value::Number(_)) => Unexpected::Other("a number"),
            Self::Scalar(_) => Unexpected::Unit,
            Self::List(_) => Unexpected::Seq,
            Self::Map(_) => Unexpected::Map,
        }
    }
}

/// Where `field` of `object` stands; where it is missing, what it should stand in.
pub(super) fn locate(object: &Spanned<Node>, field: &Field) -> Location {
    let mut node = object;
    for step in field.steps() {
        let Some(child) = node.value.child(step) else {
            break;
        };
        node = child;
    }
    node.referenced
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = access.next_element()? {
            list.push(element);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}
