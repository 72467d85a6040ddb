//! What a new leader does before its first plan: it waits until no write of another can be under way, and until its watches
//! show everything that was stored by then.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt as _};
use tokio::time::{Instant, sleep};

use crate::leadership::Term;
use crate::list::{List, ListError};
use crate::own_writes::compare;
use crate::watch::Watches;
use crate::write::{WRITE_DEADLINE, Writer};

/// How long the watches are given to catch up before things are listed again: something may have been deleted meanwhile.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
/// How often the watches are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a list that failed is waited out, half of it jitter.
const AFTER_A_FAILURE: Duration = Duration::from_secs(2);

/// Returns once a plan may be made.
pub(super) async fn take_over(term: Term, writer: &Writer, watches: &Watches) {
    if !term.orderly {
        sleep(WRITE_DEADLINE).await;
    }
    loop {
        match lists(writer).await {
            Ok(lists) if caught_up_in_time(&lists, watches).await => return,
            Ok(_) => tracing::info!("watches have not caught up with a consistent list, listing again"),
            Err(error) => {
                tracing::warn!(%error, "could not list before the first plan");
                sleep(AFTER_A_FAILURE.mul_f64(1.0 - fastrand::f64() / 2.0)).await;
            }
        }
    }
}

/// What counts is counted from all four: limits from the policies, nodes in flight from shadows and records, and whose agent is
/// silent from the agents' pods.
struct Lists {
    nodes: List,
    shadows: List,
    policies: List,
    agents: List,
}

async fn lists(writer: &Writer) -> Result<Lists, ListError> {
    Ok(Lists {
        nodes: writer.list_nodes().await?,
        shadows: writer.list_shadows().await?,
        policies: writer.list_policies().await?,
        agents: writer.list_agents().await?,
    })
}

async fn caught_up_in_time(lists: &Lists, watches: &Watches) -> bool {
    let deadline = Instant::now() + CATCH_UP_WITHIN;
    loop {
        let all = caught_up(&lists.nodes, &versions(&watches.nodes))
            && caught_up(&lists.shadows, &versions(&watches.shadows))
            && caught_up(&lists.policies, &versions(&watches.policies))
            && caught_up(&lists.agents, &versions(&watches.pods));
        if all || Instant::now() >= deadline {
            return all;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn versions<K>(store: &Store<K>) -> BTreeMap<String, String>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    store.state().iter().map(|object| (object.name_any(), object.resource_version().unwrap_or_default())).collect()
}

/// Whether a store shows everything a list does, each object at least as new, and nothing that was gone by then.
fn caught_up(list: &List, stored: &BTreeMap<String, String>) -> bool {
    let shown = |(name, version): (&String, &String)| {
        stored.get(name).is_some_and(|stored| compare(stored, version) != Ordering::Less)
    };
    let lives = |(name, version): (&String, &String)| {
        list.versions.contains_key(name) || compare(version, &list.version) == Ordering::Greater
    };
    list.versions.iter().all(shown) && stored.iter().all(lives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(of: &[(&str, u32)]) -> BTreeMap<String, String> {
        of.iter().map(|(name, version)| ((*name).to_owned(), version.to_string())).collect()
    }

    #[test]
    fn a_store_has_caught_up_when_it_shows_all_of_a_list_and_nothing_that_was_gone() {
        let list = List { version: "20".to_owned(), versions: versions(&[("a", 9), ("b", 12)]) };
        let same = |stored: &[(&str, u32)]| caught_up(&list, &versions(stored));
        assert!(same(&[("a", 9), ("b", 12)]));
        assert!(same(&[("a", 10), ("b", 12), ("made-since", 21)]));
        assert!(!same(&[("a", 8), ("b", 12)]), "an older object");
        assert!(!same(&[("a", 9)]), "a missing object");
        assert!(!same(&[("a", 9), ("b", 12), ("gone", 15)]), "an object that was deleted by then");
    }
}
