//! Rules as `nft -j list ruleset` prints them (libnftables-json(5)). Those that the new iptables made are among them.

use std::{fmt, io};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    rule::{Rule, TARGETS, has_metadata, has_port, is_metadata, quoted},
    tool::{Error, Tools},
};

/// What lists them.
pub(super) const TOOL: &str = "nft";

/// The rules that turn the metadata address elsewhere, or why that cannot be told.
pub(super) fn rules(tools: Tools) -> Result<Vec<Rule>, Error> {
    tools.read(TOOL, &["-j", "list", "ruleset"], rules_in)
}

fn rules_in(printed: impl io::Read) -> io::Result<Vec<Rule>> {
    let page: Page = serde_json::from_reader(printed)?;
    Ok(page.nftables)
}

/// All of what is printed, less what does not matter: one object at a time is kept whole.
#[derive(Deserialize)]
struct Page {
    #[serde(deserialize_with = "rules_of")]
    nftables: Vec<Rule>,
}

/// A table, a chain, a set, or a rule.
#[derive(Deserialize)]
struct Object {
    rule: Option<Value>,
}

fn rules_of<'de, D: Deserializer<'de>>(objects: D) -> Result<Vec<Rule>, D::Error> {
    objects.deserialize_seq(Each)
}

struct Each;

impl<'de> Visitor<'de> for Each {
    type Value = Vec<Rule>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of what is in the ruleset")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut objects: A) -> Result<Vec<Rule>, A::Error> {
        let mut found = Vec::new();
        while let Some(object) = objects.next_element::<Object>()? {
            found.extend(object.rule.as_ref().and_then(rule_of));
        }
        Ok(found)
    }
}

fn rule_of(rule: &Value) -> Option<Rule> {
    let statements = rule["expr"].as_array()?;
    let turns = statements
        .iter()
        .find_map(|one| turn(one, &rule["table"]))?;
    if !is_for_metadata(statements) {
        return None;
    }
    let name = |field: &str| rule[field].as_str().map(quoted);
    let (family, table, chain) = (name("family")?, name("table")?, name("chain")?);
    let handle = rule["handle"].as_u64()?;
    Some(Rule {
        place: format!("the chain {chain} of the table {family} {table} (nft, handle {handle})"),
        text: turns,
        delete: format!("nft delete rule {family} {table} {chain} handle {handle}"),
    })
}

/// What a statement does with a connection, if it turns it elsewhere.
fn turn(statement: &Value, table: &Value) -> Option<String> {
    let (kind, how) = statement.as_object()?.iter().next()?;
    match &**kind {
        "dnat" | "redirect" | "tproxy" if how.is_null() => Some(kind.clone()),
        "dnat" | "redirect" | "tproxy" => Some(format!("{kind} {how}")),
        // Of iptables. Before nftables 1.0.6 it is not said what it is; in that table there is little else.
        "xt" => match how["name"].as_str() {
            Some(name) => TARGETS.contains(&name).then(|| name.to_owned()),
            None => (table == "nat").then(|| "what iptables put there".to_owned()),
        },
        _ => None,
    }
}

/// Whether a rule with these statements is for connections to the metadata service.
fn is_for_metadata(statements: &[Value]) -> bool {
    let matches = statements.iter().filter_map(|one| one.get("match"));
    let mut to_metadata = false;
    for condition in matches {
        let (left, right) = (&condition["left"], &condition["right"]);
        let negated = condition["op"] == "!=";
        let field = left["payload"]["field"].as_str();
        let holds = match field {
            Some("daddr") => {
                to_metadata = any(right, &is_address) && !negated;
                to_metadata
            }
            Some("dport") => {
                let tcp = ["tcp", "th"].map(Value::from);
                tcp.contains(&left["payload"]["protocol"]) && any(right, &is_port) != negated
            }
            _ if left["meta"]["key"] == "l4proto" => any(right, &|value| value == "tcp") != negated,
            _ => true,
        };
        if !holds {
            return false;
        }
    }
    to_metadata
}

/// Whether a value, or one of a set of them, is of this kind.
fn any(value: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    match value["set"].as_array() {
        Some(set) => set.iter().any(is),
        None => is(value),
    }
}

fn is_address(value: &Value) -> bool {
    if let Some(address) = value.as_str() {
        return is_metadata(address);
    }
    let prefix = &value["prefix"];
    let address = prefix["addr"].as_str().and_then(|addr| addr.parse().ok());
    let length = prefix["len"]
        .as_u64()
        .and_then(|len| u8::try_from(len).ok());
    address
        .zip(length)
        .is_some_and(|(address, length)| has_metadata(address, length))
}

fn is_port(value: &Value) -> bool {
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let (first, last) = match value["range"].as_array().map(Vec::as_slice) {
        Some([first, last]) => (port(first), port(last)),
        Some(_) | None => (port(value), port(value)),
    };
    first
        .zip(last)
        .is_some_and(|(first, last)| has_port(first, last))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(protocol: &str, field: &str, op: &str, right: &Value) -> Value {
        let left = json!({"payload": {"protocol": protocol, "field": field}});
        json!({"match": {"op": op, "left": left, "right": right}})
    }

    fn to(right: impl Into<Value>) -> Value {
        condition("ip", "daddr", "==", &right.into())
    }

    fn port(right: impl Into<Value>) -> Value {
        condition("tcp", "dport", "==", &right.into())
    }

    fn found(table: &str, statements: &[Value]) -> Vec<Rule> {
        let rule = json!({"family": "ip", "table": table, "chain": "PREROUTING", "handle": 7, "expr": statements});
        let page = json!({"nftables": [{"metainfo": {}}, {"table": {}}, {"rule": rule}]});
        rules_in(page.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn only_what_turns_the_metadata_service_elsewhere_is_found() {
        let imds = || to("169.254.169.254");
        let dnat = || json!({"dnat": {"addr": "10.0.0.1", "port": 8181}});
        let xt = |name: Value| json!({"xt": {"type": "target", "name": name}});
        let l4 = |protocol: &str| json!({"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": protocol}});
        let udp = condition("udp", "dport", "==", &53.into());
        let not = condition("ip", "daddr", "!=", &"169.254.169.254".into());
        let v6 = condition("ip6", "daddr", "==", &"fd00:ec2::254".into());
        let counter = json!({"counter": {"packets": 0, "bytes": 0}});
        for (table, statements, is) in [
            ("k", vec![imds(), port(80), dnat()], true),
            ("k", vec![imds(), dnat()], true),
            ("k", vec![v6, port(80), json!({"redirect": null})], true),
            (
                "k",
                vec![
                    to(json!({"set": ["10.1.1.1", "169.254.169.254"]})),
                    port(json!({"set": [443, 80]})),
                    counter.clone(),
                    json!({"redirect": {"port": 1}}),
                ],
                true,
            ),
            (
                "k",
                vec![
                    to(json!({"prefix": {"addr": "169.254.169.0", "len": 24}})),
                    l4("tcp"),
                    dnat(),
                ],
                true,
            ),
            (
                "k",
                vec![
                    imds(),
                    port(json!({"range": [1, 100]})),
                    json!({"tproxy": {"port": 1}}),
                ],
                true,
            ),
            (
                "nat",
                vec![imds(), port(80), counter, xt("DNAT".into())],
                true,
            ),
            ("nat", vec![imds(), port(80), json!({"xt": null})], true),
            ("filter", vec![imds(), port(80), json!({"xt": null})], false),
            ("nat", vec![imds(), port(80), xt("LOG".into())], false),
            ("k", vec![imds(), port(80), json!({"drop": null})], false),
            ("k", vec![imds(), port(8080), dnat()], false),
            ("k", vec![imds(), udp, dnat()], false),
            ("k", vec![imds(), l4("udp"), dnat()], false),
            ("k", vec![not, port(80), dnat()], false),
            ("k", vec![to("10.96.0.1"), port(80), dnat()], false),
            ("k", vec![dnat()], false),
        ] {
            assert_eq!(
                found(table, &statements).len(),
                usize::from(is),
                "{statements:?}"
            );
        }
    }

    #[test]
    fn the_command_names_the_rule_by_its_handle() {
        let rules = found(
            "nat",
            &[to("169.254.169.254"), json!({"redirect": {"port": 8181}})],
        );
        let delete = "nft delete rule ip nat PREROUTING handle 7";
        assert_eq!(rules[0].delete, delete);
        assert_eq!(rules[0].text, r#"redirect {"port":8181}"#);
    }

    #[test]
    fn what_is_no_json_is_no_empty_ruleset() {
        for printed in [
            "Error: JSON support not compiled-in",
            "{}",
            r#"{"nftables": [{"#,
        ] {
            assert!(rules_in(printed.as_bytes()).is_err(), "{printed}");
        }
        assert_eq!(rules_in(&br#"{"nftables": []}"#[..]).unwrap(), []);
    }
}
