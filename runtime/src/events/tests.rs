use std::sync::Mutex;

use api::event::regarding;
use tokio::time::Instant;

use super::*;

fn new_event(reason: &'static str) -> NewEvent {
    NewEvent {
        regarding: regarding("v1", "Node", "a", "u"),
        action: "Updating",
        reason,
        note: "why".to_owned(),
        is_warning: false,
        reporter: "test",
    }
}

/// A recorder and a publisher, and what they have counted.
fn counting(allowance: Option<Allowance>) -> (Recorder, Publisher, Arc<Mutex<Vec<Outcome>>>) {
    let counted = Arc::new(Mutex::new(Vec::new()));
    let counts = counted.clone();
    let (recorder, publisher) = events(allowance, move |_, outcome| counts.lock().unwrap().push(outcome));
    (recorder, publisher, counted)
}

fn of(counted: &Mutex<Vec<Outcome>>, outcome: Outcome) -> usize {
    counted.lock().unwrap().iter().filter(|one| **one == outcome).count()
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_queue_and_what_it_cannot_hold_is_dropped() {
    let (recorder, publisher, counted) = counting(None);
    for _ in 0..QUEUE + 3 {
        recorder.record(new_event("Started"));
    }
    assert_eq!((publisher.queue.len(), of(&counted, Outcome::Dropped)), (QUEUE, 3));
    drop(recorder);
    publisher.publish(async |_| Ok::<_, &str>(())).await;
    assert_eq!(of(&counted, Outcome::Written), QUEUE);
}

#[tokio::test(start_paused = true)]
async fn of_many_events_no_more_are_written_than_the_allowance_has() {
    let (recorder, publisher, counted) = counting(Some(Allowance::new(clock::now())));
    for _ in 0..200 {
        recorder.record(new_event("Started"));
    }
    drop(recorder);
    publisher.publish(async |_| Ok::<_, &str>(())).await;
    let written = of(&counted, Outcome::Written);
    assert!((50..60).contains(&written) && of(&counted, Outcome::Dropped) == 200 - written, "{written}");
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_has_failed_and_the_next_one_waits_longer_each_time() {
    let (recorder, publisher, counted) = counting(None);
    for reason in ["Silent", "Refused", "Refused", "Started"] {
        recorder.record(new_event(reason));
    }
    drop(recorder);
    let begun = Mutex::new(Vec::new());
    publisher
        .publish(async |event: Event| {
            begun.lock().unwrap().push(Instant::now());
            match event.reason.as_deref() {
                Some("Silent") => std::future::pending().await,
                Some("Refused") => Err("no"),
                _ => Ok(()),
            }
        })
        .await;
    assert_eq!(*counted.lock().unwrap(), [Outcome::Failed, Outcome::Failed, Outcome::Failed, Outcome::Written]);
    let begun = begun.lock().unwrap();
    let waited: Vec<_> = begun.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!((5.5..6.01).contains(&waited[0]), "{waited:?}");
    assert!((1.0..2.01).contains(&waited[1]) && (2.0..4.01).contains(&waited[2]), "{waited:?}");
}
