//! Classifies requests to the API server by labels of low cardinality.

use http::{Method, Uri};

use crate::metrics::Watch;

/// What this program asks for by name, subresources beside their resources. The rest is `other`.
const RESOURCES: &[&str] = &[
    "clusterprovidentconnections",
    "clusterprovidentconnections/status",
    "configmaps",
    "customresourcedefinitions",
    "daemonsets",
    "deployments",
    "events",
    "leases",
    "namespaces",
    "oauthclients",
    "oauthclients/status",
    "providentconnections",
    "providentconnections/status",
    "secrets",
    "statefulsets",
];

/// A request, as the API server's own audit log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, or `other`.
    pub verb: &'static str,
    /// A plural name, `NAME/SUBRESOURCE`, or `other`.
    pub resource: &'static str,
}

impl RequestInfo {
    pub(super) fn read(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        // `/api/v1/…` or `/apis/GROUP/VERSION/…`, then `[namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE]]` (Kubernetes
        // API concepts, "Resource URIs").
        let rest = match segments.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        let (resource, name, subresource) = match rest {
            ["namespaces", _, resource, rest @ ..] => (*resource, rest.first(), rest.get(1)),
            [resource, rest @ ..] => (*resource, rest.first(), rest.get(1)),
            [] => ("", None, None),
        };
        let full = match subresource {
            Some(subresource) => format!("{resource}/{subresource}"),
            None => resource.to_owned(),
        };
        let known = RESOURCES.iter().find(|known| **known == full);
        let verb = match (method.as_str(), name) {
            ("GET", None) if is_watch(uri) => "watch",
            ("GET", None) => "list",
            ("GET", Some(_)) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", _) => "delete",
            _ => "other",
        };
        Self {
            verb: if rest.is_empty() { "other" } else { verb },
            resource: known.copied().unwrap_or("other"),
        }
    }

    /// The watch it belongs to: the same through its lists and all requests that continue it.
    pub(super) fn watch(&self, uri: &Uri) -> Option<Watch> {
        let labels = parameters(uri).find(|parameter| parameter.starts_with("labelSelector="));
        ["list", "watch"].contains(&self.verb).then(|| Watch {
            resource: self.resource,
            scope: format!("{}?{}", uri.path(), labels.unwrap_or_default()),
        })
    }
}

fn is_watch(uri: &Uri) -> bool {
    parameters(uri).any(|parameter| ["watch=true", "watch=1"].contains(&parameter))
}

fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_as_the_audit_log_names_it() {
        let group = "/apis/oauth.provident.ae/v1alpha1";
        for (method, uri, verb, resource) in [
            (
                "GET",
                format!("{group}/oauthclients"),
                "list",
                "oauthclients",
            ),
            (
                "GET",
                format!("{group}/oauthclients?&watch=true&x=y"),
                "watch",
                "oauthclients",
            ),
            (
                "GET",
                format!("{group}/namespaces/a/oauthclients/b"),
                "get",
                "oauthclients",
            ),
            (
                "PATCH",
                format!("{group}/namespaces/a/oauthclients/b/status?x"),
                "patch",
                "oauthclients/status",
            ),
            (
                "POST",
                "/api/v1/namespaces/a/secrets?dryRun=All".to_owned(),
                "create",
                "secrets",
            ),
            (
                "PUT",
                "/api/v1/namespaces/a/secrets/b".to_owned(),
                "update",
                "secrets",
            ),
            (
                "GET",
                "/api/v1/namespaces/a".to_owned(),
                "get",
                "namespaces",
            ),
            ("GET", "/api/v1/namespaces".to_owned(), "list", "namespaces"),
            (
                "DELETE",
                "/api/v1/namespaces/a/pods/b".to_owned(),
                "delete",
                "other",
            ),
            ("GET", "/version".to_owned(), "other", "other"),
        ] {
            let (method, uri) = (method.parse().unwrap(), uri.parse().unwrap());
            let info = RequestInfo::read(&method, &uri);
            assert_eq!(info, RequestInfo { verb, resource }, "{method} {uri}");
        }
    }

    #[test]
    fn a_watch_is_the_same_one_through_all_its_requests() {
        let watch = |uri: &str| {
            let uri: Uri = uri.parse().unwrap();
            RequestInfo::read(&Method::GET, &uri).watch(&uri)
        };
        let first = watch("/api/v1/secrets?labelSelector=a&watch=true&resourceVersion=1");
        assert!(first.is_some());
        assert_eq!(
            first,
            watch("/api/v1/secrets?labelSelector=a&watch=true&resourceVersion=2")
        );
        assert_ne!(first, watch("/api/v1/secrets?watch=true&resourceVersion=2"));
        assert_eq!(first, watch("/api/v1/secrets?labelSelector=a&limit=500"));
        assert_eq!(watch("/api/v1/namespaces/a/secrets/b"), None);
    }
}
