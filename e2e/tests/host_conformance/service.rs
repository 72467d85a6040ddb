//! The socket and the files of a host: what happens to them, and what can be wrong with them. In simulated time.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use bytes::Bytes;
use e2e::host::{
    Cause, Client, Command, Deed, Host, HostEvent, HostOptions, Mangled, Moment, Reboot, Repository, Service,
};
use http::StatusCode;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

use super::rig::{read, version};

const A_WHILE: Duration = Duration::from_secs(30);
const GET_OS: &[u8] = b"GET /os HTTP/1.1\r\n\r\n";

async fn host() -> (Host, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let repository = Repository::of(["1.17.0", "1.16.1"].map(version));
    // A folder that is not there yet.
    let options = HostOptions::new("node-1", dir.path().join("run"), version("1.16.1"), 7);
    (Host::start(options, repository).await.unwrap(), dir)
}

async fn connect(host: &Host) -> UnixStream {
    UnixStream::connect(host.socket()).await.unwrap()
}

async fn ask(stream: &mut UnixStream, request: &[u8]) -> (String, String) {
    stream.write_all(request).await.unwrap();
    read(stream).await
}

async fn refused(host: &Host) -> ErrorKind {
    UnixStream::connect(host.socket()).await.unwrap_err().kind()
}

async fn next(events: &mut broadcast::Receiver<HostEvent>) -> HostEvent {
    timeout(A_WHILE, events.recv()).await.unwrap().unwrap()
}

/// All that comes until the other side closes.
async fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end like any other.
    drop(timeout(A_WHILE, stream.read_to_end(&mut bytes)).await.unwrap());
    bytes
}

fn post(command: Command) -> Vec<u8> {
    format!("POST {} HTTP/1.1\r\n\r\n", command.path()).into_bytes()
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_several_requests_and_old_clients() {
    let (host, _dir) = host().await;
    let mut stream = connect(&host).await;
    for _ in 0..3 {
        assert!(ask(&mut stream, GET_OS).await.0.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let head = ask(&mut connect(&host).await, b"GET /os HTTP/1.0\r\n\r\n").await.0;
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert_eq!(host.counts().requests["GET /os"], 4);
    assert_eq!(fs::metadata(host.socket()).unwrap().permissions().mode() & 0o777, 0o660);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_takes_socket_and_connections_away_and_brings_another_boot_id() {
    let (host, _dir) = host().await;
    let mut events = host.subscribe();
    let (old, mut stream) = (host.state().boot_id, connect(&host).await);
    assert_eq!(fs::read_to_string(host.boot_id_file()).unwrap(), format!("{old}\n"));
    for command in [Command::Refresh, Command::Prepare, Command::Activate] {
        ask(&mut stream, &post(command)).await;
        sleep(A_WHILE).await;
    }
    let head = ask(&mut stream, b"POST /actions/reboot HTTP/1.1\r\n\r\n").await.0;
    assert!(head.starts_with("HTTP/1.1 204 No Content\r\n"), "{head}");

    let cause = Cause::RebootRequest(Client::Socket);
    assert_eq!(next(&mut events).await, HostEvent::GoingDown { cause });
    assert_eq!(rest(&mut stream).await, b"");
    assert_eq!(refused(&host).await, ErrorKind::NotFound);
    assert!(!host.state().up);

    let up = next(&mut events).await;
    let boot_id = fs::read_to_string(host.boot_id_file()).unwrap().trim_end().to_owned();
    assert_ne!(boot_id, old);
    let version = version("1.17.0");
    assert_eq!(up, HostEvent::Up { boot_id, version, cause });
    let body = ask(&mut connect(&host).await, GET_OS).await.1;
    assert!(body.contains(r#""version_id":"1.17.0""#), "{body}");
    assert_eq!(host.boots().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_is_followed_when_the_call_returns() {
    let (host, _dir) = host().await;
    let mut events = host.subscribe();
    host.perform(Deed::PowerOff);
    assert_eq!(refused(&host).await, ErrorKind::NotFound);
    assert_eq!(events.try_recv().unwrap(), HostEvent::GoingDown { cause: Cause::Power });
    sleep(A_WHILE).await;
    assert!(events.try_recv().is_err());
    host.perform(Deed::PowerOn);
    assert!(matches!(next(&mut events).await, HostEvent::Up { .. }));
    connect(&host).await;
}

#[tokio::test(start_paused = true)]
async fn a_scripted_power_cut_ends_the_connection_without_an_answer() {
    let (host, _dir) = host().await;
    host.when(Moment::Requested(Command::Refresh), Deed::PowerOff);
    let mut stream = connect(&host).await;
    stream.write_all(&post(Command::Refresh)).await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    host.perform(Deed::PowerOn);
    sleep(A_WHILE).await;
    host.faults(|faults| faults.reboot = Reboot::CutOff);
    let mut stream = connect(&host).await;
    stream.write_all(b"POST /actions/reboot HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    assert!(!host.state().up);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_api_server_leaves_the_old_socket_dead() {
    let (host, dir) = host().await;
    // What a mount of the socket itself, and not of its folder, goes on seeing.
    let mount = dir.path().join("mount");
    fs::hard_link(host.socket(), &mount).unwrap();
    let (mut stream, inode) = (connect(&host).await, fs::metadata(host.socket()).unwrap().ino());
    host.perform(Deed::RestartApiServer);
    assert_eq!(rest(&mut stream).await, b"");
    assert_eq!(UnixStream::connect(&mount).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_ne!(fs::metadata(host.socket()).unwrap().ino(), inode);
    ask(&mut connect(&host).await, GET_OS).await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_can_be_missing_dead_or_forbidden() {
    let (host, _dir) = host().await;
    for (service, expected) in [(Service::Missing, ErrorKind::NotFound), (Service::Dead, ErrorKind::ConnectionRefused)]
    {
        host.set_service(service.clone()).unwrap();
        assert_eq!(refused(&host).await, expected, "{service:?}");
    }
    host.set_service(Service::NotPermitted).unwrap();
    assert_eq!(fs::metadata(host.socket()).unwrap().permissions().mode() & 0o777, 0);
    host.set_service(Service::Serving).unwrap();
    ask(&mut connect(&host).await, GET_OS).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_can_be_silent_hang_up_or_talk_nonsense() {
    let (host, _dir) = host().await;
    host.set_service(Service::Silent).unwrap();
    let mut stream = connect(&host).await;
    stream.write_all(GET_OS).await.unwrap();
    assert!(timeout(Duration::from_secs(3_600), stream.read_u8()).await.is_err());

    host.set_service(Service::HangsUp).unwrap();
    assert_eq!(rest(&mut connect(&host).await).await, b"");

    host.set_service(Service::Garbage(Bytes::from_static(b"\0\xff SSH-2.0\r\n"))).unwrap();
    let mut stream = connect(&host).await;
    stream.write_all(GET_OS).await.unwrap();
    assert_eq!(rest(&mut stream).await, b"\0\xff SSH-2.0\r\n");
    assert_eq!(host.counts().total_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_answer_can_be_nonsense_huge_or_never_come() {
    let (host, _dir) = host().await;
    let json = Mangled::Json { status: StatusCode::BAD_GATEWAY, body: Bytes::from_static(b"{\"upd") };
    let (size, silence) = (40 * 1024 * 1024 + 1, Mangled::Silence);
    let answers =
        [("/updates/status", json), ("/os", Mangled::Huge(size)), ("/tx", silence), ("/settings", Mangled::HangUp)];
    host.faults(|faults| faults.answers = answers.map(|(path, mangled)| (path.to_owned(), mangled)).into());

    let (head, body) = ask(&mut connect(&host).await, b"GET /updates/status HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
    assert_eq!(body, "{\"upd");
    let (head, body) = ask(&mut connect(&host).await, GET_OS).await;
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(body.len() as u64, size);
    let mut stream = connect(&host).await;
    stream.write_all(b"GET /tx HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_secs(3_600), stream.read_u8()).await.is_err());
    let mut stream = connect(&host).await;
    stream.write_all(b"GET /settings HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test(start_paused = true)]
async fn a_service_set_while_the_host_is_down_counts_from_its_boot() {
    let (host, _dir) = host().await;
    host.perform(Deed::PowerOff);
    host.set_service(Service::Dead).unwrap();
    assert_eq!(refused(&host).await, ErrorKind::NotFound);
    host.perform(Deed::PowerOn);
    sleep(A_WHILE).await;
    assert_eq!(refused(&host).await, ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_request_body_is_read_up_to_a_limit() {
    let (host, _dir) = host().await;
    let body = "x".repeat(2 * 1024 * 1024 + 1);
    let request = format!("PATCH /settings HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut stream = connect(&host).await;
    let (mut reader, mut writer) = stream.split();
    let write = async { drop(writer.write_all(request.as_bytes()).await) };
    let answer = async {
        let mut bytes = [0; 16];
        reader.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert_eq!(tokio::join!(write, answer).1, "HTTP/1.1 413 Pay");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_host_leaves_no_socket_and_no_task() {
    let (host, _dir) = host().await;
    let (path, mut stream) = (host.socket().to_owned(), connect(&host).await);
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(before > 0);
    drop(host);
    assert!(!path.exists());
    assert_eq!(rest(&mut stream).await, b"");
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_have_a_socket_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = HostOptions::new("node-1", dir.path().join("x".repeat(120)), version("1.16.1"), 7);
    let error = Host::start(options, Repository::default()).await.unwrap_err();
    assert!(format!("{error:#}").starts_with("host node-1 in /"), "{error:#}");
}
