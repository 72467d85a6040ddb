//! AdmissionReview in, AdmissionReview out. A review that cannot be read gets a review that says so: the API server shows its
//! message to the user, and nothing a client sends stops the webhook.

use api::UpdatePolicy;
use axum::{Json, Router, body::Bytes, routing::post};
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation},
};

use crate::admit::admit;

/// The routes of the HTTPS port.
pub fn routes() -> Router {
    Router::new().route("/validate", post(validate))
}

async fn validate(body: Bytes) -> Json<AdmissionReview<DynamicObject>> {
    let response = match request(&body) {
        Ok(request) => respond(&request),
        Err(why) => AdmissionResponse::invalid(why),
    };
    Json(response.into_review())
}

fn request(body: &[u8]) -> Result<AdmissionRequest<UpdatePolicy>, String> {
    let review: AdmissionReview<UpdatePolicy> =
        serde_json::from_slice(body).map_err(|error| format!("the review cannot be read: {error}"))?;
    review.try_into().map_err(|error| format!("the review has no request: {error}"))
}

fn respond(request: &AdmissionRequest<UpdatePolicy>) -> AdmissionResponse {
    let response = AdmissionResponse::from(request);
    let judged = matches!(request.operation, Operation::Create | Operation::Update);
    let Some(policy) = request.object.as_ref().filter(|_| judged) else { return response };
    match admit(&policy.spec) {
        Ok(()) => response,
        Err(why) => {
            tracing::info!(policy = request.name, why, "policy refused");
            response.deny(why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    async fn answer(body: String) -> Value {
        let request = Request::post("/validate").header("content-type", "application/json").body(Body::from(body));
        let answer = routes().oneshot(request.unwrap()).await.unwrap();
        assert!(answer.status().is_success());
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    fn review(spec: &Value) -> String {
        json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": {"group": "brupop.bottlerocket.aws", "version": "v1alpha1", "kind": "UpdatePolicy"},
                "resource": {"group": "brupop.bottlerocket.aws", "version": "v1alpha1", "resource": "updatepolicies"},
                "name": "default", "operation": "CREATE", "userInfo": {},
                "object": {
                    "apiVersion": "brupop.bottlerocket.aws/v1alpha1", "kind": "UpdatePolicy",
                    "metadata": {"name": "default"}, "spec": spec,
                },
            },
        })
        .to_string()
    }

    #[tokio::test]
    async fn a_good_policy_is_allowed_under_the_uid_of_the_review() {
        let answer = answer(review(&json!({"nodeSelector": {}}))).await;
        assert_eq!(answer["response"]["allowed"], true);
        assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    }

    #[tokio::test]
    async fn a_bad_policy_is_refused_with_the_field() {
        let answer = answer(review(&json!({"nodeSelector": {}, "maxConcurrentUpdates": "many"}))).await;
        assert_eq!(answer["response"]["allowed"], false);
        let message = answer["response"]["status"]["message"].as_str().unwrap();
        assert!(message.starts_with("spec.maxConcurrentUpdates: \"many\" is not an amount"), "{message}");
    }

    #[tokio::test]
    async fn what_is_no_review_gets_a_proper_answer() {
        for body in ["", "[]", "{}", "{\"kind\": \"AdmissionReview\", \"apiVersion\": \"admission.k8s.io/v1\"}"] {
            let answer = answer(body.to_owned()).await;
            assert_eq!(answer["response"]["allowed"], false, "{body}");
        }
    }
}
