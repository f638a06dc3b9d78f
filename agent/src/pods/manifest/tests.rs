use std::fmt::Write as _;

use super::*;

const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: cart-0
  namespace: shop
  uid: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
  annotations:
    iam.amazonaws.com/role: cart
    example.com/other: x
spec:
  nodeName: node-1
  hostNetwork: true
  serviceAccountName: cart
  containers:
  - name: main
    image: cart:1
    resources: {limits: {cpu: 1, memory: 64Mi}}
status:
  phase: Running
  podIPs:
  - ip: 10.0.0.7
  - ip: fd00::7
";

/// [`POD`] with one line replaced.
fn pod_with(line: &str, instead: &str) -> String {
    assert!(POD.contains(line), "{line}");
    POD.replacen(line, instead, 1)
}

fn read(text: &str) -> Manifest {
    let reads = Reads {
        node: Some("node-1".to_owned()),
        keys: Keys::default(),
    };
    parse(Path::new("pods/a.yaml"), text, &reads)
}

/// The names of the pods in `text`, and what is wrong with the rest.
fn told(text: &str) -> (Vec<String>, Vec<String>) {
    let manifest = read(text);
    let names = manifest.pods.iter().map(|(pod, _)| pod.name.to_string());
    let errors = manifest.errors.iter().map(ToString::to_string);
    (names.collect(), errors.collect())
}

#[test]
fn a_pod_is_taken_as_far_as_somebody_asks_for_it() {
    let manifest = read(POD);
    assert!(manifest.errors.is_empty(), "{:?}", manifest.errors);
    let (pod, place) = &manifest.pods[0];
    assert_eq!(place.to_string(), "pods/a.yaml:6:8");
    assert_eq!(pod.uid.to_string(), UID);
    assert_eq!(pod.name.to_string(), "shop/cart-0");
    assert_eq!(pod.service_account.as_deref(), Some("cart"));
    assert!(pod.host_network);
    assert_eq!(pod.ips.len(), 2);
    assert_eq!(pod.annotations.len(), 1);
}

#[test]
fn a_pod_that_is_not_ours_is_left_out_without_a_word() {
    for (line, instead) in [
        ("nodeName: node-1", "nodeName: node-2"),
        ("nodeName: node-1", "schedulerName: x"),
        ("phase: Running", "phase: Succeeded"),
        ("phase: Running", "phase: Failed"),
        ("kind: Pod", "kind: ConfigMap"),
    ] {
        let told = told(&pod_with(line, instead));
        assert_eq!(told, (vec![], vec![]), "{instead}");
    }
}

#[test]
fn what_stands_in_containers_is_neither_judged_nor_quoted() {
    let env = "  - name: main\n    env: [{name: PASSWORD, value: 4711}]\n";
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        let text = POD.replace("spec:\n", &format!("spec:\n  {key}:\n{env}"));
        let text = text.replace(
            "  containers:\n  - name: main\n    image",
            "  x:\n  - image",
        );
        assert_eq!(
            told(&text),
            (vec!["shop/cart-0".to_owned()], vec![]),
            "{text}"
        );
    }
}

/// Each of these replaced lines makes [`POD`] wrong, and that is said so.
fn refused(rows: &[(&str, &str, &str)]) {
    for (line, instead, wrong) in rows {
        let wrong = format!("pods/a.yaml:{wrong}");
        assert_eq!(told(&pod_with(line, instead)), (vec![], vec![wrong]));
    }
}

#[test]
fn a_wrong_kind_is_named_with_its_line_and_its_column() {
    refused(&[
        ("apiVersion: v1", "x: y", "1:1: apiVersion: it is missing"),
        (
            "apiVersion: v1",
            "apiVersion: v2",
            "1:13: apiVersion: \"v2\" is not v1",
        ),
        (
            "apiVersion: v1",
            "apiVersion: 1",
            "1:13: apiVersion: invalid type: a number, expected a string",
        ),
        ("kind: Pod", "x: y", "1:1: kind: it is missing"),
        (
            "kind: Pod",
            "kind: [Pod]",
            "2:7: kind: invalid type: sequence, expected a string",
        ),
    ]);
}

#[test]
fn wrong_metadata_are_named_with_line_column_and_field() {
    refused(&[
        (
            "spec:\n",
            "metadata: {}\nspec:\n",
            "10:1: duplicate mapping key `metadata` is not allowed here",
        ),
        (
            "  name: cart-0",
            "  x: y",
            "4:3: metadata.name: it is missing",
        ),
        (
            "name: cart-0",
            "name: Cart",
            "4:9: metadata.name: \"Cart\" is not a name (lower-case letters, digits, '-' and '.'; at most \
             253 characters)",
        ),
        (
            "name: cart-0",
            "name: 7",
            "4:9: metadata.name: invalid type: integer `7`, expected a string",
        ),
        (
            "namespace: shop",
            "namespace: a/b",
            "5:14: metadata.namespace: \"a/b\" is not a namespace (lower-case letters, digits and '-'; at \
             most 63 characters)",
        ),
        (
            "  uid: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n",
            "",
            "4:3: metadata.uid: it is missing",
        ),
        (
            "uid: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            "uid: x",
            "6:8: metadata.uid: \"x\" is not a pod UID (UUID, or 32 hexadecimal digits)",
        ),
        (
            "uid: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            "uid:",
            "6:6: metadata.uid: it is missing",
        ),
        (
            "iam.amazonaws.com/role: cart",
            "iam.amazonaws.com/role: no",
            "8:29: metadata.annotations[\"iam.amazonaws.com/role\"]: invalid type: boolean `false`, \
             expected a string",
        ),
    ]);
}

#[test]
fn a_wrong_spec_or_status_is_named_with_line_column_and_field() {
    refused(&[
        (
            "hostNetwork: true",
            "hostNetwork: banana",
            "12:16: spec.hostNetwork: invalid type: string \"banana\", expected a boolean",
        ),
        (
            "serviceAccountName: cart",
            "serviceAccountName: ''",
            "13:23: spec.serviceAccountName: \"\" is not a name (lower-case letters, digits, '-' and '.'; at \
             most 253 characters)",
        ),
        (
            "ip: 10.0.0.7",
            "ip: 10.0.0",
            "21:9: status.podIPs[0].ip: \"10.0.0\" is not an IP address",
        ),
        (
            "ip: fd00::7",
            "ip: fd00::7%eth0",
            "22:9: status.podIPs[1].ip: \"fd00::7%eth0\" is not an IP address",
        ),
        (
            "  podIPs:\n",
            "  podIPs: x\n  y:\n",
            "20:11: status.podIPs: invalid type: string \"x\", expected a sequence",
        ),
    ]);
}

#[test]
fn each_document_counts_for_itself() {
    let other = pod_with("name: cart-0", "name: cart-1");
    let wrong = pod_with("uid: 0f1e", "uid: 5f");
    let text = format!("# cart\n---\n{POD}---\n{wrong}---\n\n---\n{other}...\n---\njust text\n");
    let (names, errors) = told(&text);
    assert_eq!(names, ["shop/cart-0", "shop/cart-1"]);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("pods/a.yaml:31:8: metadata.uid: "),
        "{errors:?}"
    );
    assert!(errors[1].ends_with(": it is no manifest: apiVersion, kind and metadata are wanted"));
}

#[test]
fn the_pods_of_a_list_count_and_the_rest_of_it_is_refused() {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for (name, uid) in [("a", UID), ("b", "x"), ("c", UID)] {
        writeln!(
            text,
            "- {{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: {uid}}}, spec: {{nodeName: node-1}}}}"
        )
        .unwrap();
    }
    text.push_str("- 5\n");
    let (names, errors) = told(&text);
    assert_eq!(names, ["default/a", "default/c"]);
    assert_eq!(
        errors,
        [
            "pods/a.yaml:5:56: metadata.uid: \"x\" is not a pod UID (UUID, or 32 hexadecimal digits)",
            "pods/a.yaml:7:3: it is no manifest: apiVersion, kind and metadata are wanted",
        ]
    );
    for (list, wrong) in [
        ("{apiVersion: v1, kind: List}", "1:1: items: it is missing"),
        (
            "{apiVersion: v1, kind: List, items: {}}",
            "1:37: items: invalid type: map, expected a sequence",
        ),
    ] {
        assert_eq!(told(list), (vec![], vec![format!("pods/a.yaml:{wrong}")]));
    }
}

#[test]
fn namespaces_and_service_accounts_are_checked() {
    for kind in ["Namespace", "ServiceAccount"] {
        let head = format!("apiVersion: v1\nkind: {kind}\nmetadata:\n");
        assert_eq!(told(&format!("{head}  name: shop\n")), (vec![], vec![]));
        let (_, errors) = told(&format!("{head}  name: [shop]\n"));
        let wrong = "pods/a.yaml:4:9: metadata.name: invalid type: sequence, expected a string";
        assert_eq!(errors, [wrong]);
        let (_, errors) = told(&format!("{head}  labels: {{}}\n"));
        assert_eq!(errors, ["pods/a.yaml:4:3: metadata.name: it is missing"]);
    }
}

#[test]
fn json_is_read_as_well() {
    let text = format!(
        "{{\n\t\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\t\"metadata\": {{\"name\": \"cart-0\", \"uid\": \
         \"{UID}\", \"annotations\": {{\"iam.amazonaws.com\\/role\": \"\\u0063art\"}}}},\n\t\"spec\": \
         {{\"nodeName\": \"node-1\", \"hostNetwork\": false}}\n}}\n"
    );
    let manifest = read(&text);
    assert!(manifest.errors.is_empty(), "{:?}", manifest.errors);
    assert_eq!(
        manifest.pods[0].0.annotations["iam.amazonaws.com/role"],
        "cart"
    );
}

#[test]
fn the_order_of_keys_and_anchors_do_not_matter() {
    let text = format!(
        "x: &names {{name: cart-0, namespace: shop}}\nspec: {{nodeName: node-1}}\nmetadata:\n  <<: *names\n  \
         uid: {UID}\nkind: Pod\napiVersion: v1\n"
    );
    assert_eq!(told(&text), (vec!["shop/cart-0".to_owned()], vec![]));
}

#[test]
fn what_is_before_broken_yaml_counts_and_what_is_behind_does_not() {
    for (broken, wrong) in [
        ("a: [1\n", "24:4: unclosed bracket '['"),
        ("a: *nowhere\n", ""),
        ("\ta: b: c\n", ""),
        ("a: \0\n", ""),
    ] {
        let (names, errors) = told(&format!("{POD}---\n{broken}---\n{POD}"));
        assert_eq!(names, ["shop/cart-0"], "{broken:?}");
        assert!(errors.len() == 1 && errors[0].contains(wrong), "{errors:?}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_no_more_than_an_error() {
    for end in 0..POD.len() {
        let text = POD.get(..end).unwrap();
        assert!(read(text).pods.len() <= 1, "{text}");
    }
}

/// Nested aliases: nine to the power of nine elements.
fn bomb() -> String {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{below}]").unwrap();
    }
    bomb
}

#[test]
fn what_would_grow_without_bounds_is_refused() {
    let wide = "- a\n".repeat(120_000);
    let deep = "[".repeat(1000);
    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        "*a, ".repeat(50)
    );
    let repeated = format!(
        "a: &a [{}]\nb: [{}]\n",
        "x, ".repeat(200),
        "*a, ".repeat(90)
    );
    let large = "YAML document too large or too complex: ";
    for (text, wrong) in [
        (bomb(), large),
        (wide, large),
        (deep, "recursion limit exceeded"),
        (long, large),
        (repeated, large),
    ] {
        let (names, errors) = told(&text);
        assert_eq!((names.len(), errors.len()), (0, 1), "{errors:?}");
        assert!(errors[0].contains(wrong), "{errors:?}");
    }
}

#[test]
fn a_file_without_documents_says_nothing() {
    for text in [
        "",
        "\n",
        "# a comment\n",
        "---\n---\n",
        "null\n",
        "\u{feff}",
    ] {
        assert_eq!(told(text), (vec![], vec![]), "{text:?}");
    }
}
