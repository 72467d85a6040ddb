//! The update repository that many hosts share, and which of its releases a host is offered.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use semver::Version;

use super::faults::{OnBoot, Reach};
use super::image::Image;
use super::partitions::Installed;
use super::settings::Lock;
use super::waves::Waves;

/// Variant of hosts and releases that say nothing else.
pub const VARIANT: &str = "aws-k8s-1.28";
/// Architecture of hosts and releases that say nothing else.
pub const ARCH: &str = "x86_64";

/// One entry of the repository's manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What is installed.
    pub image: Image,
    /// No host above this version stays there, and none is offered more. `None`: the newest version in the repository.
    pub max_version: Option<Version>,
    /// When it becomes visible.
    pub waves: Waves,
    /// How the image behaves when it is booted.
    pub on_boot: OnBoot,
}

impl Release {
    /// A good release for [`VARIANT`] on [`ARCH`], visible to all.
    #[must_use]
    pub fn new(version: Version) -> Self {
        let image = Image { arch: ARCH.to_owned(), version, variant: VARIANT.to_owned() };
        Self { image, max_version: None, waves: Waves::default(), on_boot: OnBoot::default() }
    }

    /// The same with another behaviour at boot.
    #[must_use]
    pub fn on_boot(self, on_boot: OnBoot) -> Self {
        Self { on_boot, ..self }
    }

    /// The same on a schedule.
    #[must_use]
    pub fn waves(self, waves: Waves) -> Self {
        Self { waves, ..self }
    }
}

#[derive(Debug, Default)]
struct Content {
    releases: Vec<Release>,
    reach: Reach,
}

/// A handle on the repository; clones are the same repository. It can be changed at any time, also while hosts use it.
#[derive(Clone, Debug, Default)]
pub struct Repository(Arc<RwLock<Content>>);

impl Repository {
    /// A repository with these releases.
    #[must_use]
    pub fn new(releases: impl IntoIterator<Item = Release>) -> Self {
        let repository = Self::default();
        releases.into_iter().for_each(|release| repository.publish(release));
        repository
    }

    /// A repository with good releases of these versions, visible to all.
    #[must_use]
    pub fn of(versions: impl IntoIterator<Item = Version>) -> Self {
        Self::new(versions.into_iter().map(Release::new))
    }

    fn write<R>(&self, change: impl FnOnce(&mut Content) -> R) -> R {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<R>(&self, look: impl FnOnce(&Content) -> R) -> R {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a release, or replaces the one of the same image.
    pub fn publish(&self, release: Release) {
        self.write(|content| {
            content.releases.retain(|known| known.image != release.image);
            content.releases.push(release);
        });
    }

    /// Withdraws every release of a version.
    pub fn withdraw(&self, version: &Version) {
        self.write(|content| content.releases.retain(|known| known.image.version != *version));
    }

    /// Changes every release, for example its waves or maximum version.
    pub fn change(&self, change: impl FnMut(&mut Release)) {
        self.write(|content| content.releases.iter_mut().for_each(change));
    }

    /// How far every host gets from now on.
    pub fn set_reach(&self, reach: Reach) {
        self.write(|content| content.reach = reach);
    }

    /// How far hosts get.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.read(|content| content.reach)
    }

    /// What a host that runs `running` is offered, newest first: its variant and architecture, not above the maximum, and
    /// let through by the waves. The running version and older ones are among them.
    pub(super) fn offers(&self, running: &Image, seed: u32, ignore_waves: bool, now: Timestamp) -> Vec<Offer> {
        let mut offers = self.read(|content| {
            let newest = content.releases.iter().map(|release| &release.image.version).max();
            let offer = |release: &Release| {
                let max_version = release.max_version.as_ref().or(newest)?.clone();
                let fits = release.image.variant == running.variant
                    && release.image.arch == running.arch
                    && release.image.version <= max_version
                    && (ignore_waves || release.waves.ready(seed, now));
                let installed = Installed { image: release.image.clone(), on_boot: release.on_boot };
                fits.then_some(Offer { installed, max_version })
            };
            content.releases.iter().filter_map(offer).collect::<Vec<_>>()
        });
        offers.sort_by(|a, b| b.version().cmp(a.version()));
        offers
    }
}

/// A release as a host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) installed: Installed,
    max_version: Version,
}

impl Offer {
    pub(super) const fn version(&self) -> &Version {
        &self.installed.image.version
    }
}

/// The one of `offers` (newest first) that a host running `running` would install: the locked version if that is another
/// one, else the first that is newer, or any when the running version was withdrawn.
pub(super) fn choose<'a>(offers: &'a [Offer], running: &Version, lock: &Lock) -> Option<&'a Offer> {
    match lock.version() {
        Some(locked) if locked == *running => None,
        Some(locked) => offers.iter().find(|offer| *offer.version() == locked),
        None => offers.iter().find(|offer| *running < *offer.version() || *running > offer.max_version),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn version(minor: u64) -> Version {
        Version::new(1, minor, 0)
    }

    fn running(minor: u64) -> Image {
        Release::new(version(minor)).image
    }

    fn offered(repository: &Repository, minor: u64) -> Vec<Offer> {
        repository.offers(&running(minor), 1_000, false, Timestamp::UNIX_EPOCH)
    }

    fn chosen(repository: &Repository, minor: u64, lock: &str) -> Option<Version> {
        let lock = Lock::try_from(lock.to_owned()).unwrap();
        choose(&offered(repository, minor), &version(minor), &lock).map(|offer| offer.version().clone())
    }

    #[test]
    fn offers_are_newest_first_and_hold_the_running_and_older_versions() {
        let repository = Repository::of([version(16), version(18), version(17)]);
        let versions: Vec<_> = offered(&repository, 17).iter().map(|offer| offer.version().clone()).collect();
        assert_eq!(versions, [version(18), version(17), version(16)]);
    }

    #[test]
    fn another_variant_or_architecture_is_not_offered() {
        let repository = Repository::of([version(16)]);
        for field in ["variant", "arch"] {
            let mut other = Release::new(version(17));
            match field {
                "variant" => other.image.variant = "metal-k8s-1.28".into(),
                _ => other.image.arch = "aarch64".into(),
            }
            repository.publish(other);
            assert_eq!(offered(&repository, 16).len(), 1, "{field}");
        }
    }

    #[test]
    fn a_wave_hides_a_version_unless_waves_are_ignored() {
        let later = Timestamp::UNIX_EPOCH + Duration::from_secs(60);
        let repository = Repository::of([version(16)]);
        repository.publish(Release::new(version(17)).waves(Waves::not_before(later)));
        assert_eq!(offered(&repository, 16).len(), 1);
        assert_eq!(repository.offers(&running(16), 1_000, true, Timestamp::UNIX_EPOCH).len(), 2);
        assert_eq!(repository.offers(&running(16), 1_000, false, later).len(), 2);
    }

    #[test]
    fn what_is_chosen_follows_lock_and_running_version() {
        let repository = Repository::of([version(16), version(17), version(18)]);
        for (running, lock, expected) in [
            (16, "latest", Some(18)),
            (18, "latest", None),
            (17, "1.16.0", Some(16)),
            (16, "v1.17.0", Some(17)),
            (17, "1.17.0", None),
            (17, "1.99.0", None),
        ] {
            assert_eq!(chosen(&repository, running, lock), expected.map(version), "{running} {lock}");
        }
    }

    #[test]
    fn a_release_taken_back_leads_down_to_the_newest_allowed() {
        let repository = Repository::of([version(16), version(17), version(18)]);
        repository.change(|release| release.max_version = Some(version(17)));
        assert_eq!(chosen(&repository, 18, "latest"), Some(version(17)));
        assert_eq!(chosen(&repository, 16, "latest"), Some(version(17)));
        assert_eq!(chosen(&repository, 17, "latest"), None);
    }

    #[test]
    fn publishing_the_same_image_replaces_it() {
        let repository = Repository::of([version(16)]);
        repository.publish(Release::new(version(16)).on_boot(OnBoot::Hangs));
        let offers = offered(&repository, 16);
        assert_eq!(offers.len(), 1);
        assert_eq!(offers[0].installed.on_boot, OnBoot::Hangs);
    }
}
