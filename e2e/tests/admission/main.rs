//! Admission on a real control plane: what the schema refuses, what the webhook refuses and warns of, and what neither may
//! stop.

#![cfg(test)]

mod kubelets;
mod managers;
mod manifests;
mod never_in_the_way;
mod newcomer;
mod nodes;
mod random;
mod samples;
mod site;
mod tolerated;
mod warnings;
mod writers;
