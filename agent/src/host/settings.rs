//! The one setting that is read and changed, in a transaction of its own: the default one may hold what others have not
//! committed yet.
//!
//! ```text
//! GET   /settings?keys=settings.updates.version-lock 200
//! PATCH /settings?tx=NAME                            204 pending | 400
//! POST  /tx/commit_and_apply?tx=NAME                 200 live; files a moment later
//! DELETE /tx?tx=NAME                                 200 nothing pending under that name any more
//! ```

use api::names::MAX_VERSION_LOCK;
use api::text;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

use super::{BottlerocketHost, DEADLINE, refusal};

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    updates: Updates,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Updates {
    version_lock: Option<String>,
}

impl BottlerocketHost {
    /// Reads `version-lock`. One that is not set means `latest`.
    ///
    /// # Errors
    /// What the host said, or why it said nothing; also where a shadow could not store it.
    pub async fn lock(&self) -> Result<String, String> {
        let request = Request::get("/settings?keys=settings.updates.version-lock");
        let answer = self.exchange(request, Bytes::new(), StatusCode::OK).await?;
        let settings: Settings = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        let lock = settings.updates.version_lock.unwrap_or_else(|| "latest".to_owned());
        if lock.chars().nth(MAX_VERSION_LOCK).is_some() || !text::is_line(&lock) {
            // It could not be told of, nor restored as it was.
            return Err("the version-lock is no text of one line and 128 characters".to_owned());
        }
        Ok(lock)
    }

    /// Sets `version-lock`.
    ///
    /// # Errors
    /// What the host said, or why it said nothing; it may be set all the same.
    pub async fn set_lock(&self, lock: &str) -> Result<(), String> {
        let settings = Settings { updates: Updates { version_lock: Some(lock.to_owned()) } };
        let body = serde_json::to_vec(&settings).map_err(|error| error.to_string())?;
        let transaction = format!("brupop-{:016x}", fastrand::u64(..));
        let change = Request::patch(format!("/settings?tx={transaction}")).header(CONTENT_TYPE, "application/json");
        self.exchange(change, body.into(), StatusCode::NO_CONTENT).await?;
        let commit = Request::post(format!("/tx/commit_and_apply?tx={transaction}"));
        let committed = self.exchange(commit, Bytes::new(), StatusCode::OK).await;
        if committed.is_err() {
            // What is pending under a name that nobody will use again is in nobody's way, but it would stay until the boot.
            let _ = self.exchange(Request::delete(format!("/tx?tx={transaction}")), Bytes::new(), StatusCode::OK).await;
        }
        committed.map(drop)
    }

    async fn exchange(
        &self,
        request: http::request::Builder,
        body: Bytes,
        expected: StatusCode,
    ) -> Result<Response<Bytes>, String> {
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let answer = self.send(request, DEADLINE).await.map_err(|error| error.to_string())?;
        if answer.status() == expected { Ok(answer) } else { Err(refusal(&answer)) }
    }
}
