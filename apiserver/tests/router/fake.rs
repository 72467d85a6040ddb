//! As much of the Kubernetes API as the apiserver uses, in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::BottlerocketShadow;
use apiserver::watch::Guarded;
use bytes::Bytes;
use futures::channel::mpsc::UnboundedSender;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::Client;
use kube::client::Body;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{Event, Result as Watched};
use serde_json::{Value, json};

/// Something that happens to the world just before a request is handled.
type Happening = Box<dyn FnOnce(&mut World) + Send>;

/// What the API server stores, and what it was asked.
#[derive(Default)]
pub(crate) struct World {
    version: u64,
    pub(crate) objects: BTreeMap<String, Value>,
    pub(crate) tokens: BTreeMap<String, Value>,
    /// Answers to evictions, by pod name; without one an eviction removes the pod.
    pub(crate) evictions: BTreeMap<String, (u16, Value)>,
    /// Every request, as `METHOD path`.
    pub(crate) asked: Vec<String>,
    /// What happens just before the request with this number.
    pub(crate) happenings: BTreeMap<usize, Vec<Happening>>,
    pub(crate) outage: bool,
    /// How long a TokenReview takes.
    pub(crate) review_takes: Duration,
    /// Most objects in one page of a list, where it is fewer than what was asked for.
    pub(crate) page: Option<usize>,
    pub(crate) watchers: Option<UnboundedSender<Watched<Event<Guarded>>>>,
}

pub(crate) const NODE: &str = "/api/v1/nodes/a";
pub(crate) const SHADOW: &str = "/apis/brupop.bottlerocket.aws/v2/namespaces/brupop/bottlerocketshadows/brs-a";

pub(crate) fn pod_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

impl World {
    /// Stores an object under a new resourceVersion, and shows it to the watch if it is a shadow.
    pub(crate) fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(path.to_owned(), object.clone());
        if path.contains("bottlerocketshadows") {
            let shadow: BottlerocketShadow = serde_json::from_value(object.clone()).unwrap();
            self.show(Event::Apply(DeserializeGuard(Ok(shadow))));
        }
        object
    }

    pub(crate) fn show(&self, event: Event<Guarded>) {
        if let Some(watchers) = &self.watchers {
            let _ = watchers.unbounded_send(Ok(event));
        }
    }

    /// Merges a patch into an object, as somebody else's write.
    pub(crate) fn merge(&mut self, path: &str, patch: Value) {
        let mut object = self.objects[path].clone();
        merge(&mut object, patch);
        self.put(path, object);
    }

    /// The requests that change something, without those that only ask who somebody is.
    pub(crate) fn writes(&self) -> Vec<&str> {
        let writes = self.asked.iter().filter(|asked| !asked.starts_with("GET"));
        writes.map(String::as_str).filter(|asked| !asked.contains("tokenreviews")).collect()
    }

    pub(crate) fn count(&self, asked: &str) -> usize {
        self.asked.iter().filter(|one| one.contains(asked)).count()
    }

    fn handle(&mut self, method: &Method, uri: &http::Uri, body: &Value) -> (u16, Value) {
        let path = uri.path();
        let number = self.asked.len();
        for happening in self.happenings.remove(&number).unwrap_or_default() {
            happening(self);
        }
        self.asked.push(format!("{method} {path}"));
        if self.outage {
            return status(503, "ServiceUnavailable", "away");
        }
        match (method.as_str(), path) {
            ("POST", "/apis/authentication.k8s.io/v1/tokenreviews") => self.review(body),
            ("GET", "/api/v1/pods") | ("GET", "/api/v1/namespaces/brupop/pods") => self.list(uri),
            ("GET", _) => self.get(path),
            ("POST", _) if path.ends_with("/eviction") => self.evict(path, body),
            ("POST", _) => self.create(path, body),
            ("PATCH", _) => self.patch(path, body),
            ("DELETE", _) => match self.objects.remove(path) {
                Some(object) => (200, object),
                None => status(404, "NotFound", "no such object"),
            },
            _ => status(405, "MethodNotAllowed", "no such method"),
        }
    }

    fn review(&self, body: &Value) -> (u16, Value) {
        let unknown = json!({"authenticated": false, "error": "invalid bearer token"});
        let token = body["spec"]["token"].as_str().unwrap();
        let mut answer = body.clone();
        answer["status"] = self.tokens.get(token).cloned().unwrap_or(unknown);
        (201, answer)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        match self.objects.get(path) {
            Some(object) => (200, object.clone()),
            None => status(404, "NotFound", "no such object"),
        }
    }

    fn list(&self, uri: &http::Uri) -> (u16, Value) {
        let own = uri.path().contains("/namespaces/");
        let node = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldSelector=spec.nodeName%3D"));
        assert!(own || node.is_some(), "a list of every pod of the cluster");
        let pods = self.objects.iter().filter(|(path, _)| path.contains("/pods/"));
        let items: Vec<_> = pods
            .filter(|(path, _)| !own || path.starts_with("/api/v1/namespaces/brupop/"))
            .map(|(_, pod)| pod)
            .filter(|pod| node.is_none_or(|node| pod["spec"]["nodeName"] == node))
            .collect();
        let asked =
            |name: &str| uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name)?.parse::<usize>().ok());
        let from = asked("continue=").unwrap_or(0);
        let until = from + asked("limit=").expect("a list without a limit").min(self.page.unwrap_or(usize::MAX));
        let metadata = if until < items.len() { json!({"continue": until.to_string()}) } else { json!({}) };
        let page: Vec<_> = items.into_iter().skip(from).take(until - from).collect();
        (200, json!({"apiVersion": "v1", "kind": "PodList", "metadata": metadata, "items": page}))
    }

    fn create(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
        if self.objects.contains_key(&path) {
            return status(409, "AlreadyExists", "it exists");
        }
        let mut object = body.clone();
        object["metadata"]["uid"] = format!("uid-{}", self.version).into();
        (201, self.put(&path, object))
    }

    fn patch(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let target = path.trim_end_matches("/status").to_owned();
        let Some(mut object) = self.objects.get(&target).cloned() else {
            return status(404, "NotFound", "no such object");
        };
        let expected = &body["metadata"]["resourceVersion"];
        if !expected.is_null() && *expected != object["metadata"]["resourceVersion"] {
            return status(409, "Conflict", "the object has been modified");
        }
        let before = object.clone();
        merge(&mut object, body.clone());
        if object == before {
            return (200, object);
        }
        (200, self.put(&target, object))
    }

    fn evict(&mut self, path: &str, body: &Value) -> (u16, Value) {
        let pod = path.trim_end_matches("/eviction").to_owned();
        let name = body["metadata"]["name"].as_str().unwrap();
        if let Some(answer) = self.evictions.get(name) {
            return answer.clone();
        }
        let Some(object) = self.objects.get(&pod) else {
            return status(404, "NotFound", "no such pod");
        };
        if body["deleteOptions"]["preconditions"]["uid"] != object["metadata"]["uid"] {
            return status(409, "Conflict", "another uid");
        }
        self.objects.remove(&pod);
        (201, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
    }
}

/// RFC 7386.
fn merge(object: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *object = patch;
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let fields = object.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}

pub(crate) fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let failure = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    (code, failure)
}

/// A client of this world.
pub(crate) fn client(world: Arc<Mutex<World>>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let world = world.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            // A moment passes, so that what is under way at the same time interleaves.
            let reviews = parts.uri.path().ends_with("/tokenreviews");
            let takes = if reviews { world.lock().unwrap().review_takes } else { Duration::ZERO };
            tokio::time::sleep(takes.max(Duration::from_millis(1))).await;
            let (code, answer) = world.lock().unwrap().handle(&parts.method, &parts.uri, &body);
            let answer = Full::new(Bytes::from(answer.to_string()));
            let response = Response::builder().status(StatusCode::from_u16(code).unwrap());
            Ok::<_, Infallible>(response.body(answer).unwrap())
        }
    });
    Client::new(service, "brupop")
}
