//! Rules as `iptables-save` prints them.

use std::{
    fs,
    io::{self, ErrorKind},
};

use super::{
    Look,
    rule::{Rule, TARGETS, has_port, is_metadata, quoted},
    tool::{Backend, Error, Printed, Tools},
};

/// Which tables of the old back end there are. The kernel has none before somebody looks with the old `iptables`.
const TABLES: [&str; 2] = [
    "/proc/self/net/ip_tables_names",
    "/proc/self/net/ip6_tables_names",
];

/// Looks with those of `names` (for IPv4, for IPv6; each with the name that may be anybody's) that belong to `backend`.
pub(super) fn look(
    tools: Tools,
    backend: Backend,
    names: [(&'static str, &'static str); 2],
) -> Look {
    let (mut used, mut rules, mut error) = (Vec::new(), Vec::new(), None);
    for ((own, plain), tables) in names.into_iter().zip(TABLES) {
        if backend == Backend::Legacy
            && fs::read_to_string(tables)
                .map_or_else(|error| is_gone(&error), |names| names.is_empty())
        {
            continue;
        }
        match save(tools, backend, own, plain) {
            Ok((tool, found)) => {
                used.push(tool);
                rules.extend(found);
            }
            Err(failed) => error = error.or(Some(failed)),
        }
    }
    Look {
        backend,
        tools: used,
        rules: error.map_or(Ok(rules), |error| Err(error.to_string())),
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// What there is, and by which tool.
fn save(
    tools: Tools,
    backend: Backend,
    own: &'static str,
    plain: &'static str,
) -> Result<(&'static str, Vec<Rule>), Error> {
    let save = |tool| tools.read(tool, &[], move |printed: Printed| rules_in(printed, tool));
    let tool = match save(own) {
        Err(Error::None(_)) if tools.is_of(plain, backend) => plain,
        said => return said.map(|rules| (own, rules)),
    };
    save(tool).map(|rules| (tool, rules))
}

/// The rules in `saved` that turn the metadata address elsewhere; `tool` has printed it.
fn rules_in(saved: impl io::BufRead, tool: &str) -> io::Result<Vec<Rule>> {
    let program = tool.strip_suffix("-save").unwrap_or(tool);
    let (mut table, mut rules) = (String::new(), Vec::new());
    for line in saved.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if let Some(rule) = line.strip_prefix("-A ") {
            rules.extend(rule_of(rule, &table, program));
        }
    }
    Ok(rules)
}

fn rule_of(text: &str, table: &str, program: &str) -> Option<Rule> {
    let words = words(text);
    let (chain, conditions) = words.split_first()?;
    if !turns_metadata(conditions) {
        return None;
    }
    let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    Some(Rule {
        place: format!("the chain {chain} of the table {table} ({program})"),
        text: conditions.join(" "),
        delete: format!("{program} -t {} -D {}", quoted(table), line.join(" ")),
    })
}

/// Whether a rule with these words turns connections to the metadata service elsewhere.
fn turns_metadata(words: &[String]) -> bool {
    let (mut to_metadata, mut turns) = (false, false);
    for (at, pair) in words.windows(2).enumerate() {
        let [option, value] = pair else { continue };
        let negated = at > 0 && words[at - 1] == "!";
        let holds = match &**option {
            "-d" | "--destination" => {
                to_metadata = is_metadata(value) && !negated;
                to_metadata
            }
            "-p" | "--protocol" => ["tcp", "all"].contains(&&**value) != negated,
            "--dport" | "--dports" => value.split(',').any(has_metadata_port) != negated,
            "-j" | "--jump" => {
                turns = TARGETS.contains(&&**value);
                turns
            }
            _ => true,
        };
        if !holds {
            return false;
        }
    }
    to_metadata && turns
}

/// A port, or a range as `FIRST:LAST`.
fn has_metadata_port(text: &str) -> bool {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let ports = first.parse().ok().zip(last.parse().ok());
    ports.is_some_and(|(first, last)| has_port(first, last))
}

/// The words of a line: what has blanks in it is between `"`, with `\` before what would end it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, line.chars());
    let mut within = false;
    while let Some(next) = chars.next() {
        match next {
            '"' => {
                within = !within;
                word.get_or_insert_default();
            }
            '\\' if within => word.get_or_insert_default().extend(chars.next()),
            ' ' if !within => words.extend(word.take()),
            next => word.get_or_insert_default().push(next),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_KUBE2IAM: &str = "PREROUTING -d 169.254.169.254/32 -i cali+ -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8181";

    #[test]
    fn the_rule_of_kube2iam_is_found_with_the_command_that_takes_it_away() {
        let saved = format!(
            "# Generated by iptables-save\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n*nat\n\
             :PREROUTING ACCEPT [0:0]\n-A {OF_KUBE2IAM}\nCOMMIT\n"
        );
        let found = rules_in(saved.as_bytes(), "iptables-legacy-save").unwrap();
        assert_eq!(found.len(), 1);
        let expected = "the chain PREROUTING of the table nat (iptables-legacy)";
        assert_eq!(found[0].place, expected);
        assert_eq!(
            found[0].delete,
            format!("iptables-legacy -t nat -D {OF_KUBE2IAM}")
        );
    }

    #[test]
    fn only_what_turns_the_metadata_service_elsewhere_is_found() {
        for (rule, is) in [
            (OF_KUBE2IAM, true),
            ("PREROUTING -d 169.254.169.254/32 -j REDIRECT", true),
            (
                "P -d 169.254.169.254/32 -p tcp -m multiport --dports 22,79:81 -j REDIRECT --to-ports 1",
                true,
            ),
            (
                "P -d fd00:ec2::254/128 -p tcp -m tcp --dport 80 -j DNAT --to-destination [::1]:1",
                true,
            ),
            (
                "P -d 169.254.169.254/32 ! -i eth0 -p tcp -j TPROXY --on-port 1",
                true,
            ),
            (
                "P ! -d 169.254.169.254/32 -p tcp -j DNAT --to-destination 1.1.1.1",
                false,
            ),
            (
                "P -d 169.254.169.254/32 -p udp -m udp --dport 53 -j DNAT --to-destination 1.1.1.1",
                false,
            ),
            (
                "P -d 169.254.169.254/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 1.1.1.1",
                false,
            ),
            (
                "P -d 169.254.169.254/32 -p tcp -m tcp ! --dport 80 -j DNAT --to-destination 1.1.1.1",
                false,
            ),
            ("P -d 169.254.169.254/32 -j DROP", false),
            (
                "P -s 169.254.169.254/32 -j DNAT --to-destination 1.1.1.1",
                false,
            ),
            ("P -j DNAT --to-destination 169.254.169.254:80", false),
            (
                "P -d 10.96.0.1/32 -m comment --comment \"-d 169.254.169.254\" -j DNAT",
                false,
            ),
            ("", false),
        ] {
            let found = rule_of(rule, "nat", "iptables");
            assert_eq!(found.is_some(), is, "{rule}");
        }
    }

    #[test]
    fn a_comment_is_no_command() {
        let rule = r#"P -d 169.254.169.254/32 -m comment --comment "say \"$(x)\"" -j REDIRECT"#;
        let found = rule_of(rule, "nat", "iptables").unwrap();
        let expected = r#"iptables -t nat -D P -d 169.254.169.254/32 -m comment --comment 'say "$(x)"' -j REDIRECT"#;
        assert_eq!(found.delete, expected);
    }
}
