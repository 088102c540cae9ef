//! The emulator as a program: its flags, and what it says when it starts.

use std::io;
use std::sync::{Arc, Mutex};

use clap::{Args, Command, FromArgMatches};
use provident_emulator::{DEFAULT_SCOPES, EmulatorArgs, run};
use tempfile::TempDir;
use tracing_subscriber::util::SubscriberInitExt;

fn parse(flags: &[&str]) -> Result<EmulatorArgs, clap::Error> {
    let command = EmulatorArgs::augment_args(Command::new("emulate"));
    let matches = command.try_get_matches_from([&["emulate"], flags].concat())?;
    EmulatorArgs::from_arg_matches(&matches)
}

#[test]
fn without_flags_it_listens_on_this_machine_only() {
    let args = parse(&[]).unwrap();
    assert_eq!(args.listen.to_string(), "127.0.0.1:8090");
    assert_eq!(
        (args.token, args.state_file, args.envelope),
        (None, None, false)
    );
    assert_eq!(args.scopes, DEFAULT_SCOPES);
}

#[test]
fn scopes_are_repeatable_and_replace_the_default() {
    assert_eq!(
        parse(&["--scope", "a:b,c:d", "--scope", "e:f"])
            .unwrap()
            .scopes,
        ["a:b", "c:d", "e:f"]
    );
    assert!(
        parse(&["--listen", "8090"])
            .unwrap_err()
            .to_string()
            .contains("--listen")
    );
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn it_warns_that_it_is_not_the_vendor_keeps_the_token_out_of_the_log_and_ends_when_told() {
    // With one listener only, tracing asks that of the thread which meets a line first, and other tests' threads have none:
    // the line would be taken for one that nobody wants. Hence one for all threads beside the test's own.
    let _ = tracing_subscriber::registry().try_init();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("vendor.json");
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--token",
        "canary-1",
        "--state-file",
        file.to_str().unwrap(),
    ];
    run(parse(&flags).unwrap(), std::future::ready(()))
        .await
        .unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let warning = log
        .lines()
        .find(|line| line.contains("WARN"))
        .expect("a warning");
    assert!(
        warning.contains("NOT THE VENDOR") && warning.contains("http://127.0.0.1:"),
        "{warning}"
    );
    assert!(!log.contains("canary-1"));
    assert!(file.exists());
}
