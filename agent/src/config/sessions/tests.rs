use crate::{
    config::{
        Config,
        tests::{config, refusal},
    },
    creds::SessionLength,
};

fn printed(config: &Config) -> String {
    format!("{config} ")
}

fn warned(flags: &[&str]) -> Vec<String> {
    let warnings = config(flags).unwrap().warnings;
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn sessions_are_as_the_flags_say() {
    for (flags, settings) in [
        (
            &[][..],
            "--session-name={namespace}.{pod} --session-tags=off --session-duration=3600s",
        ),
        // Charts write empty values where nothing is set.
        (
            &[
                "--session-name=",
                "--session-tags=",
                "--cluster-name=",
                "--cluster-arn=",
            ],
            "--session-name={namespace}.{pod} --session-tags=off --session-duration=3600s",
        ),
        (
            &[
                "--session-name={node}",
                "--session-tags=false",
                "--session-duration=2h",
            ],
            "--session-name={node} --session-tags=off --session-duration=7200s",
        ),
        (
            &["--session-tags", "--cluster-name=prod"],
            "--session-tags=kubernetes-namespace,kubernetes-service-account,kubernetes-pod-name,\
             kubernetes-pod-uid,eks-cluster-name=prod ",
        ),
        (
            &[
                "--session-tags=kubernetes-namespace,eks-cluster-arn,team=pay",
                "--cluster-arn=arn:aws:eks:eu-west-1:123456789012:cluster/prod",
            ],
            "--session-tags=kubernetes-namespace,\
             eks-cluster-arn=arn:aws:eks:eu-west-1:123456789012:cluster/prod,team=pay ",
        ),
        (&["--session-duration=3000"], "--session-duration=3000s "),
        (
            &["--session-duration=12h0m0s"],
            "--session-duration=43200s ",
        ),
    ] {
        let config = config(flags).unwrap();
        let printed = printed(&config);
        assert!(printed.contains(settings), "{flags:?}: {printed}");
        assert_eq!(config.warnings, [], "{flags:?}");
    }
    assert_eq!(config(&[]).unwrap().sessions.length, SessionLength::HOUR);
}

#[test]
fn what_cannot_be_is_refused_by_flag_and_value() {
    for (flags, says) in [
        (
            &["--session-name={namespace}.{name}"][..],
            "--session-name is \"{namespace}.{name}\": \"{name}\" is no placeholder; there are \
             {namespace}, {pod}, {uid}, {service-account}, {node}",
        ),
        (
            &["--session-name={pod"],
            "--session-name is \"{pod\": a brace stands alone; write placeholders as in \
             {namespace}.{pod}",
        ),
        (
            &["--session-tags=pod"],
            "--session-tags is \"pod\": \"pod\" is none of kubernetes-namespace, \
             kubernetes-service-account, kubernetes-pod-name, kubernetes-pod-uid, \
             eks-cluster-name, eks-cluster-arn; give some of these, all, off, or KEY=VALUE",
        ),
        (
            &["--session-tags=eks-cluster-name", "--cluster-name="],
            "--session-tags is \"eks-cluster-name\": eks-cluster-name is not known; give \
             --cluster-name as well",
        ),
        (
            &["--session-tags=all,kubernetes-pod-name"],
            "--session-tags is \"all,kubernetes-pod-name\": the session tag \
             \"kubernetes-pod-name\" is there twice",
        ),
        (
            &["--session-tags=all,Kubernetes-Namespace=evil"],
            "--session-tags is \"all,Kubernetes-Namespace=evil\": \"Kubernetes-Namespace=evil\" gives \
             a value to kubernetes-namespace, whose value is what pod and cluster are; give \
             kubernetes-namespace alone",
        ),
        // Whether or not a tag says it.
        (
            &["--session-tags", "--cluster-name=a,b"],
            "--cluster-name is \"a,b\", which is no value of a session tag: up to 256 letters, \
             digits, spaces and _.:/=+-@",
        ),
        (
            &["--cluster-arn=nonsense"],
            "--cluster-arn is \"nonsense\", which is no ARN of a cluster; give \
             arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME",
        ),
    ] {
        assert_eq!(refusal(flags), says);
    }
}

#[test]
fn what_does_not_do_what_one_may_think_is_told() {
    for (flags, starts) in [
        (
            &["--cluster-name=prod"][..],
            &["--cluster-name: not used, "][..],
        ),
        (
            &[
                "--session-tags=team=pay",
                "--cluster-arn=arn:aws:eks:eu-west-1:123456789012:cluster/prod",
                "--cluster-name=prod",
            ],
            &["--cluster-name: not used, ", "--cluster-arn: not used, "],
        ),
        (&["--session-tags", "--cluster-name=prod"], &[]),
        (
            &["--session-tags=eks-cluster-name", "--cluster-name=x"],
            &[],
        ),
        (&["--session-duration=50m"], &[]),
        (
            &["--session-duration=2999"],
            &["--session-duration: SDKs ask again and again"],
        ),
        (
            &["--session-duration=15m"],
            &["--session-duration: SDKs ask again and again"],
        ),
    ] {
        let warned = warned(flags);
        assert_eq!(warned.len(), starts.len(), "{flags:?}: {warned:?}");
        for (warning, start) in warned.iter().zip(starts) {
            assert!(warning.starts_with(start), "{flags:?}: {warning}");
        }
    }
}

#[test]
fn kube2iams_session_ttl_does_not_come_before_our_own_flag() {
    let flags = ["--iam-role-session-ttl=15m", "--session-duration=2h"];
    let config = config(&flags).unwrap();
    assert_eq!(config.sessions.length.as_secs(), 7200);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
}
