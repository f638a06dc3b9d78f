use super::*;
use crate::id::PodRef;

const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

fn pod() -> Pod {
    let mut pod = Pod::new(UID.parse().unwrap(), PodRef::new("shop", "cart-0"));
    pod.service_account = Some("till".to_owned());
    pod
}

fn cluster() -> Cluster {
    let arn = "arn:aws:eks:eu-west-1:123456789012:cluster/prod";
    Cluster::new(Some("prod".to_owned()), Some(arn.to_owned())).unwrap()
}

/// The tags of `pod`, `;` between them.
fn of(pod: &Pod, text: &str, cluster: &Cluster) -> String {
    let tags = SessionTags::new(text, cluster).unwrap();
    let of_pod = tags.of(pod).unwrap();
    let all: Vec<_> = of_pod
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    all.join(";")
}

#[test]
fn tags_are_off_all_or_those_that_are_named() {
    let of_pod = format!(
        "kubernetes-namespace=shop;kubernetes-pod-name=cart-0;kubernetes-pod-uid={UID};kubernetes-service-account=till"
    );
    let whole = format!(
        "eks-cluster-arn=arn:aws:eks:eu-west-1:123456789012:cluster/prod;eks-cluster-name=prod;{of_pod}"
    );
    let nowhere = Cluster::default();
    for (text, cluster, tags) in [
        ("", cluster(), String::new()),
        ("off", cluster(), String::new()),
        ("none", cluster(), String::new()),
        ("false", cluster(), String::new()),
        (",", cluster(), String::new()),
        ("all", nowhere.clone(), of_pod.clone()),
        ("true", nowhere.clone(), of_pod.clone()),
        ("all", cluster(), whole),
        (
            "all,team=pay",
            nowhere.clone(),
            format!("{of_pod};team=pay"),
        ),
        (
            " kubernetes-namespace , eks-cluster-name ",
            cluster(),
            "eks-cluster-name=prod;kubernetes-namespace=shop".to_owned(),
        ),
        ("team=a=b,empty=", nowhere, "empty=;team=a=b".to_owned()),
    ] {
        assert_eq!(of(&pod(), text, &cluster), tags, "{text:?}");
    }
}

#[test]
fn what_a_pod_does_not_have_is_no_tag() {
    let mut pod = pod();
    pod.uid = "0f1e2d3c4b5a69788796a5b4c3d2e1f0".parse().unwrap();
    pod.service_account = None;
    assert_eq!(
        of(&pod, "all", &Cluster::default()),
        format!("kubernetes-namespace=shop;kubernetes-pod-name=cart-0;kubernetes-pod-uid={UID}")
    );
    assert_eq!(
        of(&pod, "kubernetes-service-account", &Cluster::default()),
        ""
    );
}

#[test]
fn what_sts_would_not_take_is_refused_at_the_start() {
    let many = |number: usize| {
        let tags: Vec<_> = (0..number).map(|at| format!("k{at}=v")).collect();
        tags.join(",")
    };
    let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
    let nowhere = Cluster::default();
    for (text, says) in [
        (
            "namespace",
            "\"namespace\" is none of kubernetes-namespace, kubernetes-service-account, kubernetes-pod-name, kubernetes-pod-uid, eks-cluster-name, eks-cluster-arn; give some of these, all, off, or KEY=VALUE",
        ),
        ("off,team=pay", "\"off\" is none of"),
        (
            "Kubernetes-Namespace",
            "\"Kubernetes-Namespace\" is none of",
        ),
        (
            "eks-cluster-name",
            "eks-cluster-name is not known; give --cluster-name as well",
        ),
        (
            "all,eks-cluster-arn",
            "eks-cluster-arn is not known; give --cluster-arn as well",
        ),
        (
            &many(51),
            "51 session tags are more than the 50 that STS takes",
        ),
        (
            &format!("all,{}", many(47)),
            "51 session tags are more than",
        ),
        (
            "all,kubernetes-namespace",
            "the session tag \"kubernetes-namespace\" is there twice",
        ),
        ("team=a,Team=b", "is there twice"),
        ("=x", "\"\" is no key of a session tag"),
        ("aws:x=y", "\"aws:x\" is no key of a session tag"),
        ("a*=y", "\"a*\" is no key of a session tag"),
        (&format!("{long_key}=v"), "is no key of a session tag"),
        (
            "team=a*",
            "the value of the session tag \"team\" is none that STS takes",
        ),
        (
            &format!("team={long_value}"),
            "the value of the session tag \"team\" is none",
        ),
    ] {
        let error = SessionTags::new(text, &nowhere).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    for text in [many(50), format!("all,{}", many(46))] {
        assert!(SessionTags::new(&text, &nowhere).is_ok(), "{text}");
    }
}

#[test]
fn nobody_chooses_what_a_word_says() {
    for (text, word) in [
        ("kubernetes-namespace=evil", "kubernetes-namespace"),
        ("all,Kubernetes-Namespace=x", "kubernetes-namespace"),
        (
            "kubernetes-service-account =x",
            "kubernetes-service-account",
        ),
        ("KUBERNETES-POD-NAME=", "kubernetes-pod-name"),
        ("kubernetes-pod-uid=x=y", "kubernetes-pod-uid"),
        ("eks-cluster-name=x", "eks-cluster-name"),
        ("team=a,EKS-cluster-arn=x", "eks-cluster-arn"),
    ] {
        let error = SessionTags::new(text, &cluster()).unwrap_err().to_string();
        let says = format!(
            "\" gives a value to {word}, whose value is what pod and cluster are; give {word} alone"
        );
        assert!(error.ends_with(&says), "{text}: {error}");
    }
    for text in ["namespace=x", "kubernetes-namespaces=x"] {
        assert_eq!(of(&pod(), text, &Cluster::default()), text);
    }
}

#[test]
fn they_are_printed_as_they_could_have_been_given() {
    for (text, printed) in [
        ("none", "off"),
        (
            "team=pay,all",
            "kubernetes-namespace,kubernetes-service-account,kubernetes-pod-name,kubernetes-pod-uid,team=pay",
        ),
    ] {
        let tags = SessionTags::new(text, &Cluster::default()).unwrap();
        assert_eq!(tags.to_string(), printed);
        let again = SessionTags::new(printed, &Cluster::default()).unwrap();
        assert_eq!(again, tags);
    }
}
