//! When the API server was heard last on a watch.
//!
//! A watch of objects that nobody writes shows no event for days, and kube's watcher keeps the bookmarks to itself by which the API
//! server says that it is still there. So it is listened to one level below: whatever of an answer comes in counts.

use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::{Client, Error};
use tower::service_fn;

/// A client over `client` that calls `note` with each answer and each part of one; not where the API server refuses.
pub(super) fn noting(client: &Client, note: impl Fn() + Clone + Send + 'static) -> Client {
    let through = client.clone();
    let listening = service_fn(move |request| {
        let (client, note) = (through.clone(), note.clone());
        async move {
            let response = client.send(request).await?;
            let heard = response.status().is_success();
            let note = move || {
                if heard {
                    note();
                }
            };
            note();
            let listen = |body: Body| {
                body.map_frame(move |frame| {
                    note();
                    frame
                })
            };
            Ok::<_, Error>(response.map(listen))
        }
    });
    Client::new(listening, client.default_namespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use futures::channel::mpsc::{UnboundedReceiver, unbounded};
    use http::{Request, Response};
    use http_body_util::StreamBody;
    use k8s_openapi::api::core::v1::Node;
    use kube::Api;
    use kube::runtime::watcher::{Config, Event, watcher};
    use serde_json::{Value, json};
    use std::time::Duration;
    use tokio::time::timeout;
    use tower_test::mock::pair;

    /// Waits for the next note.
    async fn noted(notes: &mut UnboundedReceiver<()>) {
        timeout(Duration::from_secs(10), notes.next()).await.unwrap().unwrap();
    }

    fn line(value: &Value) -> Body {
        Body::from(format!("{value}\n").into_bytes())
    }

    #[tokio::test]
    async fn a_bookmark_on_a_quiet_watch_is_heard_and_a_refusal_is_not() {
        let (service, mut server) = pair::<Request<Body>, _>();
        let (note, mut notes) = unbounded();
        let client = noting(&Client::new(service, "default"), move || note.unbounded_send(()).unwrap());
        let (shown, mut events) = unbounded();
        tokio::spawn(watcher(Api::<Node>::all(client), Config::default()).for_each(move |event| {
            shown.unbounded_send(event.map_err(|_| ())).unwrap();
            std::future::ready(())
        }));
        let mut next = async || timeout(Duration::from_secs(10), events.next()).await.unwrap().unwrap();

        let (_, send) = server.next_request().await.unwrap();
        let (parts, body) = unbounded();
        send.send_response(Response::builder().status(403).body(StreamBody::new(body)).unwrap());
        parts.unbounded_send(line(&json!({"code": 403})).frame().await.unwrap()).unwrap();
        drop(parts);
        while next().await.is_ok() {}
        assert!(notes.try_recv().is_err(), "what is refused shows nothing");

        let (_, send) = server.next_request().await.unwrap();
        let (parts, body) = unbounded();
        send.send_response(Response::new(StreamBody::new(body)));
        let list = json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": []});
        parts.unbounded_send(line(&list).frame().await.unwrap()).unwrap();
        drop(parts);
        while !matches!(next().await, Ok(Event::InitDone)) {}
        noted(&mut notes).await;

        let (request, send) = server.next_request().await.unwrap();
        assert!(request.uri().query().unwrap().contains("allowWatchBookmarks=true"), "{}", request.uri());
        let (parts, body) = unbounded();
        send.send_response(Response::new(StreamBody::new(body)));
        while notes.try_recv().is_ok() {}
        noted(&mut notes).await;
        let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Node", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}}});
        for _ in 0..3 {
            parts.unbounded_send(line(&bookmark).frame().await.unwrap()).unwrap();
            noted(&mut notes).await;
        }
        assert!(events.try_recv().is_err(), "the watch shows nothing of it");
    }
}
