//! The two partition sets of a host's disk and the attribute bits that decide which of them boots.

use super::faults::OnBoot;
use super::image::Image;

/// One of the two partition sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The set the host was installed on.
    A,
    /// The other.
    B,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// GPT attributes of a set's boot partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The higher one boots; 0 is not considered by the boot loader.
    pub priority: u8,
    /// Boots left before the set is given up, unless it is `successful`.
    pub tries: u8,
    /// A boot from the set was marked good.
    pub successful: bool,
}

impl Attributes {
    /// The boot loader's view.
    const fn bootable(self) -> bool {
        self.priority > 0 && (self.tries > 0 || self.successful)
    }

    /// The update programs' view, which differs for a successful set with priority 0.
    const fn will_boot(self) -> bool {
        (self.priority > 0 && self.tries > 0) || self.successful
    }
}

/// What a set holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The image.
    pub image: Image,
    /// How it behaves when it is booted.
    pub on_boot: OnBoot,
}

/// A set. `content` is absent when it was never written, or not to the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Attribute bits.
    pub attributes: Attributes,
    /// The image written.
    pub content: Option<Installed>,
}

/// Why the inactive set cannot be marked for boot, in the words of the real programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUpgradable {
    /// It is marked already, or holds what ran before.
    #[error("Inactive partition /dev/nvme0n1 is already marked for upgrade")]
    AlreadyMarked,
    /// Nothing was written to it, or not to the end.
    #[error("Inactive partition /dev/nvme0n1 has not been marked valid for upgrade")]
    NotValid,
}

/// The disk of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    a: Set,
    b: Set,
    active: Side,
    running: Image,
}

impl Disk {
    /// A host as installed: `image` in set A, booted and marked good; set B blank.
    #[must_use]
    pub fn installed(image: Image) -> Self {
        let content = Some(Installed { image: image.clone(), on_boot: OnBoot::ComesUp });
        let attributes = Attributes { priority: 1, tries: 0, successful: true };
        Self { a: Set { attributes, content }, b: Set::default(), active: Side::A, running: image }
    }

    /// The image that runs.
    #[must_use]
    pub const fn running(&self) -> &Image {
        &self.running
    }

    /// The set it runs from.
    #[must_use]
    pub const fn active(&self) -> Side {
        self.active
    }

    /// One of the sets.
    #[must_use]
    pub const fn set(&self, side: Side) -> &Set {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// The set an update is written to.
    #[must_use]
    pub const fn inactive(&self) -> &Set {
        self.set(self.active.other())
    }

    const fn set_mut(&mut self, side: Side) -> &mut Set {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// Whether the update programs think that the running set boots next. `None`: neither would.
    pub(super) fn active_boots_next(&self) -> Option<bool> {
        let (a, b) = (self.a.attributes, self.b.attributes);
        let next = match (a.will_boot(), b.will_boot()) {
            (true, true) if a.priority >= b.priority => Side::A,
            (true, false) => Side::A,
            (_, true) => Side::B,
            (false, false) => return None,
        };
        Some(next == self.active)
    }

    /// What the boot loader does: picks the bootable set of the highest priority (A when equal) and takes one try off it.
    pub(super) fn pick(&mut self) -> Option<Side> {
        let (a, b) = (self.a.attributes, self.b.attributes);
        let side = match (a.bootable(), b.bootable()) {
            (true, true) if b.priority > a.priority => Side::B,
            (true, _) => Side::A,
            (false, true) => Side::B,
            (false, false) => return None,
        };
        let attributes = &mut self.set_mut(side).attributes;
        attributes.tries = attributes.tries.saturating_sub(1);
        Some(side)
    }

    /// The host came up from `side`. `false`: there is nothing to run on it.
    pub(super) fn run_from(&mut self, side: Side) -> bool {
        let Some(installed) = &self.set(side).content else {
            return false;
        };
        self.running = installed.image.clone();
        self.active = side;
        true
    }

    pub(super) const fn mark_successful(&mut self) {
        self.set_mut(self.active).attributes.successful = true;
    }

    /// First half of a prepare.
    pub(super) fn clear_inactive(&mut self) {
        *self.set_mut(self.active.other()) = Set::default();
    }

    /// Second half of a prepare: valid, but not yet next to boot.
    pub(super) fn write_inactive(&mut self, installed: Installed) {
        let set = self.set_mut(self.active.other());
        set.content = Some(installed);
        set.attributes.tries = 1;
    }

    /// An activate.
    pub(super) const fn upgrade(&mut self) -> Result<(), NotUpgradable> {
        let inactive = &mut self.set_mut(self.active.other()).attributes;
        if inactive.priority != 0 || inactive.successful {
            return Err(NotUpgradable::AlreadyMarked);
        }
        if inactive.tries == 0 {
            return Err(NotUpgradable::NotValid);
        }
        inactive.priority = 2;
        self.set_mut(self.active).attributes.priority = 1;
        Ok(())
    }

    /// A deactivate.
    pub(super) const fn cancel_upgrade(&mut self) {
        self.set_mut(self.active.other()).attributes.priority = 0;
        self.set_mut(self.active).attributes.priority = 2;
    }
}

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::*;

    fn image(minor: u64) -> Image {
        Image { arch: "x86_64".into(), version: Version::new(1, minor, 0), variant: "aws-k8s-1.28".into() }
    }

    fn prepared() -> Disk {
        let mut disk = Disk::installed(image(16));
        disk.clear_inactive();
        disk.write_inactive(Installed { image: image(17), on_boot: OnBoot::ComesUp });
        disk
    }

    #[test]
    fn a_prepared_set_does_not_boot_until_it_is_activated() {
        let mut disk = prepared();
        assert_eq!(disk.active_boots_next(), Some(true));
        assert_eq!(disk.clone().pick(), Some(Side::A));
        disk.upgrade().unwrap();
        assert_eq!(disk.active_boots_next(), Some(false));
        assert_eq!(disk.pick(), Some(Side::B));
    }

    #[test]
    fn a_set_that_is_never_marked_boots_exactly_once() {
        let mut disk = prepared();
        disk.upgrade().unwrap();
        assert_eq!(disk.pick(), Some(Side::B));
        assert!(disk.run_from(Side::B));
        assert_eq!(disk.active_boots_next(), Some(false));
        assert_eq!(disk.pick(), Some(Side::A));
    }

    #[test]
    fn a_marked_set_boots_again() {
        let mut disk = prepared();
        disk.upgrade().unwrap();
        assert_eq!(disk.pick(), Some(Side::B));
        assert!(disk.run_from(Side::B));
        disk.mark_successful();
        assert_eq!(disk.active_boots_next(), Some(true));
        assert_eq!(disk.pick(), Some(Side::B));
        assert_eq!(disk.running(), &image(17));
    }

    #[test]
    fn a_cancelled_upgrade_can_be_activated_again() {
        let mut disk = prepared();
        disk.upgrade().unwrap();
        assert_eq!(disk.upgrade(), Err(NotUpgradable::AlreadyMarked));
        disk.cancel_upgrade();
        assert_eq!(disk.active_boots_next(), Some(true));
        disk.upgrade().unwrap();
        assert_eq!(disk.pick(), Some(Side::B));
    }

    #[test]
    fn a_blank_or_half_written_set_cannot_be_activated() {
        let mut disk = Disk::installed(image(16));
        assert_eq!(disk.upgrade(), Err(NotUpgradable::NotValid));
        let mut disk = prepared();
        disk.clear_inactive();
        assert_eq!(disk.upgrade(), Err(NotUpgradable::NotValid));
    }

    #[test]
    fn set_a_wins_when_both_are_equal() {
        let mut disk = prepared();
        disk.upgrade().unwrap();
        disk.a.attributes = disk.b.attributes;
        assert_eq!(disk.active_boots_next(), Some(true));
        assert_eq!(disk.pick(), Some(Side::A));
    }

    #[test]
    fn preparing_on_an_unmarked_boot_destroys_the_only_good_set() {
        let mut disk = prepared();
        disk.upgrade().unwrap();
        assert_eq!(disk.pick(), Some(Side::B));
        assert!(disk.run_from(Side::B));
        disk.clear_inactive();
        assert_eq!(disk.active_boots_next(), None);
        assert_eq!(disk.pick(), None);
    }
}
