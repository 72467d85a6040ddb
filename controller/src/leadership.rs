//! Who of several controllers acts, decided from the Lease as it was seen and from nothing but the own monotonic clock.
//!
//! A Lease fences nothing by itself: the resourceVersions of the writes do. It keeps two controllers from counting the same
//! limit. So a leader ends its term, on its own clock, before anybody can have seen its Lease unchanged for the Lease's
//! duration, and whoever follows it without its consent waits for as long as a write of its may still be under way.
//!
//! Deleting the Lease while a controller leads takes this protection away for one renewal: whoever creates it anew cannot know
//! that there was one.

use std::time::Duration;

use tokio::time::Instant;

/// How long a Lease holds after it was last seen to change.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How often the leader renews it, at most; jitter makes it earlier.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);
/// A term ends this long after the last renewal that is known to be stored was sent.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a candidate looks, and how long a request that failed is waited out.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest duration that is believed of somebody else's Lease.
const LONGEST_DURATION: Duration = Duration::from_secs(60);

/// The Lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; `None` when it was given up.
    pub holder: Option<String>,
    /// Its resourceVersion.
    pub version: String,
    /// How long its holder says it holds.
    pub duration: Duration,
    /// How often it has changed hands.
    pub transitions: i32,
}

/// The time in which one controller acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// When it began. It names the term: renewals leave it as it is.
    pub began: Instant,
    /// When it ends unless it is renewed. Nothing is begun from here on.
    pub until: Instant,
    /// Whether the Lease was given up by whoever had it before, or nobody ever had it: then no write of another leader can be
    /// under way.
    pub orderly: bool,
}

/// What follows from the Lease as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Take it; `orderly` as in [`Term`].
    Acquire {
        /// Nobody can have been acting until now.
        orderly: bool,
    },
    /// Renew it.
    Renew,
    /// Somebody else has it.
    Wait,
    /// It is somebody else's now: stop acting.
    StepDown,
}

/// A write of the Lease, on condition that it is as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bid {
    /// The resourceVersion it was seen at; `None` when it is to be created.
    pub version: Option<String>,
    /// How often it has changed hands with this write.
    pub transitions: i32,
    /// Whether it begins a term, and then whether in order.
    pub begins: Option<bool>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read the Lease.
    Read,
    /// Write it.
    Write(Bid),
    /// Do nothing until then.
    Wait(Instant),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The Lease as it is stored; `None` when there is none.
    Lease(Option<Record>),
    /// It was not as it was seen.
    Conflict,
    /// Nobody knows.
    Unknown,
}

#[derive(Debug)]
struct SeenLease {
    record: Option<Record>,
    /// When it was first seen like this.
    since: Instant,
    /// Whether nothing was waited for since; else it has to be read again.
    fresh: bool,
}

/// One controller that leads or would like to.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    seen: Option<SeenLease>,
    term: Option<Term>,
    next: Option<Instant>,
}

impl Candidate {
    /// `identity` must be this process's alone.
    #[must_use]
    pub const fn new(identity: String) -> Self {
        Self { identity, seen: None, term: None, next: None }
    }

    /// Its name in the Lease.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The term, if it leads.
    #[must_use]
    pub const fn term(&self) -> Option<Term> {
        self.term
    }

    /// What to do at `now`. `jitter`, from 0 to 1, shortens a wait by up to a fifth.
    pub fn step(&mut self, now: Instant, jitter: f64) -> Step {
        if self.term.is_some_and(|term| term.until <= now) {
            self.step_down();
        }
        if let Some(next) = self.next.filter(|next| *next > now) {
            return Step::Wait(next);
        }
        let Some(seen) = self.seen.as_ref().filter(|seen| seen.fresh) else { return Step::Read };
        let transitions = seen.record.as_ref().map_or(0, |record| record.transitions);
        let version = seen.record.as_ref().map(|record| record.version.clone());
        match self.decide(seen, now) {
            Decision::Renew => Step::Write(Bid { version, transitions, begins: None }),
            Decision::Acquire { orderly } => {
                Step::Write(Bid { version, transitions: transitions.saturating_add(1), begins: Some(orderly) })
            }
            Decision::Wait => Step::Wait(self.pause(now, LOOK_EVERY, jitter)),
            Decision::StepDown => {
                self.step_down();
                Step::Wait(self.pause(now, LOOK_EVERY, jitter))
            }
        }
    }

    fn decide(&self, seen: &SeenLease, now: Instant) -> Decision {
        let holder = seen.record.as_ref().and_then(|record| record.holder.as_ref());
        let ours = holder == Some(&self.identity);
        match (self.term.is_some(), holder) {
            (true, _) if ours => Decision::Renew,
            (true, _) => Decision::StepDown,
            (false, None) => Decision::Acquire { orderly: true },
            // Taken in an attempt whose answer was lost, or left over from a term that ended.
            (false, Some(_)) if ours => Decision::Acquire { orderly: false },
            (false, Some(_)) => {
                let duration = seen.record.as_ref().map_or(LEASE_DURATION, |record| record.duration);
                let expired = now.duration_since(seen.since) >= duration.clamp(LEASE_DURATION, LONGEST_DURATION);
                if expired { Decision::Acquire { orderly: false } } else { Decision::Wait }
            }
        }
    }

    /// Takes in what was read.
    pub fn read(&mut self, answer: Answer, now: Instant, jitter: f64) {
        match answer {
            Answer::Lease(record) => self.see(record, now),
            Answer::Conflict | Answer::Unknown => {
                self.pause(now, LOOK_EVERY / 2, jitter);
            }
        }
    }

    /// Takes in what came of `bid`, which was sent at `sent`. The term counts from there: nobody saw it earlier.
    pub fn written(&mut self, bid: &Bid, sent: Instant, answer: Answer, now: Instant, jitter: f64) {
        match answer {
            Answer::Lease(record) => {
                self.see(record, now);
                let until = sent + RENEW_DEADLINE;
                self.term = match (bid.begins, self.term) {
                    (Some(orderly), _) => Some(Term { began: sent, until, orderly }),
                    (None, term) => term.map(|term| Term { until, ..term }),
                };
                self.next = Some(sent + shortened(RENEW_EVERY, jitter));
            }
            Answer::Conflict => self.forget_seen(),
            Answer::Unknown => {
                self.pause(now, LOOK_EVERY / 2, jitter);
            }
        }
    }

    /// The write that gives the Lease up; `None` when it was not ours when it was last seen.
    #[must_use]
    pub fn give_up(&self) -> Option<Bid> {
        let record = self.seen.as_ref()?.record.as_ref()?;
        (record.holder.as_ref() == Some(&self.identity)).then(|| Bid {
            version: Some(record.version.clone()),
            transitions: record.transitions,
            begins: None,
        })
    }

    fn see(&mut self, record: Option<Record>, now: Instant) {
        let same = self.seen.as_ref().filter(|seen| seen.record == record).map(|seen| seen.since);
        self.seen = Some(SeenLease { record, since: same.unwrap_or(now), fresh: true });
        self.next = None;
    }

    fn step_down(&mut self) {
        self.term = None;
        self.forget_seen();
    }

    /// The Lease has to be read again; since when it was seen as it is stays known.
    fn forget_seen(&mut self) {
        if let Some(seen) = &mut self.seen {
            seen.fresh = false;
        }
    }

    fn pause(&mut self, now: Instant, wait: Duration, jitter: f64) -> Instant {
        self.forget_seen();
        let next = now + shortened(wait, jitter);
        self.next = Some(next);
        next
    }
}

fn shortened(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 5.0)
}

#[cfg(test)]
#[path = "leadership_tests.rs"]
mod tests;
