//! Ctrl-C and SIGTERM, for commands that must stop what they started before they exit.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Takes over SIGINT and SIGTERM: from now on they no longer end the process. The future resolves when one arrives, to its name.
pub fn received() -> Result<impl Future<Output = &'static str>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
        }
    })
}
