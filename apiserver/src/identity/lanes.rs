//! The lanes to the TokenReviews, one for each confidence, so that a caller waits only behind those with as much to speak for them.

use runtime::server::Network;

use super::confidence::Confidence;
use super::lane::{Bounds, Crowded, Lane, ReviewPermit};

/// For tokens that were proven lately, which their agents have reviewed again every minute. Nobody fills it without a
/// thousand such tokens, so that its addresses share nothing out.
const PROVEN: Bounds = Bounds { at_once: 32, per_address: 32, waiting_per_address: 8192, waiting: 8192 };

/// For agents whose pods are known. A quarter is left to others, whoever floods it; that much is left to the agents of a whole
/// cluster behind one address. As many wait from one address as it has open requests before it is authenticated.
const KNOWN: Bounds = Bounds { at_once: 32, per_address: 24, waiting_per_address: 2048, waiting: 16_384 };

/// For pods that the watch has not shown yet, which takes it milliseconds: hardly anybody, and whoever makes up tokens.
const UNKNOWN: Bounds = Bounds { at_once: 8, per_address: 2, waiting_per_address: 16, waiting: 1024 };

/// The lanes.
#[derive(Debug)]
pub struct Lanes {
    proven: Lane,
    known: Lane,
    unknown: Lane,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { proven: Lane::new(PROVEN), known: Lane::new(KNOWN), unknown: Lane::new(UNKNOWN) }
    }
}

impl Lanes {
    /// Waits for the turn of a caller.
    ///
    /// # Errors
    /// When there are too many in front of it.
    pub async fn enter(&self, confidence: Confidence, address: Network, ours: bool) -> Result<ReviewPermit, Crowded> {
        let lane = match confidence {
            Confidence::Proven => &self.proven,
            Confidence::Known => &self.known,
            Confidence::Unknown => &self.unknown,
        };
        lane.enter(address, ours).await
    }

    /// How many addresses use any of them.
    #[must_use]
    pub fn addresses(&self) -> usize {
        [&self.proven, &self.known, &self.unknown].map(Lane::addresses).into_iter().sum()
    }
}
