//! The state file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use provident_emulator::{Emulator, EmulatorError, Options};
use serde_json::json;
use tempfile::TempDir;

use crate::caller::{Caller, text};

async fn start(file: &Path) -> Result<Emulator, EmulatorError> {
    Emulator::start(Options {
        state_file: Some(file.to_owned()),
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn a_restart_keeps_the_clients_as_they_were() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("vendor.json");
    let emulator = start(&file).await.unwrap();
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    caller.created("Back office").await;
    let id = text(&client, "clientId");
    caller
        .update(id, json!({ "isActive": false, "rateLimitCount": 3 }))
        .await;
    caller.rotate(id).await;
    let before = emulator.clients();
    // Not stopped, just gone: what was answered is in the file.
    drop(emulator);

    let emulator = start(&file).await.unwrap();
    assert_eq!(emulator.clients(), before);
    assert_eq!(before.len(), 2);
    assert!(emulator.secrets().contains(&before[0].client_secret));
    assert!(emulator.remove(id));
    drop(emulator);
    assert_eq!(start(&file).await.unwrap().clients().len(), 1);
}

#[tokio::test]
async fn the_file_is_for_its_owner_only_and_stands_alone() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("vendor.json");
    // Left behind by a crash, readable by all.
    fs::write(directory.path().join("vendor.json.tmp"), "half").unwrap();
    let emulator = start(&file).await.unwrap();
    Caller::of(&emulator).created("Storefront").await;
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["vendor.json"]);
}

#[tokio::test]
async fn a_broken_file_is_named_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("vendor.json");
    for content in [
        "",
        "{\"version\":1,\"clients\":[",
        "{\"version\":2,\"clients\":[]}",
        "[]",
    ] {
        fs::write(&file, content).unwrap();
        let error = start(&file).await.err().unwrap();
        assert!(
            matches!(error, EmulatorError::BrokenState { .. }),
            "{error:?}"
        );
        let message = error.to_string();
        assert!(
            message.contains("vendor.json") && message.contains("move it away"),
            "{message}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_file_is_found_at_the_start() {
    let directory = TempDir::new().unwrap();
    let error = start(&directory.path().join("missing/vendor.json"))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(error, EmulatorError::WriteState { .. }),
        "{error:?}"
    );
    let error = start(directory.path()).await.err().unwrap();
    assert!(
        matches!(error, EmulatorError::ReadState { .. }),
        "{error:?}"
    );
}
