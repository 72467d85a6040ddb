//! What never comes right by itself ends the process, with one line where Kubernetes shows it.

use std::process::Command;

#[test]
fn a_misconfiguration_ends_the_process_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let ca = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.pem();
    std::fs::write(path("token"), "t").unwrap();
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("ca.crt"), ca).unwrap();
    for (flag, value, reason) in [
        ("--node-name", String::new(), "no node name: set --node-name or NODE_NAME".to_owned()),
        ("--apiserver-host", String::new(), "no address of the apiserver".to_owned()),
        ("--token-file", path("none"), format!("cannot read token file {}", path("none"))),
        ("--token-file", path("empty"), format!("token file {} is empty", path("empty"))),
        ("--ca-file", path("none"), format!("cannot read CA file {}", path("none"))),
        ("--ca-file", path("token"), format!("CA file {}: no usable certificate", path("token"))),
        ("--health-listen", "203.0.113.1:1".to_owned(), "cannot listen on 203.0.113.1:1".to_owned()),
    ] {
        let mut flags = [
            ("--node-name", "a".to_owned()),
            ("--apiserver-host", "127.0.0.1".to_owned()),
            ("--token-file", path("token")),
            ("--ca-file", path("ca.crt")),
            ("--health-listen", "127.0.0.1:0".to_owned()),
            ("--termination-log", path("words")),
        ];
        flags.iter_mut().filter(|(name, _)| *name == flag).for_each(|given| given.1.clone_from(&value));
        let flags = flags.iter().map(|(name, value)| format!("{name}={value}"));
        let output = Command::new(env!("CARGO_BIN_EXE_agent")).args(flags).env_clear().output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{flag}");
        let words = std::fs::read_to_string(path("words")).unwrap();
        assert!(words.starts_with(&reason), "{flag}: {words}");
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(log.contains(&reason) && log.lines().count() == 1, "{flag}: {log}");
    }
}
