//! What an account asked for, as the API server's audit log tells it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One request for a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Such as `secrets` or `oauthclients/status`.
    pub resource: String,
    /// Empty for what has none, and for a request over all.
    pub namespace: String,
    /// Empty where the request names no object.
    pub name: String,
    /// Whether RBAC let it pass.
    pub allowed: bool,
}

/// The audit log from some moment on, as far as it is about one account.
#[derive(Clone)]
pub struct Audit {
    /// None for a cluster that was not started here: then nothing is known.
    log: Option<PathBuf>,
    from: u64,
    user: String,
}

impl Audit {
    /// From now on.
    pub fn begin(log: Option<PathBuf>, user: &str) -> Self {
        Self {
            from: log.as_deref().map_or(0, length),
            log,
            user: format!("\"username\":\"{user}\""),
        }
    }

    /// Leaves out what is written down by now.
    pub fn forget(&mut self) {
        self.from = self.log.as_deref().map_or(0, length);
    }

    /// Every request for a resource, in the order they were written down.
    pub fn asked(&self) -> Vec<Asked> {
        let Some(log) = &self.log else {
            return Vec::new();
        };
        let mut file = File::open(log).unwrap();
        file.seek(SeekFrom::Start(self.from)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        // The last line may still be on its way.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let lines = whole.lines().filter(|line| line.contains(&self.user));
        lines
            .filter_map(|line| read(&serde_json::from_str(line).unwrap()))
            .collect()
    }

    /// What RBAC refused, each once.
    pub fn refused(&self) -> Vec<Asked> {
        let mut refused = self.asked();
        refused.retain(|asked| !asked.allowed);
        refused.sort();
        refused.dedup();
        refused
    }
}

fn length(log: &Path) -> u64 {
    log.metadata().map_or(0, |log| log.len())
}

// None for paths that are no resource's, such as /version.
fn read(line: &Value) -> Option<Asked> {
    let about = line["objectRef"].as_object()?;
    let text = |key: &str| {
        let value = about.get(key).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let (resource, subresource) = (text("resource"), text("subresource"));
    Some(Asked {
        verb: line["verb"].as_str()?.to_owned(),
        group: text("apiGroup"),
        resource: if subresource.is_empty() {
            resource
        } else {
            format!("{resource}/{subresource}")
        },
        namespace: text("namespace"),
        name: text("name"),
        allowed: line["annotations"]["authorization.k8s.io/decision"] == "allow",
    })
}
