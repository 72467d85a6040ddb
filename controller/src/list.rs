//! Consistent lists, read past every cache: what is stored of one kind at one instant.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Error, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::time::timeout;

/// How long a list of everything of one kind may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many objects a page has. The metadata of a Node is some two kilobytes, several times that once it is decoded, and a new leader
/// reads it for all of the cluster beside its watches.
const PAGE: u32 = 250;

/// Why there is no list.
#[derive(Debug, Error)]
pub(crate) enum ListError {
    /// The API server answered with an error, or not at all.
    #[error(transparent)]
    Failed(#[from] Error),
    /// It took too long.
    #[error("no whole list within {} s", DEADLINE.as_secs())]
    TooLate,
}

/// What is stored of one kind at one instant: resourceVersions only.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    /// The list's own.
    pub(crate) version: String,
    /// The objects', by name.
    pub(crate) versions: BTreeMap<String, String>,
}

/// Lists what `labels` select. Without a resourceVersion in the request the first page shows everything stored before it was asked
/// for; the API server answers the others as of the same instant.
pub(crate) async fn list<K>(api: &Api<K>, labels: &str) -> Result<List, ListError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    timeout(DEADLINE, pages(api, labels)).await.map_err(|_| ListError::TooLate)?
}

async fn pages<K>(api: &Api<K>, labels: &str) -> Result<List, ListError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let mut list = List::default();
    let mut page = ListParams::default().labels(labels).limit(PAGE);
    loop {
        let listed = api.list_metadata(&page).await?;
        let version = |object: &PartialObjectMeta<K>| object.resource_version().unwrap_or_default();
        list.versions.extend(listed.items.iter().map(|object| (object.name_any(), version(object))));
        list.version = listed.metadata.resource_version.unwrap_or_default();
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(list),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use k8s_openapi::api::core::v1::Node;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower_test::mock::pair;

    use super::*;

    /// What is listed where the API server answers with `pages`, one after the other, and what it was asked for.
    async fn listed(pages: Vec<(u16, Value)>) -> (Result<List, ListError>, Vec<String>) {
        let (service, mut server) = pair::<Request<Body>, Response<Body>>();
        let answers = async {
            let mut asked = Vec::new();
            for (status, page) in pages {
                let Some((request, send)) = server.next_request().await else { break };
                asked.push(request.uri().query().unwrap_or_default().to_owned());
                let body = Body::from(serde_json::to_vec(&page).unwrap());
                send.send_response(Response::builder().status(status).body(body).unwrap());
            }
            asked
        };
        let api: Api<Node> = Api::all(Client::new(service, "default"));
        tokio::join!(list(&api, "a=b"), answers)
    }

    fn page(nodes: &[(&str, &str)], go_on: Option<&str>) -> (u16, Value) {
        let item = |(name, version): &(&str, &str)| {
            json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": name, "resourceVersion": version},
            })
        };
        let items: Vec<_> = nodes.iter().map(item).collect();
        let list = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "items": items,
            "metadata": {"resourceVersion": "20", "continue": go_on},
        });
        (200, list)
    }

    #[tokio::test(start_paused = true)]
    async fn all_pages_are_one_list_of_one_instant() {
        let pages = vec![page(&[("a", "9"), ("b", "12")], Some("more")), page(&[("c", "7")], Some(""))];
        let (list, asked) = listed(pages).await;
        let versions =
            [("a", "9"), ("b", "12"), ("c", "7")].map(|(name, version)| (name.to_owned(), version.to_owned()));
        assert_eq!(list.unwrap(), List { version: "20".to_owned(), versions: versions.into() });
        let [first, second] = asked.as_slice() else { panic!("{asked:?}") };
        assert!(
            asked.iter().all(|query| query.contains("limit=250") && query.contains("labelSelector=a%3Db")),
            "{asked:?}"
        );
        assert!(asked.iter().all(|query| !query.contains("resourceVersion")), "an old list would do: {asked:?}");
        assert!(!first.contains("continue=") && second.contains("continue=more"), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_breaks_off_is_none() {
        let expired = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": ""});
        let (list, asked) = listed(vec![page(&[("a", "9")], Some("more")), (410, expired)]).await;
        assert!(matches!(list, Err(ListError::Failed(_))), "{list:?}");
        assert_eq!(asked.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_never_comes_is_not_waited_for_for_ever() {
        let (service, _server) = pair::<Request<Body>, Response<Body>>();
        let api: Api<Node> = Api::all(Client::new(service, "default"));
        assert!(matches!(list(&api, "").await, Err(ListError::TooLate)));
    }
}
