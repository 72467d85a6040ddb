//! Which of the versions that nodes name are listed, where there is not room for all.
//!
//! A node names what it runs, what it is asked for, and up to 32 versions that it is offered; what an agent says of those nobody can
//! check. So the list is filled in turns: first what every node runs, then the next that each names, and so on. However many versions
//! a few nodes make up, they have a node's share each, and what the others run and are offered is listed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use api::policy::MAX_LISTED_VERSIONS;
use semver::Version;

use super::{Alive, KEPT};

/// Most versions of living nodes that are listed: the rest of the list is for those that nobody names any more.
const ROOM: usize = MAX_LISTED_VERSIONS - KEPT;

/// The versions that may be listed; all of them, unless there are more than there is room for.
pub(super) fn listable<'a>(alive: &Alive<'a>) -> BTreeSet<&'a Version> {
    if alive.versions.len() <= ROOM {
        return alive.versions.clone();
    }
    // The turn in which a version comes, and how many nodes name it.
    let mut turns: BTreeMap<&Version, (usize, usize)> = BTreeMap::new();
    for (list, nodes) in &alive.lists {
        for (turn, version) in list.iter().enumerate() {
            let (first, named) = turns.entry(version).or_insert((turn, 0));
            *first = turn.min(*first);
            *named += nodes;
        }
    }
    let mut order: Vec<_> = turns.into_iter().collect();
    order.sort_by_key(|(version, (turn, named))| (*turn, Reverse(*named), Reverse(*version)));
    order.into_iter().take(ROOM).map(|(version, _)| version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of the lists is named by one node.
    fn alive(lists: &[Vec<Version>]) -> Alive<'_> {
        Alive {
            versions: lists.iter().flatten().collect(),
            lists: lists.iter().map(|list| (list.iter().collect(), 1)).collect(),
            ..Alive::default()
        }
    }

    /// What a node names that makes everything up.
    fn made_up(node: u64) -> Vec<Version> {
        (0..34).map(|version| Version::new(900 + node, version, 0)).collect()
    }

    fn honest() -> Vec<Version> {
        (0..6).rev().map(|minor| Version::new(1, minor, 0)).collect()
    }

    #[test]
    fn however_many_versions_some_nodes_make_up_what_the_others_name_is_listed() {
        for liars in [0, 1, 27, 28, 40, 150] {
            let mut lists: Vec<_> = (0..liars).map(made_up).collect();
            lists.push(honest());
            let alive = alive(&lists);
            let listed = listable(&alive);
            assert!(listed.len() <= ROOM, "{liars} fill the list");
            assert!(honest().iter().all(|version| listed.contains(version)), "{liars} crowd out what is offered");
        }
    }

    #[test]
    fn everything_is_listed_while_there_is_room() {
        let lists: Vec<_> = (0..28).map(made_up).collect();
        assert_eq!(listable(&alive(&lists)).len(), 28 * 34);
    }

    #[test]
    fn one_node_among_many_that_lie_has_a_share_as_large_as_theirs() {
        let mut lists: Vec<_> = (0..900).map(made_up).collect();
        lists.push(honest());
        let alive = alive(&lists);
        assert!(listable(&alive).contains(&honest()[0]));
    }

    #[test]
    fn what_many_nodes_name_in_the_same_words_is_not_crowded_out_by_as_many_different_lies() {
        // They take every turn's room, with newer versions.
        let mut lists: Vec<_> = (0..1000).map(made_up).collect();
        lists.push(honest());
        let mut alive = alive(&lists);
        assert!(!listable(&alive).contains(&honest()[0]), "one node's word");
        alive.lists.iter_mut().rev().take(1).for_each(|(_, nodes)| *nodes = 4000);
        assert!(listable(&alive).contains(&honest()[0]), "thousands'");
    }
}
