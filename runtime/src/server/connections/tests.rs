use super::*;

fn peer(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 1)
}

/// A table with so many connections for each address.
fn table(address: usize) -> Arc<Connections> {
    Connections::new(&Limits { unauthenticated_per_address: address, ..Limits::default() })
}

impl Connections {
    fn is_empty(&self) -> bool {
        self.table().is_empty()
    }
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_takes_none_of_anothers() {
    let connections = table(2);
    let first = connections.enter(peer("10.0.0.1")).unwrap();
    let _second = connections.enter(peer("10.0.0.1")).unwrap();
    assert!(connections.enter(peer("10.0.0.1")).is_none());
    assert!(connections.enter(peer("::ffff:10.0.0.1")).is_none(), "the same address");
    assert!(connections.enter(peer("10.0.0.2")).is_some());
    drop(first);
    assert!(connections.enter(peer("10.0.0.1")).is_some());
}

#[tokio::test]
async fn the_addresses_of_one_network_are_one_and_those_of_one_site_have_four_times_as_much() {
    let connections = table(1);
    let mut open = vec![connections.enter(peer("2001:db8:0:1::1")).unwrap()];
    assert!(connections.enter(peer("2001:db8:0:1:ffff::2")).is_none());
    for network in 2..=4 {
        open.push(connections.enter(peer(&format!("2001:db8:0:{network}::1"))).unwrap());
    }
    assert!(connections.enter(peer("2001:db8:0:5::1")).is_none());
    assert!(connections.enter(peer("2001:db8:1:5::1")).is_some(), "another site");
    open.pop();
    assert!(connections.enter(peer("2001:db8:0:5::1")).is_some());
}

#[tokio::test]
async fn a_connection_does_not_count_while_a_request_on_it_is_proven() {
    let connections = table(1);
    let one = connections.enter(peer("10.0.0.1")).unwrap();
    let (proof, other) = (one.proven(), one.proven());
    let two = connections.enter(peer("10.0.0.1")).unwrap();
    drop(proof);
    let proof = two.proven();
    let three = connections.enter(peer("10.0.0.1")).unwrap();
    drop(three);
    drop(other);
    assert!(connections.enter(peer("10.0.0.1")).is_none(), "the first one waits for its next request");
    drop((one, proof));
    assert!(connections.enter(peer("10.0.0.1")).is_none(), "so does the second one");
    drop(two);
    assert!(connections.is_empty(), "nothing is left of an address that is gone");
}

#[tokio::test]
async fn a_request_that_outlives_its_connection_leaves_nothing_behind() {
    let connections = table(1);
    let proof = connections.enter(peer("2001:db8::1")).unwrap().proven();
    drop(proof);
    assert!(connections.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_made_room_counts_for_nothing_whatever_is_proven_on_it_still() {
    let connections = Connections::new(&Limits { connections: 2, ..Limits::default() });
    let evicted = connections.enter(peer("10.0.0.1")).unwrap();
    let stays = connections.enter(peer("10.0.0.1")).unwrap();
    evicted.turn(Turn::Client);
    let newcomer = connections.enter(peer("10.0.0.2")).unwrap();
    evicted.evicted().await;
    let proof = evicted.proven();
    assert!(connections.enter(peer("10.0.0.3")).is_none(), "the place is the newcomer's");
    drop((proof, evicted, stays, newcomer));
    assert!(connections.is_empty());
}
