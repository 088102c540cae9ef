//! A request, interpreted as the API server does.

use http::{Method, Request};

/// The meaning of a request, from its method and URI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Its number among all requests of the client, from 1.
    pub sequence: u64,
    /// HTTP method.
    pub method: Method,
    /// Path without the query.
    pub path: String,
    /// API group; empty for the core group and for paths that name no resource.
    pub group: String,
    /// Plural name, such as `secrets`; empty for paths that name no resource, such as `/readyz`.
    pub resource: String,
    /// Namespace, where the path has one.
    pub namespace: Option<String>,
    /// Name of the object, where the path has one.
    pub name: Option<String>,
    /// Such as `status`.
    pub subresource: Option<String>,
    /// Whether it is a dry run (`dryRun=All`).
    pub dry_run: bool,
    /// Whether it is a watch.
    pub watch: bool,
}

impl RequestInfo {
    pub(super) fn read<B>(request: &Request<B>) -> Self {
        let uri = request.uri();
        let mut info = Self {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            ..Self::default()
        };
        for parameter in uri.query().unwrap_or_default().split('&') {
            match parameter {
                "dryRun=All" => info.dry_run = true,
                "watch=true" | "watch=1" => info.watch = true,
                _ => {}
            }
        }
        info.read_path(uri.path());
        info
    }

    /// `/api/v1/…` or `/apis/GROUP/VERSION/…`, then `[namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE]]`
    /// (Kubernetes API concepts, "Resource URIs").
    fn read_path(&mut self, path: &str) {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, mut rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return,
        };
        group.clone_into(&mut self.group);
        // `namespaces/x/status` is a subresource of the namespace x, not a resource in it.
        if let ["namespaces", namespace, inner @ ..] = rest
            && let [resource, ..] = inner
            && !["status", "finalize"].contains(resource)
        {
            self.namespace = Some((*namespace).to_owned());
            rest = inner;
        }
        let owned = |index: usize| rest.get(index).map(|segment| (*segment).to_owned());
        self.resource = owned(0).unwrap_or_default();
        self.name = owned(1);
        self.subresource = owned(2);
    }

    /// Whether it can change stored objects: POST, PUT, PATCH or DELETE, except dry runs and Events.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let changes =
            [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&self.method);
        changes && !self.dry_run && self.resource != "events"
    }

    /// Whether its timing is independent of the scenario: a watch, an Event, or a leader election's lease. Counting them would
    /// give a request different numbers in two runs of the same scenario.
    #[must_use]
    pub fn is_background(&self) -> bool {
        self.watch || self.resource == "events" || self.resource == "leases"
    }

    /// `secrets`, or `oauthclients/status`.
    #[must_use]
    pub fn resource_and_subresource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        method: &str,
        uri: &str,
    ) -> (
        String,
        String,
        Option<String>,
        Option<String>,
        Option<String>,
    ) {
        let request = Request::builder().method(method).uri(uri).body(());
        let info = request
            .map(|request| RequestInfo::read(&request))
            .unwrap_or_default();
        (
            info.group,
            info.resource,
            info.namespace,
            info.name,
            info.subresource,
        )
    }

    fn parts(
        parts: [&str; 5],
    ) -> (
        String,
        String,
        Option<String>,
        Option<String>,
        Option<String>,
    ) {
        let some = |index: usize| Some(parts[index].to_owned()).filter(|text| !text.is_empty());
        (
            parts[0].to_owned(),
            parts[1].to_owned(),
            some(2),
            some(3),
            some(4),
        )
    }

    #[test]
    fn reads_every_shape_of_resource_path() {
        let status = "/apis/oauth.provident.ae/v1alpha1/namespaces/shop/oauthclients/storefront/status?fieldManager=x";
        assert_eq!(
            read("PATCH", status),
            parts([
                "oauth.provident.ae",
                "oauthclients",
                "shop",
                "storefront",
                "status"
            ])
        );
        assert_eq!(
            read("POST", "/api/v1/namespaces/shop/secrets"),
            parts(["", "secrets", "shop", "", ""])
        );
        assert_eq!(
            read("GET", "/api/v1/secrets?limit=5"),
            parts(["", "secrets", "", "", ""])
        );
        assert_eq!(
            read("DELETE", "/api/v1/namespaces/shop"),
            parts(["", "namespaces", "", "shop", ""])
        );
        assert_eq!(
            read("PUT", "/api/v1/namespaces/shop/finalize"),
            parts(["", "namespaces", "", "shop", "finalize"])
        );
        assert_eq!(read("GET", "/readyz"), parts(["", "", "", "", ""]));
    }

    #[test]
    fn a_dry_run_and_an_event_are_no_writes() {
        let write = |uri: &str| {
            Request::post(uri)
                .body(())
                .is_ok_and(|request| RequestInfo::read(&request).is_write())
        };
        assert!(write("/api/v1/namespaces/shop/secrets?fieldManager=x"));
        assert!(!write("/api/v1/namespaces/shop/secrets?&dryRun=All"));
        assert!(!write("/apis/events.k8s.io/v1/namespaces/shop/events"));
    }
}
