//! Servers with real bytes on the wire: over pipes in simulated time where time matters, over TCP where the system does.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod wire;
