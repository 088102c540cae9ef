//! Ctrl-C and SIGTERM, for what has started things that must end before it.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// From now on a signal ends nothing by itself; what is returned says which one came.
pub fn told() -> Result<impl Future<Output = &'static str>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
        }
    })
}
