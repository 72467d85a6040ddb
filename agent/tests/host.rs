//! The client of the update API, against recorded answers.

#![expect(clippy::unwrap_used, reason = "the functions that tests share fail as tests do")]

use agent::host::BottlerocketHost;
use agent::observe::Host;
use agent::outcome::Asked;
use agent::updates::{Command, UpdateState, Updates};
use semver::Version;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// A host that gives the same answer, byte for byte, to every request.
fn host(answer: String) -> (BottlerocketHost, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (BottlerocketHost::at(socket), folder)
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn every_answer_to_an_action_is_told_apart() {
    let gone = "Previously chosen Update no longer exists";
    let unsupported = "Unable to start the update dispatcher: No such file or directory (os error 2) ";
    for (status, body, asked) in [
        ("204 No Content", "", Asked::Started),
        ("423 Locked", "Update lock held", Asked::Busy),
        ("409 Conflict", "Update action not allowed according to update state", Asked::NotAllowed),
        ("404 Not Found", gone, Asked::Gone(gone.to_owned())),
        ("404 Not Found", "", Asked::Unsupported("404 Not Found".to_owned())),
        ("500 Internal Server Error", unsupported, Asked::Unsupported(unsupported.trim_end().to_owned())),
        ("500 Internal Server Error", "Update dispatcher failed", Asked::Failed("Update dispatcher failed".to_owned())),
    ] {
        let (host, _folder) = host(http(status, body));
        assert_eq!(host.command(Command::Prepare).await, asked, "{status} {body}");
    }
}

#[tokio::test]
async fn every_answer_to_the_status_is_told_apart() {
    let uninitialised = "Update status is uninitialized, refresh-updates to initialize it";
    let locked =
        "Unable to obtain shared lock for reading update status: Resource temporarily unavailable (os error 11)";
    let read = async |status: &str, body: &str| {
        let (host, _folder) = host(http(status, body));
        host.updates().await.unwrap()
    };
    assert_eq!(read("404 Not Found", uninitialised).await, Updates::Uninitialised);
    assert_eq!(read("423 Locked", locked).await, Updates::Busy);
    for (status, body) in [
        ("404 Not Found", ""),
        ("500 Internal Server Error", "Update dispatcher failed"),
        ("200 OK", "{"),
        ("200 OK", r#"{"update_state":"Available"}"#),
    ] {
        assert!(matches!(read(status, body).await, Updates::Unreadable(_)), "{status} {body}");
    }
    let huge = "x".repeat(2 << 20);
    assert!(matches!(read("200 OK", &huge).await, Updates::Unreadable(_)));
    let recorded = r#"{"update_state":"Ready","available_updates":["1.17.0","1.16.1","1.16.0"],"chosen_update":{"arch":"x86_64","version":"1.17.0","variant":"aws-k8s-1.28"},"active_partition":{"image":{"arch":"x86_64","version":"1.16.1","variant":"aws-k8s-1.28"},"next_to_boot":false},"staging_partition":{"image":{"arch":"x86_64","version":"1.17.0","variant":"aws-k8s-1.28"},"next_to_boot":true},"most_recent_command":{"cmd_type":"activate","cmd_status":"Success","timestamp":"2026-11-22T05:34:15.918102166Z","exit_status":0,"stderr":""}}"#;
    let Updates::Known(status) = read("200 OK", recorded).await else { panic!("not read") };
    assert_eq!(status.update_state, UpdateState::Ready);
    assert_eq!(status.staged(), Some(&Version::new(1, 17, 0)));
}

#[tokio::test]
async fn the_running_version_is_that_of_the_image() {
    let os = r#"{"arch":"x86_64","build_id":"deadbeef","pretty_name":"Bottlerocket OS 1.16.1 (aws-k8s-1.28)","variant_id":"aws-k8s-1.28","version_id":"1.16.1"}"#;
    let (good, _folder) = host(http("200 OK", os));
    assert_eq!(good.running().await, Ok(Version::new(1, 16, 1)));
    let (bad, _folder) = host(http("500 Internal Server Error", "Unable to get OS release data"));
    assert!(matches!(bad.running().await, Err(Host::Away { refused: false, .. })));
}

#[tokio::test]
async fn a_reboot_whose_answer_does_not_come_may_have_been_accepted() {
    let (cut_off, _folder) = host(String::new());
    assert!(matches!(cut_off.reboot().await, Asked::NoAnswer(_)));
    let (inhibited, _folder) = host(http("500 Internal Server Error", "Failed to reboot, exit code: 1, stderr: held"));
    assert!(matches!(inhibited.reboot().await, Asked::Failed(text) if text.contains("held")));
    let nobody = BottlerocketHost::at("/nonexistent/api.sock".into());
    assert!(matches!(nobody.reboot().await, Asked::Failed(_)));
    assert!(matches!(nobody.updates().await, Err(Host::Away { refused: true, .. })));
}

#[tokio::test]
async fn a_version_lock_that_no_report_could_tell_of_is_an_error() {
    let lock = async |lock: &str| {
        let body = serde_json::json!({"updates": {"version-lock": lock}}).to_string();
        let (host, _folder) = host(http("200 OK", &body));
        host.lock().await
    };
    assert_eq!(lock("v1.20.0").await.as_deref(), Ok("v1.20.0"));
    for odd in ["1.20.0\n", "\u{1b}[31mlatest", &"1".repeat(129)] {
        assert!(lock(odd).await.is_err(), "{odd:?}");
    }
}
