//! Roles of ServiceAccounts: whether STS was asked for them with the token of the pod, and with nothing of the node.

use super::moto::Call;

const WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";
/// What every session begins with, however it is asked for.
const ASSUME: &str = "AssumeRole";

/// A pod, and the role of its ServiceAccount.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bearer<'a> {
    pub(super) namespace: &'a str,
    pub(super) pod: &'a str,
    pub(super) uid: &'a str,
    pub(super) account: &'a str,
    /// Its ARN.
    pub(super) role: &'a str,
}

/// What STS was asked for `bearer`, if it is as it has to be; else what is wrong.
pub(super) fn judge(bearer: Bearer<'_>, calls: &[Call]) -> Result<String, String> {
    let of_role = |call: &&Call| call.role.as_deref() == Some(bearer.role);
    let calls: Vec<_> = calls.iter().filter(of_role).collect();
    if calls.is_empty() {
        return Err(format!("nobody asked STS for {}", bearer.role));
    }
    for call in &calls {
        bearer.check(call)?;
    }
    Ok(format!(
        "{} x {WITH_WEB_IDENTITY}, unsigned, as {}",
        calls.len(),
        bearer.subject()
    ))
}

/// Nobody asked STS for a session with anybody's keys.
pub(super) fn judge_rest(calls: &[Call]) -> Result<String, String> {
    let others = calls
        .iter()
        .filter(|call| call.action.starts_with(ASSUME) && call.action != WITH_WEB_IDENTITY);
    match others.count() {
        0 => Ok(format!("none of {} calls was {ASSUME}", calls.len())),
        count => Err(format!("{count} calls of {ASSUME}")),
    }
}

impl Bearer<'_> {
    fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.account)
    }

    fn check(&self, call: &Call) -> Result<(), String> {
        if call.action != WITH_WEB_IDENTITY {
            return Err(format!("{} asked for by {}", self.role, call.action));
        }
        if let Some(signature) = &call.authorization {
            return Err(format!("a web identity needs no signature: {signature}"));
        }
        let claims = call.claims.as_ref().ok_or("no token")?;
        let pod = &claims["kubernetes.io"]["pod"];
        for (what, found, expected) in [
            ("subject", &claims["sub"], &*self.subject()),
            ("audience", &claims["aud"][0], "sts.amazonaws.com"),
            ("pod", &pod["name"], self.pod),
            ("pod's UID", &pod["uid"], self.uid),
        ] {
            if found.as_str() != Some(expected) {
                return Err(format!("the token's {what} is {found}, not {expected}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/a";
    const BEARER: Bearer<'_> = Bearer {
        namespace: "shop",
        pod: "till",
        uid: "1-2",
        account: "clerk",
        role: ROLE,
    };

    fn call() -> Call {
        Call {
            action: WITH_WEB_IDENTITY.to_owned(),
            role: Some(ROLE.to_owned()),
            authorization: None,
            claims: Some(json!({
                "sub": "system:serviceaccount:shop:clerk",
                "aud": ["sts.amazonaws.com"],
                "kubernetes.io": {"pod": {"name": "till", "uid": "1-2"}},
            })),
        }
    }

    fn of_action(action: &str) -> Call {
        Call {
            action: action.to_owned(),
            ..call()
        }
    }

    fn claiming(pointer: &str, what: Value) -> Call {
        let mut call = call();
        let claims = call.claims.as_mut().unwrap();
        *claims.pointer_mut(pointer).unwrap() = what;
        call
    }

    #[test]
    fn a_token_of_the_pod_for_its_role_is_what_has_to_be() {
        let other = Call {
            role: Some("another".to_owned()),
            ..of_action("AssumeRole")
        };
        let seen = judge(BEARER, &[other, call()]).unwrap();
        assert_eq!(
            seen,
            "1 x AssumeRoleWithWebIdentity, unsigned, as system:serviceaccount:shop:clerk"
        );
    }

    #[test]
    fn anything_else_is_named() {
        let signed = Call {
            authorization: Some("AWS4-HMAC-SHA256 Credential=AKID".to_owned()),
            ..call()
        };
        let without = Call {
            claims: None,
            ..call()
        };
        for (call, complaint) in [
            (Call::default(), "nobody asked STS"),
            (of_action("AssumeRole"), "asked for by AssumeRole"),
            (signed, "needs no signature"),
            (without, "no token"),
            (claiming("/sub", json!("other")), "the token's subject"),
            (claiming("/aud/0", json!("other")), "the token's audience"),
            (
                claiming("/kubernetes.io/pod", Value::Null),
                "the token's pod",
            ),
            (
                claiming("/kubernetes.io/pod/uid", json!("2-1")),
                "the token's pod's UID",
            ),
        ] {
            let error = judge(BEARER, std::slice::from_ref(&call)).expect_err(complaint);
            assert!(error.contains(complaint), "{call:?}: {error}");
        }
    }

    #[test]
    fn one_call_with_keys_is_one_too_many() {
        let asks = of_action("GetCallerIdentity");
        assert!(judge_rest(&[call(), asks.clone()]).is_ok());
        for action in ["AssumeRole", "AssumeRoleWithSAML"] {
            assert!(judge_rest(&[call(), of_action(action), asks.clone()]).is_err());
        }
    }
}
