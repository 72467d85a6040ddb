//! What `kubectl apply -f bottlerocket-update-operator.yaml` comes to.

#![cfg(test)]

mod apply;
mod certificates;
mod manifest;
mod migrating;
mod pods;
mod rbac;
