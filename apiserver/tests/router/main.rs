//! The router against an in-memory Kubernetes API: error paths, races and time, none of which a real one can be made to
//! show on demand.

#[cfg(test)]
mod connections;
#[cfg(test)]
mod disruption;
#[cfg(test)]
mod draining;
#[cfg(test)]
mod events;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod shadows;
#[cfg(test)]
mod site;
#[cfg(test)]
mod states;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod unattended;
#[cfg(test)]
mod unauthenticated;
