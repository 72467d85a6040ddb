//! Floods of made-up tokens, and whoever is honest beside them. In all of them a TokenReview takes a second.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use api::wire::{AGENT_VERSION_HEADER, NODE_NAME_HEADER, NODE_RESOURCE, Reason, TOKEN_HEADER};
use apiserver::identity::REFUSED;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures::future::{Either, join_all, select};
use http::Request;
use http::header::RETRY_AFTER;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::fake::pod_path;
use crate::site::{Answer, Site, agent_pod, review};
use crate::tokens::{ISSUER, claims_with, good, in_the_agents_name, made_up, token};

const REVIEWS: &str = "tokenreviews";
/// How long a review takes, with all that is asked after it.
const ONE_REVIEW: Duration = Duration::from_millis(1100);

#[derive(Clone, Copy)]
enum Kind {
    Ours,
    Original,
}

async fn slow() -> Site {
    let site = Site::new().await;
    site.world().review_takes = Duration::from_secs(1);
    site
}

impl Site {
    /// Reads the shadow of node `a` with this token, from this address.
    async fn read_from(&self, address: &str, kind: Kind, token: &str) -> Answer {
        let request = Request::get(NODE_RESOURCE).header(NODE_NAME_HEADER, "a").header(TOKEN_HEADER, token);
        let request = match kind {
            Kind::Ours => request.header(AGENT_VERSION_HEADER, "0.1.0"),
            Kind::Original => request,
        };
        let mut request = request.body(Body::empty()).unwrap();
        let peer: SocketAddr = format!("{address}:1").parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        self.send(request).await
    }

    /// Many callers at one address, each with one token after the other, for ever.
    async fn flood(&self, address: &str, kind: Kind, tokens: impl Fn(usize) -> String) {
        let tokens = &tokens;
        let callers = (0..64).map(async |caller| {
            for number in 0.. {
                let answer = self.read_from(address, kind, &tokens(caller * 1_000_000 + number)).await;
                assert!([401, 503].contains(&answer.status), "{answer:?}");
                sleep(Duration::from_millis(500)).await;
            }
        });
        join_all(callers).await;
    }

    /// Kubernetes knows this token, as that of the agent's pod under another uid, which the watch has not shown.
    fn just_started(&self, uid: &str) -> String {
        let token = token(&claims_with("/kubernetes.io/pod/uid", json!(uid)));
        let mut known = review();
        known["user"]["extra"]["authentication.kubernetes.io/pod-uid"] = json!([uid]);
        let mut pod = agent_pod();
        pod["metadata"]["uid"] = uid.into();
        let mut world = self.world();
        world.tokens.insert(token.clone(), known);
        world.put(&pod_path("brupop", "agent-a"), pod);
        token
    }
}

/// What comes of something while something else goes on.
async fn beside<T>(other: impl Future<Output = ()>, something: impl Future<Output = T>) -> T {
    let (other, something) = (std::pin::pin!(other), std::pin::pin!(something));
    match select(something, other).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => panic!("it does not end"),
    }
}

/// Whether the answer is the shadow, and after what time it came.
async fn timed(answer: impl Future<Output = Answer>) -> (u16, Duration) {
    let begin = Instant::now();
    let answer = answer.await;
    (answer.status, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_an_agents_are_never_sent_anywhere() {
    let site = slow().await;
    let made_up = |pointer: &str, value: Value| {
        let mut claims = claims_with("/kubernetes.io/pod", json!({"name": "agent-b", "uid": "made-up"}));
        *claims.pointer_mut(pointer).unwrap() = value;
        token(&claims)
    };
    let (unauthenticated, forbidden) = ((401, Reason::Unauthenticated), (403, Reason::Forbidden));
    let cases = [
        ("malformed", "abc".to_owned(), unauthenticated),
        ("audience", token(&claims_with("/aud", json!(["https://kubernetes.default.svc"]))), unauthenticated),
        ("issuer", made_up("/iss", json!("https://elsewhere")), unauthenticated),
        ("expired", made_up("/exp", json!(1_000_000_000)), unauthenticated),
        ("not_yet_valid", made_up("/nbf", json!(4_000_000_000_i64)), unauthenticated),
        ("no_service_account", token(&claims_with("/sub", json!("kubernetes-admin"))), forbidden),
        ("service_account", token(&claims_with("/sub", json!("system:serviceaccount:brupop:default"))), forbidden),
        ("unbound", token(&claims_with("/kubernetes.io/pod", Value::Null)), forbidden),
        ("node", token(&claims_with("/kubernetes.io/node/name", json!("b"))), forbidden),
    ];
    for (why, token, expected) in cases {
        for kind in [Kind::Ours, Kind::Original] {
            assert_eq!(site.read_from("10.0.0.1", kind, &token).await.refusal(), expected, "{why}");
        }
        let counted = site.scraped(&format!("brupop_apiserver_unauthenticated_requests_total{{reason=\"{why}\"}}"));
        assert!((counted - 2.0).abs() < 0.1, "{why}: {counted}");
    }
    assert!(site.world().asked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_made_up_tokens_leaves_the_wait_of_the_others_unchanged() {
    for kind in [Kind::Ours, Kind::Original] {
        let site = slow().await;
        let honest = async {
            sleep(Duration::from_secs(30)).await;
            let just_started = site.just_started("new");
            let known = timed(site.read_from("10.0.0.2", kind, good())).await;
            // The fake knows one pod on the node at a time.
            let unknown = timed(site.read_from("10.0.0.3", kind, &just_started)).await;
            (known, unknown)
        };
        let (known, unknown) = beside(site.flood("10.0.0.1", kind, made_up), honest).await;
        assert!(known.0 == 200 && known.1 < ONE_REVIEW, "{known:?}");
        assert!(unknown.0 == 200 && unknown.1 < ONE_REVIEW, "{unknown:?}");
        // Two at a time, a second each, and a second of rest.
        let reviews = site.world().count(REVIEWS);
        assert!((20..=40).contains(&reviews), "{reviews} reviews within half a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn many_flooding_addresses_keep_a_pod_that_just_started_waiting_for_their_shares_only() {
    let site = slow().await;
    let addresses: Vec<_> = (0..8).map(|last| format!("10.0.1.{last}")).collect();
    let floods = async {
        join_all(addresses.iter().map(|address| site.flood(address, Kind::Ours, made_up))).await;
    };
    let honest = async {
        sleep(Duration::from_secs(5)).await;
        let just_started = site.just_started("new");
        let known = timed(site.read_from("10.0.0.2", Kind::Ours, good())).await;
        (known, timed(site.read_from("10.0.0.3", Kind::Ours, &just_started)).await)
    };
    let (known, unknown) = beside(floods, honest).await;
    assert!(known.0 == 200 && known.1 < ONE_REVIEW, "{known:?}");
    // Eight times two in front of it, eight at a time.
    assert!(unknown.0 == 200 && unknown.1 < 3 * ONE_REVIEW, "{unknown:?}");
}

#[tokio::test(start_paused = true)]
async fn agents_behind_the_address_of_a_flood_are_known_by_their_pods() {
    let site = slow().await;
    let honest = async {
        sleep(Duration::from_secs(5)).await;
        timed(site.read_from("10.0.0.1", Kind::Ours, good())).await
    };
    let known = beside(site.flood("10.0.0.1", Kind::Ours, made_up), honest).await;
    assert!(known.0 == 200 && known.1 < ONE_REVIEW, "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_knows_the_agents_pods_floods_its_own_share_only() {
    let site = slow().await;
    let honest = async {
        sleep(Duration::from_secs(5)).await;
        timed(site.read_from("10.0.0.2", Kind::Ours, good())).await
    };
    let known = beside(site.flood("10.0.0.1", Kind::Ours, in_the_agents_name), honest).await;
    assert!(known.0 == 200 && known.1 < ONE_REVIEW, "{known:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_proven_lately_waits_behind_nobody() {
    let site = slow().await;
    assert_eq!(site.read_from("10.0.0.1", Kind::Ours, good()).await.status, 200);
    sleep(Duration::from_secs(61)).await;
    let honest = async {
        sleep(Duration::from_secs(5)).await;
        timed(site.read_from("10.0.0.1", Kind::Ours, good())).await
    };
    let again = beside(site.flood("10.0.0.1", Kind::Ours, in_the_agents_name), honest).await;
    assert!(again.0 == 200 && again.1 < ONE_REVIEW, "{again:?}");
    assert!(again.1 >= Duration::from_secs(1), "it was reviewed anew: {again:?}");
}

#[tokio::test(start_paused = true)]
async fn ours_is_told_to_ask_again_where_an_original_waits() {
    let site = slow().await;
    let just_started = site.just_started("new");
    let (ours, original) = beside(site.flood("10.0.0.1", Kind::Ours, made_up), async {
        sleep(Duration::from_secs(5)).await;
        let ours = site.read_from("10.0.0.1", Kind::Ours, &just_started).await;
        let original = timed(site.read_from("10.0.0.1", Kind::Original, &just_started)).await;
        (ours, original)
    })
    .await;
    assert_eq!((ours.refusal(), &ours.headers[RETRY_AFTER]), ((503, Reason::Unavailable), &"1".parse().unwrap()));
    assert!(original.0 == 200 && original.1 < Duration::from_secs(30), "{original:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_costs_one_review_for_all_who_send_it_again() {
    let site = slow().await;
    let forged = made_up(0);
    let answers = join_all((0..40).map(|_| site.read_from("10.0.0.1", Kind::Ours, &forged))).await;
    assert!(answers.iter().all(|answer| answer.refusal() == (401, Reason::Unauthenticated)));
    assert_eq!(site.world().count(REVIEWS), 1);
    sleep(2 * REFUSED).await;
    site.read_from("10.0.0.1", Kind::Ours, &forged).await;
    assert_eq!(site.world().count(REVIEWS), 2, "after a while it is asked again");
}

#[tokio::test(start_paused = true)]
async fn refused_tokens_leave_nothing_behind() {
    let site = slow().await;
    beside(site.flood("10.0.0.1", Kind::Ours, made_up), sleep(Duration::from_secs(5))).await;
    sleep(Duration::from_secs(60)).await;
    assert!(site.app.reviews.is_empty());
    assert_eq!(site.app.lanes.addresses(), 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_change_of_issuer_agents_go_on_and_the_new_one_is_learnt() {
    let site = slow().await;
    let newer = token(&claims_with("/iss", json!("https://newer")));
    site.world().tokens.insert(newer.clone(), review());
    let made_up = |issuer: &str| {
        let mut claims = claims_with("/kubernetes.io/pod/uid", json!("made-up"));
        claims["iss"] = issuer.into();
        token(&claims)
    };
    let asked = async |token: &str| {
        let before = site.world().count(REVIEWS);
        let status = site.read_from("10.0.0.1", Kind::Ours, token).await.status;
        (status, site.world().count(REVIEWS) - before)
    };
    assert_eq!(asked(&made_up("https://newer")).await, (401, 0), "of a pod that is not known");
    assert_eq!(asked(&newer).await, (200, 1));
    assert_eq!(asked(&made_up("https://newer")).await, (401, 1), "by now it may be one of this cluster's");
    assert_eq!(asked(&made_up(ISSUER)).await, (401, 1), "the one before as well");
    assert_eq!(asked(&made_up("https://elsewhere")).await, (401, 0));
}

#[tokio::test(start_paused = true)]
async fn clocks_that_are_far_apart_keep_no_known_agent_out() {
    let site = slow().await;
    let cases: BTreeMap<_, _> = [("/exp", 1_000_000_000_i64), ("/nbf", 4_000_000_000)].into();
    for (claim, time) in cases {
        let token = token(&claims_with(claim, json!(time)));
        site.world().tokens.insert(token.clone(), review());
        for kind in [Kind::Ours, Kind::Original] {
            assert_eq!(site.read_from("10.0.0.1", kind, &token).await.status, 200, "{claim}");
        }
    }
}
