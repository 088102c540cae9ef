//! The state file: the clients, secrets included, so that a restart keeps them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::EmulatorError;
use super::state::StoredClient;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    clients: Vec<StoredClient>,
}

/// The file at one path. It holds every client's secret in plain text and is readable by its owner only (mode 0600).
/// One emulator at a time: the last writer wins.
pub(super) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// Reads the file, or starts with no clients if there is none. A file that cannot be understood is left untouched.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<StoredClient>), EmulatorError> {
        let file = Self {
            path: path.to_owned(),
        };
        let clients = match fs::read(path) {
            Ok(bytes) => file.parse(&bytes)?,
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(reason) => {
                return Err(EmulatorError::ReadState {
                    path: file.path,
                    reason,
                });
            }
        };
        // Written back at once, so that a directory without write permission is found now and not by the first client.
        file.save(&clients)?;
        Ok((file, clients))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Vec<StoredClient>, EmulatorError> {
        let broken = |reason| EmulatorError::BrokenState {
            path: self.path.clone(),
            reason,
        };
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        if document.version != VERSION {
            return Err(broken(format!(
                "its version is {}, not {VERSION}",
                document.version
            )));
        }
        Ok(document.clients)
    }

    /// Replaces the file in one step: a reader, or a crash, sees the old state or the new one.
    pub(super) fn save(&self, clients: &[StoredClient]) -> Result<(), EmulatorError> {
        self.replace(clients)
            .map_err(|reason| EmulatorError::WriteState {
                path: self.path.clone(),
                reason,
            })
    }

    fn replace(&self, clients: &[StoredClient]) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        // What a crash left behind goes first: `create_new` sets the mode and follows no link.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let document = Document {
            version: VERSION,
            clients: clients.to_vec(),
        };
        file.write_all(&serde_json::to_vec_pretty(&document)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)
    }
}
