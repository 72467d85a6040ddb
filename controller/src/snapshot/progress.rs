//! What is being worked on, told to whoever waits for a plan that does not come.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What of a policy is being read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// All of its spec is read.
    Read,
    /// Its schedule is evaluated.
    Schedule,
    /// Its health check of this name is asked of a Node.
    Check(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read its spec"),
            Self::Schedule => f.write_str("evaluate its schedule"),
            Self::Check(name) => write!(f, "evaluate its health check {name}"),
        }
    }
}

/// A policy whose text is being worked on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its name.
    pub policy: String,
    /// Its uid.
    pub uid: String,
    /// The generation that is worked on.
    pub generation: Option<i64>,
    /// What is done with it.
    pub step: Step,
}

/// Where the work on a snapshot and its plan is. Clones are the same one. Nothing is decided by it.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<Position>>);

#[derive(Debug, Clone, Default)]
struct Position {
    place: Option<Place>,
    at_work: bool,
}

impl Progress {
    /// Says that the work is at `place` for as long as `work` takes.
    pub fn at<T>(&self, place: Place, work: impl FnOnce() -> T) -> T {
        *self.position() = Position { place: Some(place), at_work: true };
        let outcome = work();
        self.position().at_work = false;
        outcome
    }

    /// Where the work is now; `None` where it is at no policy's text.
    #[must_use]
    pub fn now(&self) -> Option<Place> {
        let position = self.position();
        position.place.clone().filter(|_| position.at_work)
    }

    /// Where the work was when it was at a policy's text last.
    #[must_use]
    pub fn last(&self) -> Option<Place> {
        self.position().place.clone()
    }

    /// The lock is held for plain assignments only, so a poisoned one is as good as any.
    fn position(&self) -> MutexGuard<'_, Position> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_left_when_the_work_there_is_done() {
        let progress = Progress::default();
        let place = Place { policy: "default".to_owned(), uid: "u".to_owned(), generation: Some(1), step: Step::Read };
        let waiting = progress.clone();
        progress.at(place.clone(), || assert_eq!(waiting.now(), Some(place.clone())));
        assert_eq!((waiting.now(), waiting.last()), (None, Some(place)));
    }
}
