//! The endpoints of settings and transactions.

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use jiff::Timestamp;

use super::machine::Machine;
use super::record::{Client, Happening};
use super::reply;
use super::routes::{Query, empty_input};
use super::settings::Settings;

impl Machine {
    pub(super) fn settings(&self, query: &Query) -> Response<Bytes> {
        let settings = match (query.get("keys"), query.get("prefix")) {
            (Some(keys), _) if keys.is_empty() => return empty_input("keys"),
            (Some(keys), _) => self.datastore.select(|key| keys.split(',').any(|wanted| wanted == key)),
            (None, Some(prefix)) if prefix.is_empty() => return empty_input("prefix"),
            (None, Some(prefix)) if prefix.starts_with("settings") => {
                // A prefix that cannot lead to a setting matches nothing; `settings` itself matches all.
                let leads = "settings.".starts_with(prefix.as_str()) || prefix.starts_with("settings.");
                self.datastore.select(|key| leads && key.starts_with(prefix.as_str()))
            }
            (None, Some(prefix)) => {
                let prefix = format!("settings.{prefix}");
                self.datastore.select(|key| key.starts_with(&prefix))
            }
            (None, None) => self.datastore.settings(),
        };
        reply::ok_json(&settings)
    }

    pub(super) fn patch_settings(&mut self, request: &Request<Bytes>, transaction: &str) -> Response<Bytes> {
        if !has_json(request) {
            return reply::text(StatusCode::BAD_REQUEST, "Content type error");
        }
        match serde_json::from_slice::<Settings>(request.body()) {
            Ok(settings) => {
                self.datastore.patch(transaction, &settings);
                reply::no_content()
            }
            Err(error) => reply::text(StatusCode::BAD_REQUEST, format!("Json deserialize error: {error}")),
        }
    }

    pub(super) fn commit(&mut self, transaction: &str, apply: bool, client: Client, now: Timestamp) -> Response<Bytes> {
        let changed = self.datastore.commit(transaction);
        if changed.is_empty() {
            return reply::bare(StatusCode::UNPROCESSABLE_ENTITY, "Tried to commit with no pending changes");
        }
        if apply {
            self.render_after(now);
        }
        let answer = reply::ok_json(&changed);
        self.record.add(now, Happening::Committed(changed, client));
        answer
    }

    pub(super) fn apply(&mut self, query: &Query, now: Timestamp) -> Response<Bytes> {
        match query.get("keys") {
            Some(keys) if keys.is_empty() => return empty_input("keys"),
            Some(keys) if !keys.split(',').any(|key| key.starts_with("settings.updates")) => {}
            Some(_) | None => self.render_after(now),
        }
        reply::no_content()
    }
}

/// `application/json` or `application/SOMETHING+json`, with or without parameters.
fn has_json(request: &Request<Bytes>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.split_once('/').map(|(_, subtype)| subtype).unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}
