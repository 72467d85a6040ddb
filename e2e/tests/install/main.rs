//! What `kubectl apply -f bottlerocket-update-operator.yaml` comes to.

#![cfg(test)]

mod apply;
mod begun;
mod certificates;
mod controllers;
mod guide;
mod manifest;
mod migrating;
mod monitoring;
mod pods;
mod rbac;
mod takeover;
mod uninstall;
mod webhook_certificates;
