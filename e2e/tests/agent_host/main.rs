//! The agent against a simulated host and a double of the apiserver with a controller behind it, in simulated time.

#[cfg(test)]
mod activation;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod double;
#[cfg(test)]
mod exclusion;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod health;
#[cfg(test)]
mod interrupt;
#[cfg(test)]
mod node;
#[cfg(test)]
mod pin;
