//! The namespaces and ServiceAccounts that we know of, by name.
//!
//! A cluster has many thousands, and most of them say nothing about roles: these share one object and cost little more
//! than their names.

use std::{collections::HashMap, sync::Arc};

use super::{Namespace, Pod, ServiceAccount, Subject};

/// Namespaces, and ServiceAccounts in them.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    namespaces: HashMap<Box<str>, Arc<Namespace>>,
    accounts: HashMap<Box<str>, HashMap<Box<str>, Arc<ServiceAccount>>>,
    plain_namespace: Arc<Namespace>,
    plain_account: Arc<ServiceAccount>,
}

impl Surroundings {
    /// The namespace called `name`, if we know it.
    pub(super) fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// The ServiceAccount called `name` in `namespace`, if we know it.
    pub(super) fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<&Arc<ServiceAccount>> {
        self.accounts.get(namespace)?.get(name)
    }

    /// Remembers a namespace as it is now.
    pub(super) fn put_namespace(&mut self, name: &str, namespace: Namespace) {
        let namespace = if namespace == *self.plain_namespace {
            Arc::clone(&self.plain_namespace)
        } else {
            Arc::new(namespace)
        };
        self.namespaces.insert(name.into(), namespace);
    }

    /// Remembers a ServiceAccount as it is now.
    pub(super) fn put_service_account(
        &mut self,
        namespace: &str,
        name: &str,
        account: ServiceAccount,
    ) {
        let account = if account == *self.plain_account {
            Arc::clone(&self.plain_account)
        } else {
            Arc::new(account)
        };
        if let Some(accounts) = self.accounts.get_mut(namespace) {
            accounts.insert(name.into(), account);
        } else {
            let accounts = HashMap::from([(name.into(), account)]);
            self.accounts.insert(namespace.into(), accounts);
        }
    }

    /// Forgets a namespace.
    pub(super) fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Forgets a ServiceAccount.
    pub(super) fn remove_service_account(&mut self, namespace: &str, name: &str) {
        if let Some(accounts) = self.accounts.get_mut(namespace) {
            accounts.remove(name);
            if accounts.is_empty() {
                self.accounts.remove(namespace);
            }
        }
    }

    /// Knows the namespaces of `other`, and no others.
    pub(super) fn replace_namespaces(&mut self, other: Self) {
        self.namespaces = other.namespaces;
    }

    /// Knows the ServiceAccounts of `other`, and no others.
    pub(super) fn replace_service_accounts(&mut self, other: Self) {
        self.accounts = other.accounts;
    }

    /// How many namespaces and how many ServiceAccounts we know.
    pub(super) fn counts(&self) -> (usize, usize) {
        let accounts = self.accounts.values().map(HashMap::len).sum();
        (self.namespaces.len(), accounts)
    }

    /// `pod` with what we know of what is around it.
    pub(super) fn around(&self, pod: Arc<Pod>) -> Subject {
        let account = pod.service_account.as_deref();
        Subject {
            namespace: self.namespace(pod.name.namespace()).cloned(),
            service_account: match account {
                Some(name) => self.service_account(pod.name.namespace(), name).cloned(),
                None => Some(Arc::clone(&self.plain_account)),
            },
            pod,
        }
    }

    /// `pod` with what is around it, where there is no more than we know of.
    pub(super) fn all_around(&self, pod: Arc<Pod>) -> Subject {
        let known = self.around(pod);
        Subject {
            namespace: known.namespace.or(Some(Arc::clone(&self.plain_namespace))),
            service_account: known
                .service_account
                .or(Some(Arc::clone(&self.plain_account))),
            pod: known.pod,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::PodRef, pods::annotation::ROLE_ARN};

    fn pod(service_account: Option<&str>) -> Arc<Pod> {
        let uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap();
        let mut pod = Pod::new(uid, PodRef::new("shop", "cart"));
        pod.service_account = service_account.map(str::to_owned);
        Arc::new(pod)
    }

    fn account(role: &str) -> ServiceAccount {
        let annotations = [(ROLE_ARN.to_owned(), role.to_owned())].into();
        ServiceAccount { annotations }
    }

    #[test]
    fn what_was_put_is_around_a_pod_until_it_is_removed() {
        let mut known = Surroundings::default();
        known.put_service_account("shop", "till", account("a"));
        known.put_service_account("bank", "cart", account("b"));
        let none = known.around(pod(Some("cart")));
        assert_eq!((none.namespace, none.service_account), (None, None));
        known.put_namespace("shop", Namespace::default());
        known.put_service_account("shop", "cart", account("c"));
        let both = known.around(pod(Some("cart")));
        assert_eq!(both.namespace.as_deref(), Some(&Namespace::default()));
        assert_eq!(both.service_account.as_deref(), Some(&account("c")));
        known.remove_service_account("shop", "cart");
        known.remove_namespace("shop");
        let gone = known.around(pod(Some("cart")));
        assert_eq!((gone.namespace, gone.service_account), (None, None));
        let rest = known.around(pod(Some("till")));
        assert_eq!(rest.service_account.as_deref(), Some(&account("a")));
    }

    #[test]
    fn a_pod_without_a_service_account_waits_for_none() {
        let around = Surroundings::default().around(pod(None));
        assert_eq!(around.service_account, Some(Arc::default()));
    }

    #[test]
    fn where_we_know_all_there_is_no_more() {
        let mut known = Surroundings::default();
        known.put_service_account("shop", "cart", account("a"));
        let with = known.all_around(pod(Some("cart")));
        assert_eq!(with.service_account.as_deref(), Some(&account("a")));
        assert_eq!(with.namespace, Some(Arc::default()));
        let without = known.all_around(pod(Some("till")));
        assert_eq!(without.service_account, Some(Arc::default()));
    }

    #[test]
    fn those_that_say_nothing_share_one_object() {
        let mut known = Surroundings::default();
        known.put_service_account("shop", "a", ServiceAccount::default());
        known.put_service_account("shop", "b", ServiceAccount::default());
        let a = known.service_account("shop", "a").unwrap();
        let b = known.service_account("shop", "b").unwrap();
        assert!(Arc::ptr_eq(a, b));
    }
}
