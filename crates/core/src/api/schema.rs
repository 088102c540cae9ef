//! The parts of the schemas that one attribute cannot express: lists and maps whose members have rules of their own.
//!
//! Every bound here also bounds the estimated cost of the CEL rules; the API server refuses a definition whose
//! estimate is too high. A rule that needs a message for people is CEL, because a `pattern` answers with its regex.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::TEMPLATE_VARIABLES;

/// The effective name of the Secret stays: a Secret under the old name would be left behind with live credentials.
pub(super) const SECRET_NAME_STAYS: &str = "(has(self.spec.secret) && has(self.spec.secret.name) ? self.spec.secret.name : self.metadata.name) == \
     (has(oldSelf.spec.secret) && has(oldSelf.spec.secret.name) ? oldSelf.spec.secret.name : oldSelf.metadata.name)";
/// The connection stays from the first attempt on: a clientId means nothing in another account.
pub(super) const CONNECTION_STAYS: &str = "self.spec.connectionRef == oldSelf.spec.connectionRef || !has(oldSelf.status) || \
     (!has(oldSelf.status.clientId) && !has(oldSelf.status.createAttempt))";
/// A restriction to no address at all would lock everybody out.
pub(super) const RESTRICTION_HAS_ADDRESSES: &str = "!has(self.ipRestriction) || !self.ipRestriction || (has(self.allowedIps) && size(self.allowedIps) > 0)";
/// Hours, minutes and seconds as [`parse_duration`](super::parse_duration) reads them, one minute at least: a window that
/// is open for less is missed.
pub(super) const IS_DURATION_OF_1M: &str = "self.matches('^[0-9]') && self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$') && duration(self) >= duration('1m')";
/// [`IS_DURATION_OF_1M`], one hour at least: more often, applications spend their time restarting.
pub(super) const IS_DURATION_OF_1H: &str = "self.matches('^[0-9]') && self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$') && duration(self) >= duration('1h')";
/// A name of the IANA database. Reading an hour there fails for a zone that the API server does not have; it also takes an
/// offset such as +04:00 and "Local", which are no names.
pub(super) const IS_TIME_ZONE: &str = "self.matches('^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$') && self != 'Local' && \
     timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0";
/// Text that is shown to people: no control or format characters (escape sequences, bidirectional overrides), no line breaks.
pub(super) const IS_PLAIN_TEXT: &str =
    r"self.matches('^[^\\p{C}\\p{Z}]([^\\p{C}\\p{Zl}\\p{Zp}]*[^\\p{C}\\p{Z}])?$')";
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

/// The most bytes that all redirect URIs of a client may have, and all annotations of a Secret.
const MAX_LIST_BYTES: u32 = 16 * 1024;
/// The most bytes that all templates of a Secret may have.
const MAX_TEMPLATE_BYTES: u32 = 64 * 1024;

/// Where a user may be sent back to (RFC 6749 section 3.1.2, RFC 8252 section 7, RFC 9700 section 2.6).
pub(super) fn redirect_uris(_: &mut SchemaGenerator) -> Schema {
    // A label of a host name, an IPv6 address, and 1 to 65535.
    let label = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?";
    let host = format!(r"({label}([.]{label})*[.]?|\\[[0-9a-f:.]+\\])");
    let port = "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?";
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2048,
            "x-kubernetes-validations": [
                {
                    "rule": r"self.matches('^([A-Za-z0-9._~:/?#@!$&()*+,;=\\[\\]\\x27-]|%[0-9A-Fa-f]{2})*$')",
                    "message": "must not contain white space or other characters that a URI cannot contain; write them as %XX (RFC 3986 section 2)",
                },
                {
                    "rule": "!self.contains('#')",
                    "message": "must not have a fragment (RFC 6749 section 3.1.2)",
                },
                {
                    "rule": format!("!self.matches('(?i)^https?:') || self.matches('(?i)^https?://{host}{port}([/?#]|$)')"),
                    "message": "must be https://host[:port][/path][?query], with a port from 1 to 65535 and without user and password",
                },
                {
                    "rule": r"!self.matches('(?i)^http:') || self.matches('(?i)^http://(localhost|127([.][0-9]{1,3}){3}|\\[::1\\])([:/?#]|$)')",
                    "message": "must use https; http is allowed for localhost, 127.0.0.1 and [::1] only (RFC 9700 section 2.6)",
                },
                {
                    "rule": "self.matches('(?i)^(https?:|[a-z][a-z0-9+-]*([.][a-z0-9+-]+)+:/)')",
                    "message": "must be an absolute URI: https://shop.example.com/auth/callback, or of a native app com.example.app:/callback (RFC 8252 section 7.1)",
                },
            ],
        },
        "x-kubernetes-validations": [{
            "rule": format!("self.map(uri, size(uri)).sum() <= {MAX_LIST_BYTES}"),
            "message": format!("must not have more than {MAX_LIST_BYTES} characters in all"),
        }],
    })
}

/// When a window opens: minute, hour, day of month, month, day of week, with the numbers and names that exist.
pub(super) fn cron(_: &mut SchemaGenerator) -> Schema {
    let months = "(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)";
    let days = "([0-7]|sun|mon|tue|wed|thu|fri|sat)";
    let values = [
        "[0-5]?[0-9]",
        "([01]?[0-9]|2[0-3])",
        "(0?[1-9]|[12][0-9]|3[01])",
        months,
        days,
    ];
    // A list of *, a value or a range, each with a step; a day of the week also as the nth or last one of the month.
    let fields = values.map(|value| {
        let nth = if value == days {
            "|[0-7](#[1-5]|#?l)"
        } else {
            ""
        };
        let item = format!("(([*]|{value}(-{value})?)(/[1-9][0-9]?)?{nth})");
        format!("{item}(,{item})*")
    });
    let short_months = "(0?2|feb)";
    let months_of_30 = "(0?[2469]|11|feb|apr|jun|sep|nov)";
    json_schema!({
        "type": "string",
        "minLength": 9,
        "maxLength": 64,
        "x-kubernetes-validations": [
            {
                "rule": format!("self.matches('(?i)^{}$')", fields.join(" +")),
                "message": "must be a cron expression of five fields, e.g. \"0 2 * * 0\" for Sunday at 2: minute 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-7",
            },
            {
                "rule": format!(
                    "!self.matches('(?i)^[^ ]+ +[^ ]+ +((30|31)([,-](30|31))* +{short_months}(,{short_months})*|31(,31)* +{months_of_30}(,{months_of_30})*) +[*]$')"
                ),
                "message": "never opens: no month that it names has that day",
            },
        ],
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
    let mut rules = metadata_rules();
    rules.push(size_rule(MAX_LIST_BYTES));
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 4096 },
        "x-kubernetes-validations": rules,
    })
}

/// What the keys of labels and annotations must be, and must not be: Kubernetes' own prefixes switch on behaviour of
/// the cluster, and ours carries the binding.
fn metadata_rules() -> Vec<Value> {
    vec![
        key_rule(
            r"k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && k.size() <= 317",
            "is not of the form name or prefix/name",
        ),
        key_rule(
            r"k.startsWith('app.kubernetes.io/') || !k.matches('^([^/]*[.])?(kubernetes|k8s)[.]io/')",
            "is reserved for Kubernetes, where only app.kubernetes.io/ may be set",
        ),
        key_rule(
            r"k != 'app.kubernetes.io/managed-by' && !k.matches('^([^/]*[.])?oauth[.]provident[.]ae/')",
            "is one that the operator sets itself, app.kubernetes.io/managed-by or one of oauth.provident.ae/",
        ),
    ]
}

/// A rule for each key `k` of a map. `what` says what is wrong with a key; the message names the first one.
fn key_rule(holds: &str, what: &str) -> Value {
    json!({
        "rule": format!("self.all(k, {holds})"),
        "message": format!("a key {what}"),
        "messageExpression": format!("'key ' + self.filter(k, !({holds}))[0] + ' {what}'"),
    })
}

/// Bounds what all values of a map have together, so that no object is much larger than the others.
fn size_rule(bytes: u32) -> Value {
    json!({
        "rule": format!("self.map(k, size(bytes(self[k]))).sum() <= {bytes}"),
        "message": format!("must not have more than {bytes} bytes in all"),
    })
}

/// What a Secret holds.
pub(super) fn string_data(_: &mut SchemaGenerator) -> Schema {
    let known = TEMPLATE_VARIABLES
        .as_flattened()
        .iter()
        .fold(String::new(), |rule, name| {
            format!("{rule}.replace('{name}', '')")
        });
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 32,
        "additionalProperties": { "type": "string", "maxLength": 8192 },
        "x-kubernetes-validations": [
            key_rule(
                "k.matches('^[-._a-zA-Z0-9]{1,253}$') && k != '.' && !k.startsWith('..')",
                "is not one that a Secret can have, where letters, digits, -, _ and . are allowed",
            ),
            key_rule(
                &format!("!self[k].replace('$$', ''){known}.contains('$(')"),
                "has an unknown variable, where there are $(clientId), $(clientSecret) and $(tokenUrl), each also as $(…:json), and $$( is a literal $(",
            ),
            size_rule(MAX_TEMPLATE_BYTES),
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
