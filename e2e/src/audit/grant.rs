//! What the roles of a manifest allow its service accounts.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::Request;
use crate::install::Manifest;

/// One verb on one resource for one service account.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Grant {
    /// The service account.
    pub account: String,
    /// The one namespace it holds in; without one, everywhere.
    pub namespace: Option<String>,
    /// The API group.
    pub group: String,
    /// The resource, with its subresource after a slash.
    pub resource: String,
    /// The verb.
    pub verb: String,
}

impl Grant {
    /// Whether it allows a request, as far as names of objects do not matter.
    #[must_use]
    pub fn covers(&self, request: &Request) -> bool {
        self.account == request.account
            && self.verb == request.verb
            && self.group == request.group
            && self.resource == request.resource
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == request.namespace)
    }

    /// Whether it allows, in a namespace, what `other` allows everywhere.
    pub(super) fn covers_closer(&self, other: &Self, request: &Request) -> bool {
        self.namespace.is_some() && other.namespace.is_none() && self.covers(request)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, namespace, group, resource, verb } = self;
        write!(out, "{account}: {verb} {resource}")?;
        if !group.is_empty() {
            write!(out, ".{group}")?;
        }
        namespace.as_ref().map_or(Ok(()), |namespace| write!(out, " in {namespace}"))
    }
}

/// Everything that a manifest's bindings give to service accounts.
#[must_use]
pub fn grants(manifest: &Manifest) -> BTreeSet<Grant> {
    let bindings = manifest.only(|_, kind| kind.ends_with("RoleBinding"));
    bindings.objects().iter().flat_map(|binding| bound(manifest, binding)).collect()
}

fn bound(manifest: &Manifest, binding: &Value) -> Vec<Grant> {
    let namespace = binding["metadata"]["namespace"].as_str();
    let kind = text(&binding["roleRef"]["kind"]);
    let roles = manifest.only(|_, found| found == kind);
    let role = roles.objects().iter().find(|role| {
        role["metadata"]["name"] == binding["roleRef"]["name"]
            && (kind == "ClusterRole" || role["metadata"]["namespace"].as_str() == namespace)
    });
    let rules = list(role.map_or(&Value::Null, |role| &role["rules"]));
    let subjects = list(&binding["subjects"]);
    let pairs = subjects.iter().flat_map(|subject| rules.iter().map(move |rule| (text(&subject["name"]), rule)));
    pairs.flat_map(|(account, rule)| ruled(account, namespace, rule)).collect()
}

fn ruled(account: &str, namespace: Option<&str>, rule: &Value) -> Vec<Grant> {
    let mut grants = Vec::new();
    for group in list(&rule["apiGroups"]) {
        for resource in list(&rule["resources"]) {
            for verb in list(&rule["verbs"]) {
                grants.push(Grant {
                    account: account.to_owned(),
                    namespace: namespace.map(str::to_owned),
                    group: text(group).to_owned(),
                    resource: text(resource).to_owned(),
                    verb: text(verb).to_owned(),
                });
            }
        }
    }
    grants
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
