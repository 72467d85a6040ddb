//! The operator on real kubelets: installed from its manifest and its image alone. Needs root and some packages of the
//! distribution; where they are missing each test says so and does nothing, unless `REAL_NODES=required`.

#![cfg(test)]

mod loss;
mod power;
mod rollout;
mod single;
mod site;
mod socket;
mod upgrade;
