//! The apiserver as a real process, with its own ServiceAccount and the shipped roles, on a real control plane. The tests play
//! the agents, with tokens that are bound to the pods of the shipped DaemonSet, and the controller, by writing shadows.

#[cfg(test)]
mod administrator;
#[cfg(test)]
mod agent;
#[cfg(test)]
mod draining;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod originals;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod records;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod site;
#[cfg(test)]
mod unattended;
#[cfg(test)]
mod workload;
