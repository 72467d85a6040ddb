//! Live settings, open transactions, and the delay until the update programs see a change.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::settings::{Keys, Settings, Updates, flatten, unflatten};

/// The settings of a host. Live ones outlast a boot, open transactions do not.
#[derive(Clone, Debug)]
pub struct Datastore {
    live: Keys,
    pending: BTreeMap<String, Keys>,
    /// What the update programs' configuration files say.
    rendered: Updates,
    /// When these will next be written.
    renders: BTreeSet<Timestamp>,
}

impl Datastore {
    /// A datastore with these live settings, rendered.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let mut datastore = Self {
            live: flatten(settings),
            pending: BTreeMap::new(),
            rendered: Updates::default(),
            renders: BTreeSet::new(),
        };
        datastore.boot();
        datastore
    }

    /// A boot renders all files before the API answers, and forgets what was not committed.
    pub(super) fn boot(&mut self) {
        self.pending.clear();
        self.renders.clear();
        self.rendered = self.settings().updates.unwrap_or_default();
    }

    /// The live settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        unflatten(&self.live)
    }

    /// What the update programs work with, which trails the live settings.
    #[must_use]
    pub const fn rendered(&self) -> &Updates {
        &self.rendered
    }

    /// The live settings whose dotted key passes.
    pub(super) fn select(&self, pass: impl Fn(&str) -> bool) -> Settings {
        unflatten(self.live.iter().filter(|(key, _)| pass(key)))
    }

    pub(super) fn transactions(&self) -> Vec<&str> {
        self.pending.keys().map(String::as_str).collect()
    }

    pub(super) fn pending(&self, transaction: &str) -> Settings {
        self.pending.get(transaction).map(unflatten).unwrap_or_default()
    }

    /// Adds to a transaction. One is not opened by a document without a value.
    pub(super) fn patch(&mut self, transaction: &str, settings: &Settings) {
        let keys = flatten(settings);
        if !keys.is_empty() {
            self.pending.entry(transaction.to_owned()).or_default().extend(keys);
        }
    }

    /// Makes a transaction live; the keys it had a value for, also where that is the same as before.
    pub(super) fn commit(&mut self, transaction: &str) -> Vec<String> {
        let keys = self.pending.remove(transaction).unwrap_or_default();
        let changed = keys.keys().cloned().collect();
        self.live.extend(keys);
        changed
    }

    pub(super) fn discard(&mut self, transaction: &str) -> Vec<String> {
        self.pending.remove(transaction).unwrap_or_default().into_keys().collect()
    }

    /// The configuration files will be written at `at`, with what is live then.
    pub(super) fn render_at(&mut self, at: Timestamp) {
        self.renders.insert(at);
    }

    pub(super) fn next_render(&self) -> Option<Timestamp> {
        self.renders.first().copied()
    }

    pub(super) fn render(&mut self) {
        self.renders.pop_first();
        self.rendered = self.settings().updates.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(version: &str) -> Settings {
        serde_json::from_value(serde_json::json!({ "updates": { "version-lock": version } })).unwrap()
    }

    fn live_lock(datastore: &Datastore) -> String {
        let locked = datastore.settings().updates.unwrap().version_lock.unwrap();
        locked.version().map_or_else(|| "latest".to_owned(), |version| version.to_string())
    }

    #[test]
    fn a_change_is_pending_then_live_then_rendered() {
        let mut datastore = Datastore::new(&Settings::initial(7));
        datastore.patch("mine", &lock("1.17.0"));
        assert_eq!(datastore.transactions(), ["mine"]);
        assert_eq!(datastore.pending("mine"), lock("1.17.0"));
        assert_eq!(live_lock(&datastore), "latest");

        assert_eq!(datastore.commit("mine"), ["settings.updates.version-lock"]);
        assert_eq!(live_lock(&datastore), "1.17.0");
        assert!(datastore.transactions().is_empty());
        assert_eq!(datastore.rendered().version_lock.as_ref().unwrap().version(), None);

        datastore.render_at(Timestamp::UNIX_EPOCH);
        datastore.render();
        assert_eq!(datastore.rendered(), &datastore.settings().updates.unwrap());
        assert_eq!(datastore.next_render(), None);
    }

    #[test]
    fn transactions_do_not_see_each_other() {
        let mut datastore = Datastore::new(&Settings::initial(7));
        datastore.patch("mine", &lock("1.17.0"));
        datastore.patch("default", &lock("1.18.0"));
        datastore.commit("mine");
        assert_eq!(live_lock(&datastore), "1.17.0");
        assert_eq!(datastore.discard("default"), ["settings.updates.version-lock"]);
        assert!(datastore.commit("default").is_empty());
        assert_eq!(live_lock(&datastore), "1.17.0");
    }

    #[test]
    fn the_same_value_again_is_a_change_and_an_empty_document_is_none() {
        let mut datastore = Datastore::new(&Settings::initial(7));
        datastore.patch("mine", &lock("latest"));
        assert_eq!(datastore.commit("mine"), ["settings.updates.version-lock"]);
        datastore.patch("mine", &Settings::default());
        assert!(datastore.transactions().is_empty());
        assert!(datastore.commit("mine").is_empty());
    }

    #[test]
    fn a_boot_keeps_what_is_live_and_forgets_what_is_pending() {
        let mut datastore = Datastore::new(&Settings::initial(7));
        datastore.patch("mine", &lock("1.17.0"));
        datastore.commit("mine");
        datastore.patch("mine", &lock("1.18.0"));
        datastore.boot();
        assert_eq!(live_lock(&datastore), "1.17.0");
        assert!(datastore.transactions().is_empty());
        assert_eq!(datastore.rendered(), &datastore.settings().updates.unwrap());
    }
}
