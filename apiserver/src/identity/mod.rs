//! Proof of identity: a token is reviewed by Kubernetes, and the pod it is bound to must be the agent on the node that the
//! request names.
//!
//! ```text
//! headers ─► Caller ─► TokenClaims ─► Reviews (remembered?) ──────────────────────────────────────────────────► Identity
//!                                        └─► Confidence ─► Lanes ─► TokenReview, pod, Node ─► Evidence ─► authorize ─┘
//! ```
//!
//! Up to the lanes nothing is sent anywhere. What a token says of itself serves only to refuse and to choose a lane.

mod authorize;
mod claims;
mod confidence;
mod issuers;
mod lane;
mod lanes;
mod not_identified;
mod reviews;
#[cfg(test)]
mod samples;
mod token_claims;
#[cfg(test)]
mod token_claims_tests;

pub use authorize::{Denied, Evidence, PodIdentity, authorize};
pub use claims::Claims;
pub use confidence::{Confidence, confidence};
pub use issuers::{Issuers, follow_own_token};
pub use lane::{Bounds, COOL_DOWN, Crowded, Lane, ReviewPermit};
pub use lanes::Lanes;
pub use not_identified::NotIdentified;
pub use reviews::{CAPACITY, REFUSED, Remembered, Reviews, TTL, TokenLock};
pub use token_claims::{LEEWAY, TokenClaims, issuer};

/// A caller whose word was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The node it runs on.
    pub node: String,
    /// That Node's uid, as it was when the token was reviewed.
    pub node_uid: String,
    /// Whether it is an agent of ours.
    pub ours: bool,
}
