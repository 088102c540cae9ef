//! Valid values for the strings of the spec. A new string must get one here: the walk says so.

/// How many different scopes the vendor knows in a walk, the padded one aside.
pub const SCOPES: usize = 70;

/// The `n`-th valid value of a string; a list's members and a map's values have `[]` and `{}` at the end of the path.
pub fn sample(path: &str, n: usize) -> String {
    let of = |values: &[&str]| values[n % values.len()].to_owned();
    match path {
        "name" => format!("Walker {n}"),
        "redirectUris[]" => format!("https://walk.example/{n}/"),
        "allowedScopes[]" => format!("walk:{}", n % SCOPES),
        "allowedIps[]" => format!("10.{}.{}.0/24", n / 256 % 256, n % 256),
        "connectionRef.name" => format!("another-{n}"),
        // The first one is the name that it has already.
        "secret.name" if n == 0 => super::NAME.to_owned(),
        "secret.name" => format!("another-{n}"),
        "secret.labels{}" | "secret.annotations{}" => format!("value-{n}"),
        "secret.stringData{}" => {
            format!("$(clientId) $$(clientId) {n}\n$(clientSecret)$(tokenUrl)")
        }
        "rotation.interval" => of(&["720h", "24h30m", "2160h"]),
        "rotation.window.schedule" => of(&["0 2 * * 0", "30 4 1 * *"]),
        "rotation.window.duration" => of(&["2h", "90m"]),
        "rotation.window.timeZone" => of(&["Asia/Dubai", "Europe/Zurich", "UTC"]),
        "rolloutRestartTargets[].name" => format!("workload-{n}"),
        "adoption.clientId" => format!("walked-{n}"),
        "adoption.secretKeyRef.name" => format!("walk-{n}"),
        "adoption.secretKeyRef.key" => "CLIENT_SECRET".to_owned(),
        "refreshInterval" => of(&["1h", "24h", "1h30m", "10m"]),
        new => {
            panic!("spec.{new} is a string that the walk does not know: give it a valid value here")
        }
    }
}

/// The `n`-th valid key of a map.
pub fn key(path: &str, n: usize) -> String {
    match path {
        "secret.labels" | "secret.annotations" => format!("walk.example/key-{n}"),
        "secret.stringData" => format!("KEY_{n}"),
        new => panic!("spec.{new} is a map that the walk does not know: give it a valid key here"),
    }
}

/// A value made as long as may be. It may be no valid one any more.
pub fn padded(path: &str, length: usize) -> String {
    let mut text = sample(path, 1);
    while text.len() < length {
        text.push('x');
    }
    text
}
