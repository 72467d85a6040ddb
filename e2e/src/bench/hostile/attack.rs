//! What an attack is.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::gains::Gains;
use super::server::Server;

/// What attackers work with.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) server: Arc<Server>,
    pub(crate) gains: Arc<Gains>,
}

/// One attack. It goes on until it is dropped, and everything it has begun ends with it.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What the attackers do, for people.
    pub(crate) what: &'static str,
    begin: Box<dyn Fn(Field) -> BoxFuture<'static, ()> + Send + Sync>,
}

impl Attack {
    pub(crate) fn new<F>(
        name: &'static str,
        what: &'static str,
        begin: impl Fn(Field) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name, what, begin: Box::new(move |field| begin(field).boxed()) }
    }

    pub(super) fn begin(&self, field: Field) -> BoxFuture<'static, ()> {
        (self.begin)(field)
    }
}
