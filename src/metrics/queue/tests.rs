use super::*;
use crate::metrics::Metrics;
use provident_core::api::OAuthClient;

fn named(name: &str) -> ObjectRef<OAuthClient> {
    ObjectRef::new(name).within("shop")
}

fn value(metrics: &Metrics, name: &str) -> String {
    let wanted = format!("provident_operator_{name}{{kind=\"OAuthClient\"}} ");
    let text = metrics.text();
    let found = text.lines().find_map(|line| line.strip_prefix(&wanted));
    found.unwrap_or_default().to_owned()
}

#[test]
fn what_is_due_waits_until_its_pass_begins_and_what_comes_later_does_not() {
    let metrics = Metrics::default();
    let queue = &metrics.queue;
    queue.asked(&named("first"));
    // A standby begins no pass, and nothing waits for it.
    assert_eq!(value(&metrics, "queue_depth"), "0");
    drop(queue.begun(&named("first")));
    queue.asked(&named("web"));
    queue.asked(&named("web"));
    queue.again(&named("later"), Duration::from_hours(1));
    queue.again(&named("never"), Duration::MAX);
    let depth = || value(&metrics, "queue_depth");
    assert_eq!(depth(), "1");
    assert_eq!(value(&metrics, "queue_adds_total"), "3");

    let working = queue.begun(&named("web"));
    assert_eq!(depth(), "0");
    assert_eq!(value(&metrics, "active_workers"), "1");
    assert_eq!(value(&metrics, "queue_wait_seconds_count"), "2");
    // Asked for during its own pass: it waits for the next one.
    queue.asked(&named("web"));
    assert_eq!(depth(), "1");
    drop(working);
    assert_eq!(value(&metrics, "active_workers"), "0");

    // A change comes before the time that was set.
    queue.asked(&named("later"));
    assert_eq!(depth(), "2");
    queue.gone(&named("later"));
    queue.gone(&named("web"));
    assert_eq!(depth(), "0");
    assert_eq!(value(&metrics, "queue_oldest_seconds"), "0.0");
}
