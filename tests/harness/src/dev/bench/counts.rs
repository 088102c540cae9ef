//! Request counts from the API server's own metric, `apiserver_request_total`.

use std::collections::BTreeMap;

use anyhow::Result;
use kube::Client;

/// The resources that the operator uses; requests for others come from the control plane. A read of one of `oauthclients` can
/// also come from the garbage collector, which looks up the owner of a Secret that it sees before its owner.
const RESOURCES: [&str; 7] = [
    "oauthclients",
    "oauthclients/status",
    "secrets",
    "events",
    "clusterprovidentconnections",
    "clusterprovidentconnections/status",
    "providentconnections",
];

/// One kind of request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Plural name, with the subresource behind it: `oauthclients/status`.
    pub resource: String,
    /// As the API server writes it: `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`.
    pub verb: String,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// Whether the response was a 2xx.
    pub ok: bool,
}

/// The number of requests of each kind.
#[derive(Debug, Clone, Default)]
pub struct Counts(BTreeMap<Kind, u64>);

impl Counts {
    /// All requests since the API server started. Watches are counted when they end.
    pub async fn read(client: &Client) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = client.request_text(request).await?;
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let Some((kind, count)) = parse(line) else {
                continue;
            };
            *counts.entry(kind).or_default() += count;
        }
        Ok(Self(counts))
    }

    /// The requests since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let grown = |(kind, count): (&Kind, &u64)| {
            let more = count - before.0.get(kind).copied().unwrap_or_default();
            (more > 0).then(|| (kind.clone(), more))
        };
        Self(self.0.iter().filter_map(grown).collect())
    }

    /// The sum with other counts.
    pub fn and(mut self, others: &Self) -> Self {
        for (kind, count) in &others.0 {
            *self.0.entry(kind.clone()).or_default() += count;
        }
        self
    }

    /// The counts without requests that this program sent itself.
    pub fn without(mut self, resource: &str, verb: &str, times: u64) -> Self {
        for (kind, count) in &mut self.0 {
            if kind.resource == resource && kind.verb == verb && kind.ok && !kind.dry_run {
                *count = count.saturating_sub(times);
            }
        }
        self.0.retain(|_, count| *count > 0);
        self
    }

    /// The number of requests whose kind matches.
    pub fn count(&self, matches: impl Fn(&Kind) -> bool) -> u64 {
        self.0
            .iter()
            .filter(|(kind, _)| matches(kind))
            .map(|(_, count)| count)
            .sum()
    }

    /// Writes of clients and Secrets that were stored.
    pub fn stored(&self) -> u64 {
        self.count(|kind| {
            let ours = ["oauthclients", "oauthclients/status", "secrets"];
            kind.is_write() && kind.ok && !kind.dry_run && ours.contains(&kind.resource.as_str())
        })
    }

    /// Events.
    pub fn events(&self) -> u64 {
        self.count(|kind| kind.is_write() && kind.resource == "events")
    }

    /// Dry runs.
    pub fn dry_runs(&self) -> u64 {
        self.count(|kind| kind.dry_run)
    }

    /// Writes that were refused, such as a 409.
    pub fn refused(&self) -> u64 {
        self.count(|kind| kind.is_write() && !kind.ok && !kind.dry_run)
    }

    /// Reads of one object.
    pub fn gets(&self) -> u64 {
        self.count(|kind| kind.verb == "GET")
    }

    /// Lists, and watches that have ended.
    pub fn lists(&self) -> u64 {
        self.count(|kind| kind.verb == "LIST" || kind.verb == "WATCH")
    }

    /// Everything.
    pub fn all(&self) -> u64 {
        self.count(|_| true)
    }

    /// The requests per client, such as `PATCH oauthclients 1.00, POST secrets (dry run) 1.00`.
    pub fn per(&self, clients: u64) -> String {
        let each = |(kind, count): (&Kind, &u64)| {
            let note = match (kind.dry_run, kind.ok) {
                (true, _) => " (dry run)",
                (false, true) => "",
                (false, false) => " (refused)",
            };
            let per = precise(*count) / precise(clients);
            format!("{} {}{note} {per:.2}", kind.verb, kind.resource)
        };
        self.0.iter().map(each).collect::<Vec<_>>().join(", ")
    }
}

impl Kind {
    fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "GET" | "LIST" | "WATCH")
    }
}

/// A count as a floating-point number; exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn precise(count: u64) -> f64 {
    count as f64
}

fn parse(line: &str) -> Option<(Kind, u64)> {
    let (labels, value) = line
        .strip_prefix("apiserver_request_total{")?
        .rsplit_once("} ")?;
    let label = |name: &str| {
        let (_, rest) = labels.split_once(&format!("{name}=\""))?;
        rest.split('"').next()
    };
    // `subresource="` ends with `resource="`, so the search for the latter includes the comma before it.
    let (resource, subresource) = (label(",resource")?, label("subresource")?);
    let resource = match subresource {
        "" => resource.to_owned(),
        sub => format!("{resource}/{sub}"),
    };
    let ours = label("group")? != FLOOR_GROUP && RESOURCES.contains(&resource.as_str());
    let kind = Kind {
        resource,
        verb: label("verb")?.to_owned(),
        dry_run: !label("dry_run")?.is_empty(),
        ok: label("code")?.starts_with('2'),
    };
    ours.then_some((kind, value.parse().ok()?))
}

/// The group of the objects with which the floor is measured.
pub const FLOOR_GROUP: &str = "floor.provident.ae";
