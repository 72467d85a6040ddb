//! The objects of a manifest.

use anyhow::Context;
use serde_json::Value;

use super::{FILE, workspace};

/// A manifest, object by object.
#[derive(Clone, Debug)]
pub struct Manifest(Vec<Value>);

impl Manifest {
    /// The one that people apply.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn shipped() -> anyhow::Result<Self> {
        let path = workspace(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| FILE.to_owned())
    }

    /// The objects of YAML documents.
    ///
    /// # Errors
    /// When one of them is no YAML.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let objects = text.split("\n---\n").filter(|document| !document.trim().is_empty());
        Ok(Self(objects.map(serde_saphyr::from_str).collect::<Result<_, _>>()?))
    }

    /// Those whose API group and kind are of the wanted kind; the group of `v1` is empty.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str, &str) -> bool) -> Self {
        let matches = |object: &&Value| wanted(group(object), kind(object));
        Self(self.0.iter().filter(matches).cloned().collect())
    }

    /// The objects, in the order they are applied in.
    #[must_use]
    pub fn objects(&self) -> &[Value] {
        &self.0
    }

    /// The object of this kind and name, if there is one.
    #[must_use]
    pub fn find(&self, wanted: &str, name: &str) -> Option<&Value> {
        self.0.iter().find(|object| kind(object) == wanted && object["metadata"]["name"] == name)
    }

    /// As kubectl takes it.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n")
    }
}

fn group(object: &Value) -> &str {
    object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group)
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_apart_by_group_and_kind() {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.objects().len(), 2);
        assert_eq!(manifest.only(|group, _| group == "apps").objects()[0]["metadata"]["name"], "b");
        assert_eq!(manifest.only(|group, kind| group.is_empty() && kind == "Service").objects().len(), 1);
        assert!(manifest.find("Deployment", "b").is_some() && manifest.find("Deployment", "a").is_none());
        assert!(Manifest::parse(&manifest.text()).unwrap().find("Service", "a").is_some());
    }
}
