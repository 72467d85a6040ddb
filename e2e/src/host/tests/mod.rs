//! Table and property tests of the machine, in simulated time.

mod faults;
mod properties;
mod reboots;
mod requests;
mod rig;
mod settings;
mod updates;
