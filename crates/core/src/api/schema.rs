//! The parts of the schemas that one attribute cannot express: lists and maps whose members have rules of their own.
//!
//! Every bound here also bounds the estimated cost of the CEL rules; the API server refuses a definition whose
//! estimate is too high. A rule that needs a message for people is CEL, because a `pattern` answers with its regex.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// The effective name of the Secret stays: a Secret under the old name would be left behind with live credentials.
pub(super) const SECRET_NAME_STAYS: &str = "(has(self.spec.secret) && has(self.spec.secret.name) ? self.spec.secret.name : self.metadata.name) == \
     (has(oldSelf.spec.secret) && has(oldSelf.spec.secret.name) ? oldSelf.spec.secret.name : oldSelf.metadata.name)";
/// The connection stays from the first attempt on: a clientId means nothing in another account.
pub(super) const CONNECTION_STAYS: &str = "self.spec.connectionRef == oldSelf.spec.connectionRef || !has(oldSelf.status) || \
     (!has(oldSelf.status.clientId) && !has(oldSelf.status.createAttempt))";
/// A restriction to no address at all would lock everybody out.
pub(super) const RESTRICTION_HAS_ADDRESSES: &str = "!has(self.ipRestriction) || !self.ipRestriction || (has(self.allowedIps) && size(self.allowedIps) > 0)";
/// Hours, minutes and seconds as [`parse_duration`](super::parse_duration) reads them.
pub(super) const IS_DURATION: &str = "self.matches('^([0-9]{1,5}[hms]){1,3}$')";
/// [`IS_DURATION`], one hour at least: more often, applications spend their time restarting.
pub(super) const IS_DURATION_OF_1H: &str =
    "self.matches('^([0-9]{1,5}[hms]){1,3}$') && duration(self) >= duration('1h')";
/// [`IS_DURATION`], one minute at least: the vendor's API is shared.
pub(super) const IS_DURATION_OF_1M: &str =
    "self.matches('^([0-9]{1,5}[hms]){1,3}$') && duration(self) >= duration('1m')";
/// Minute, hour, day of month, month, day of week. Whether the numbers exist is seen when the schedule is used.
pub(super) const IS_CRON: &str =
    r"self.matches('^([0-9*,/-]+ +){3}([0-9*,/-]|[A-Za-z])+ +([0-9*,/#L-]|[A-Za-z])+$')";
/// Taking the hour there fails for a zone that the time zone database does not have.
pub(super) const IS_TIME_ZONE: &str = "timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0";
/// The name of an object, a DNS-1123 subdomain (RFC 1123 section 2.1).
pub(super) const IS_NAME: &str =
    r"self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')";
/// What to write for [`IS_NAME`].
pub(super) const NAME_MESSAGE: &str = "must be the name of an object: lower case letters, digits, '-' and '.', between letters or digits";
/// A key of a Secret, as the API server takes it.
pub(super) const IS_KEY: &str =
    "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')";
/// What to write for [`IS_KEY`].
pub(super) const KEY_MESSAGE: &str = "must be a key of a Secret: letters, digits, '-', '_' and '.'";
/// A clientId that can stand in a path as one segment.
pub(super) const IS_CLIENT_ID: &str = "self.matches('^[A-Za-z0-9_-][A-Za-z0-9._~-]{0,127}$')";
/// An address to which a path can be appended.
pub(super) const IS_BASE_URL: &str =
    r"isURL(self) && self.matches('^https?://[^/?#@\\s]+(/[^/?#\\s]+)*$')";
/// One selector per rule, so that nobody has to ask how two add up.
pub(super) const ONE_SELECTOR: &str = "has(self.namespaces) != has(self.namespaceSelector)";

/// One credential, so that nobody has to ask which one counts.
pub(super) const ONE_CREDENTIAL: &str =
    "has(self.tokenSecretRef) != has(self.clientCredentialsSecretRef)";

/// Where a user may be sent back to.
pub(super) fn redirect_uris(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 2048,
            "x-kubernetes-validations": [
                {
                    "rule": "isURL(self) && url(self).getScheme() != ''",
                    "message": "must be an absolute URL, e.g. https://shop.example.com/auth/callback",
                },
                {
                    "rule": "!self.contains('#')",
                    "message": "must not have a fragment (RFC 6749 section 3.1.2)",
                },
            ],
        },
    })
}

/// Scopes, at least one.
pub(super) fn scopes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 256,
            "x-kubernetes-validations": [{
                "rule": r"self.matches('^[!#-\\[\\]-~]+$')",
                "message": "must be a scope: printable ASCII without space, '\"' and '\\' (RFC 6749 section 3.3)",
            }],
        },
    })
}

/// Addresses and CIDRs.
pub(super) fn allowed_ips(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 43,
            "x-kubernetes-validations": [{
                "rule": "isIP(self) || isCIDR(self)",
                "message": "must be an IP address or a CIDR, e.g. 203.0.113.0/24",
            }],
        },
    })
}

/// Labels of a Secret.
pub(super) fn secret_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
                "message": "must be the value of a label: letters, digits, '-', '_' and '.', between letters or digits",
            }],
        },
        "x-kubernetes-validations": metadata_rules(),
    })
}

/// Annotations of a Secret.
pub(super) fn secret_annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 4096 },
        "x-kubernetes-validations": metadata_rules(),
    })
}

/// What the keys of labels and annotations must be, and must not be: Kubernetes' own prefixes switch on behaviour of
/// the cluster, and ours carries the binding.
fn metadata_rules() -> Value {
    json!([
        {
            "rule": "self.all(k, !format.qualifiedName().validate(k).hasValue())",
            "message": "has a key that is not of the form name or prefix/name",
        },
        {
            "rule": r"self.all(k, k.startsWith('app.kubernetes.io/') || !k.matches('^([^/]*\\.)?(kubernetes|k8s)\\.io/'))",
            "message": "has a key that is reserved for Kubernetes; of those only app.kubernetes.io/ may be set",
        },
        {
            "rule": r"self.all(k, k != 'app.kubernetes.io/managed-by' && !k.matches('^([^/]*\\.)?oauth\\.provident\\.ae/'))",
            "message": "has a key that the operator sets itself: app.kubernetes.io/managed-by or one of oauth.provident.ae/",
        },
    ])
}

/// What a Secret holds.
pub(super) fn string_data(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 8192 },
        "x-kubernetes-validations": [
            {
                "rule": "self.all(k, k.matches('^[-._a-zA-Z0-9]{1,253}$') && k != '.' && !k.startsWith('..'))",
                "message": "has a key that a Secret cannot have: letters, digits, '-', '_' and '.' are allowed",
            },
            {
                "rule": "self.all(k, !self[k].replace('$$', '').replace('$(clientId)', '').replace('$(clientSecret)', '').replace('$(tokenUrl)', '').contains('$('))",
                "message": "has an unknown variable: there are $(clientId), $(clientSecret) and $(tokenUrl); write $$( for a literal $(",
            },
        ],
    })
}

/// Names of namespaces.
pub(super) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 128,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 63,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "message": "must be the name of a namespace; namespaceSelector: {} selects every one",
            }],
        },
    })
}

/// A label selector (`meta/v1`), with bounds, and refused where the API server refuses it in its own kinds.
pub(super) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that a namespace must have, with these values.",
                "type": "object",
                "maxProperties": 32,
                "additionalProperties": { "type": "string", "maxLength": 63 },
            },
            "matchExpressions": {
                "description": "Requirements on labels that must all hold.",
                "type": "array",
                "maxItems": 32,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label's key.",
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 317,
                        },
                        "operator": {
                            "description": "In and NotIn compare with values; Exists and DoesNotExist take none. NotIn and DoesNotExist select a namespace without the label too.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values for In and NotIn.",
                            "type": "array",
                            "maxItems": 64,
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string", "maxLength": 63 },
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                        "message": "In and NotIn need values, Exists and DoesNotExist must not have any",
                        "fieldPath": ".values",
                    }],
                },
            },
        },
    })
}
