//! The memory that a component's container may have.

use anyhow::Context;

use crate::install::Manifest;

/// The limit of the Deployment's container, in bytes, as the shipped manifest says.
pub(super) fn limit(deployment: &str) -> anyhow::Result<u64> {
    let manifest = Manifest::shipped()?;
    let found = manifest.find("Deployment", deployment).with_context(|| format!("no Deployment {deployment}"))?;
    let limit = found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"].as_str();
    let limit = limit.with_context(|| format!("deployment {deployment} has no limit of memory"))?;
    bytes(limit).with_context(|| format!("{limit} is no amount of mebibytes or gibibytes"))
}

fn bytes(quantity: &str) -> Option<u64> {
    let units = [("Mi", 20), ("Gi", 30)];
    let (number, shift) =
        units.iter().find_map(|(unit, shift)| quantity.strip_suffix(unit).map(|number| (number, shift)))?;
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_manifest_that_people_apply() {
        assert!(limit("brupop-apiserver").unwrap() > limit("brupop-webhook").unwrap());
        assert!(limit("brupop-nobody").is_err());
        assert_eq!((bytes("512Mi"), bytes("2Gi"), bytes("1")), (Some(512 << 20), Some(2 << 30), None));
    }
}
