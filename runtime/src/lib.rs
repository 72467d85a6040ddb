//! What every program of the operator needs around its own work, and nothing of the work itself.
//!
//! ```text
//! LogArgs ──► logging::init
//! Signals ──► Supervisor::run ──► one CancellationToken ──► the program's tasks
//!                                                            ├─ Condition, Heartbeat ──► Health ──► /livez /readyz
//! folder ──► ServingCertificate ──► server::serve ◄── Router ┘                          Registry ──► /metrics
//! NewEvent ──► Recorder ──► Publisher ──► what the program writes Events with
//! ```
//!
//! There is no Kubernetes client in here.

pub mod backoff;
pub mod clock;
pub mod events;
pub mod expiring_map;
pub mod health;
pub mod logging;
pub mod server;
pub mod shutdown;
pub mod supervise;
pub mod tls;
