//! The host's `version-lock`, read.

use api::versions;
use semver::Version;

/// What a version-lock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// The newest version that the host is offered.
    Latest,
    /// This version.
    Version(Version),
    /// Something this program does not know.
    Other,
}

impl Lock {
    /// Reads the setting's text: `latest`, or a version with or without a leading `v`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text == "latest" {
            return Self::Latest;
        }
        versions::locked(text).map_or(Self::Other, Self::Version)
    }

    /// Whether it names `version`.
    #[must_use]
    pub fn is(&self, version: &Version) -> bool {
        matches!(self, Self::Version(locked) if locked == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_latest_or_a_version_with_or_without_a_v() {
        assert_eq!(Lock::new("latest"), Lock::Latest);
        assert!(Lock::new("1.20.0").is(&Version::new(1, 20, 0)));
        assert!(Lock::new("v1.20.0").is(&Version::new(1, 20, 0)));
        assert!(!Lock::new("1.20.1").is(&Version::new(1, 20, 0)));
        for odd in ["", "Latest", "1.20", "vv1.20.0"] {
            assert_eq!(Lock::new(odd), Lock::Other, "{odd}");
        }
    }
}
