//! The settings a client can read and change: `updates`, and `motd` to stand for all the others.

use std::collections::BTreeMap;

use api::versions;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `settings.updates.version-lock`: `latest`, or a version with or without a leading `v`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Lock(String);

/// Text that is neither `latest` nor a version. The words are the real server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unable to deserialize into FriendlyVersion: Invalid version string '{0}'")]
pub struct InvalidVersion(String);

impl Lock {
    /// The version it pins; `None` for `latest`.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        versions::locked(&self.0)
    }
}

impl Default for Lock {
    fn default() -> Self {
        Self("latest".to_owned())
    }
}

impl TryFrom<String> for Lock {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        let lock = Self(text);
        if lock.0 == "latest" || lock.version().is_some() { Ok(lock) } else { Err(InvalidVersion(lock.0)) }
    }
}

/// A settings document, whole or in part; the field order is that on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Message of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motd: Option<String>,
    /// What decides over updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<Updates>,
}

/// `settings.updates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Updates {
    /// Where the repository's metadata is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_base_url: Option<String>,
    /// Where its images are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets_base_url: Option<String>,
    /// The host's place in the waves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Which version to install.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_lock: Option<Lock>,
    /// Whether waves count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_waves: Option<bool>,
}

impl Settings {
    /// What a host has after its first boot.
    #[must_use]
    pub fn initial(seed: u32) -> Self {
        let base = |part| Some(format!("https://updates.invalid/{part}/"));
        let updates = Updates {
            metadata_base_url: base("metadata"),
            targets_base_url: base("targets"),
            seed: Some(seed),
            version_lock: Some(Lock::default()),
            ignore_waves: Some(false),
        };
        Self { motd: Some("Welcome to Bottlerocket!".to_owned()), updates: Some(updates) }
    }
}

/// Settings as the datastore keeps them: a value for every dotted key.
pub(super) type Keys = BTreeMap<String, Value>;

/// The keys that `settings` gives a value.
pub(super) fn flatten(settings: &Settings) -> Keys {
    let mut keys = Keys::new();
    let mut open = vec![("settings".to_owned(), serde_json::to_value(settings).unwrap_or_default())];
    while let Some((key, value)) = open.pop() {
        match value {
            Value::Object(fields) => {
                open.extend(fields.into_iter().map(|(field, value)| (format!("{key}.{field}"), value)));
            }
            value => {
                keys.insert(key, value);
            }
        }
    }
    keys
}

/// The document that `keys` make up.
pub(super) fn unflatten<'a>(keys: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Settings {
    let mut root = Map::new();
    for (key, value) in keys {
        insert(&mut root, key.strip_prefix("settings.").unwrap_or(key), value);
    }
    serde_json::from_value(Value::Object(root)).unwrap_or_default()
}

fn insert(object: &mut Map<String, Value>, path: &str, value: &Value) {
    let Some((segment, rest)) = path.split_once('.') else {
        object.insert(path.to_owned(), value.clone());
        return;
    };
    let inner = object.entry(segment).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = inner {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_latest_or_a_whole_version() {
        for good in ["latest", "1.17.0", "v1.17.0", "1.17.0-rc.1"] {
            assert!(Lock::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "v1", "1.0", "vv1.0.0", "Latest", "1.17.0 "] {
            assert!(Lock::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_settings_document_survives_the_way_through_the_keys() {
        let settings = Settings::initial(7);
        let keys = flatten(&settings);
        assert_eq!(
            keys.keys().map(String::as_str).collect::<Vec<_>>(),
            [
                "settings.motd",
                "settings.updates.ignore-waves",
                "settings.updates.metadata-base-url",
                "settings.updates.seed",
                "settings.updates.targets-base-url",
                "settings.updates.version-lock",
            ]
        );
        assert_eq!(unflatten(&keys), settings);
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for bad in [
            r#"{"updates":{"versionlock":"1.17.0"}}"#,
            r#"{"settings":{"updates":{}}}"#,
            r#"{"updates":{"seed":-1}}"#,
            r#"{"updates":{"seed":"7"}}"#,
            r#"{"updates":{"ignore-waves":"true"}}"#,
            r#"{"updates":{"version-lock":"v1"}}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Settings>(bad).is_err(), "{bad}");
        }
    }
}
