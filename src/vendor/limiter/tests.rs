use std::sync::atomic::{AtomicUsize, Ordering};

use provident_emulator::{LimitHeaders, LimitKind, RateLimit, RateLimiter};
use reqwest::header::{HeaderMap, HeaderName};

use super::*;

fn limiter(per_second: u32) -> Limiter {
    Limiter::new(NonZeroU32::new(per_second).unwrap())
}

#[test]
fn s13_retry_after_is_read_as_seconds_or_date_and_nothing_else() {
    let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(parse_retry_after("7", now), Some(Duration::from_secs(7)));
    assert_eq!(
        parse_retry_after("Thu, 01 Jan 2026 00:00:30 GMT", now),
        Some(Duration::from_secs(30))
    );
    assert_eq!(
        parse_retry_after("Thu, 01 Jan 1970 00:00:00 GMT", now),
        Some(Duration::ZERO)
    );
    for odd in ["", "soon", "-1", "1e9", "99999999999999999999999"] {
        assert_eq!(parse_retry_after(odd, now), None, "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn s13_a_pause_holds_for_every_caller_and_is_never_absurd() {
    let limiter = limiter(100);
    assert_eq!(limiter.retry_delay(None), DEFAULT_PAUSE);
    let absurd = Some(Duration::from_secs(u64::MAX));
    assert_eq!(limiter.retry_delay(absurd), LONGEST_PAUSE);
    let permit = limiter.permit("shop").await.ok().unwrap();
    permit.response(true, absurd, None);
    drop(permit);
    for namespace in ["shop", "bank"] {
        let sent_away = limiter.permit(namespace).await;
        assert!(matches!(sent_away, Err(RetryAfter(wait)) if wait >= Duration::from_mins(4)));
    }
    tokio::time::sleep(LONGEST_PAUSE).await;
    assert!(limiter.permit("shop").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_let_through_and_then_the_rate_holds() {
    let limiter = limiter(10);
    let start = Instant::now();
    for _ in 0..30 {
        assert!(limiter.permit("shop").await.is_ok());
    }
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(1900)..Duration::from_millis(2200)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_bounded_and_a_dropped_permit_serves_the_next() {
    let limiter = limiter(1000);
    let mut held = Vec::new();
    for _ in 0..IN_FLIGHT {
        held.push(limiter.permit("shop").await.ok().unwrap());
    }
    assert!(limiter.permit("shop").await.is_err());
    let next = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.permit("shop").await.is_ok() }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    held.pop();
    assert!(next.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_has_gone_costs_nothing() {
    let limiter = limiter(1);
    assert!(limiter.permit("shop").await.is_ok());
    for _ in 0..3 {
        let waits = limiter.permit("shop");
        assert!(
            tokio::time::timeout(Duration::from_millis(10), waits)
                .await
                .is_err()
        );
    }
    assert!(limiter.permit("shop").await.is_ok());
    assert_eq!(limiter.0.lock().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn s47_a_lone_caller_is_served_beside_five_thousand() {
    let limiter = limiter(10);
    let served = Arc::new(AtomicUsize::new(0));
    let crowd: Vec<_> = (0..5000)
        .map(|_| {
            let (limiter, served) = (limiter.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                loop {
                    match limiter.permit("busy").await {
                        Ok(_) => break,
                        Err(RetryAfter(wait)) => tokio::time::sleep(wait).await,
                    }
                }
                served.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < Duration::from_mins(5) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let asked = Instant::now();
        assert!(limiter.permit("lone").await.is_ok(), "sent away");
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_millis(400), "{slowest:?}");
    // And nothing of the rate is lost on the crowd's comings and goings.
    let in_five_minutes = served.load(Ordering::SeqCst);
    assert!(in_five_minutes > 2800, "{in_five_minutes}");
    for task in crowd {
        task.await.unwrap();
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(560), "{took:?}");
}

/// A vendor with this limit that takes 50 ms, and clients with more to do than it allows. Returns what it accepted and
/// rejected in five minutes, after one minute in which the rate may settle.
async fn settled(per_second: u32, limit: RateLimit) -> (u32, u32) {
    let limiter = limiter(per_second);
    let vendor = Arc::new(Mutex::new((RateLimiter::new(limit, Instant::now()), 0, 0)));
    let clients: Vec<_> = (0..64)
        .map(|index| {
            let (limiter, vendor) = (limiter.clone(), Arc::clone(&vendor));
            tokio::spawn(async move {
                let namespace = format!("namespace-{}", index % 8);
                loop {
                    let permit = match limiter.permit(&namespace).await {
                        Ok(permit) => permit,
                        Err(RetryAfter(wait)) => {
                            tokio::time::sleep(wait).await;
                            continue;
                        }
                    };
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let (rejected, headers) = {
                        let mut vendor = vendor.lock();
                        let verdict = vendor.0.request(Instant::now());
                        vendor.1 += u32::from(!verdict.rejected);
                        vendor.2 += u32::from(verdict.rejected);
                        (verdict.rejected, verdict.headers)
                    };
                    let headers: HeaderMap = headers
                        .into_iter()
                        .map(|(name, value)| {
                            (HeaderName::from_static(name), value.parse().unwrap())
                        })
                        .collect();
                    let retry_after = headers.get("retry-after").map(|value| {
                        parse_retry_after(value.to_str().unwrap(), jiff::Timestamp::UNIX_EPOCH)
                            .unwrap()
                    });
                    permit.response(rejected, retry_after, quota(&headers));
                    drop(permit);
                    if rejected {
                        tokio::time::sleep(limiter.retry_delay(retry_after)).await;
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_mins(1)).await;
    (vendor.lock().1, vendor.lock().2) = (0, 0);
    tokio::time::sleep(Duration::from_mins(5)).await;
    for client in clients {
        client.abort();
    }
    let counted = vendor.lock();
    (counted.1, counted.2)
}

#[tokio::test(start_paused = true)]
async fn the_rate_settles_at_what_the_vendor_allows() {
    let mut failures = Vec::new();
    for per_second in [5_u32, 20, 50] {
        let kinds = [
            LimitKind::TokenBucket {
                per_second: f64::from(per_second),
                burst: f64::from(per_second),
            },
            LimitKind::TokenBucket {
                per_second: f64::from(per_second),
                burst: 5.0,
            },
            LimitKind::FixedWindow {
                requests: per_second,
                milliseconds: 1000,
            },
            LimitKind::FixedWindow {
                requests: per_second * 10,
                milliseconds: 10_000,
            },
            LimitKind::FixedWindow {
                requests: per_second * 60,
                milliseconds: 60_000,
            },
        ];
        let headers = [
            LimitHeaders::None,
            LimitHeaders::RetryAfter,
            LimitHeaders::Fields,
            LimitHeaders::Structured,
        ];
        for (kind, headers) in kinds
            .iter()
            .flat_map(|kind| headers.map(|headers| (*kind, headers)))
        {
            let limit = RateLimit { kind, headers };
            let (accepted, rejected) = settled(100, limit).await;
            let throughput = f64::from(accepted) / f64::from(per_second * 300);
            let share = f64::from(rejected) / f64::from(accepted + rejected);
            println!(
                "{kind:?} {headers:?}: {throughput:.3} of what is allowed, {share:.3} rejected"
            );
            if throughput < 0.9 || share >= 0.05 {
                failures.push(format!(
                    "{kind:?} {headers:?}: {throughput:.3} of what is allowed, {share:.3} rejected"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_rejects_a_random_tenth_does_not_slow_the_rest() {
    for (per_second, headers) in [
        (20, LimitHeaders::None),
        (20, LimitHeaders::RetryAfter),
        (100, LimitHeaders::RetryAfter),
    ] {
        let limit = RateLimit {
            kind: LimitKind::RandomRejection { one_in: 10 },
            headers,
        };
        let (accepted, rejected) = settled(per_second, limit).await;
        let throughput = f64::from(accepted + rejected) / f64::from(per_second * 300);
        assert!(throughput > 0.85, "{headers:?}: {throughput}");
    }
}

#[test]
fn a_quota_is_read_in_each_form_of_the_draft() {
    let of = |fields: &[(&'static str, &str)]| {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        quota(&headers).map(|quota| (quota.remaining, quota.reset.as_secs()))
    };
    let left = Some((3, 7));
    assert_eq!(
        of(&[("ratelimit-remaining", "3"), ("ratelimit-reset", "7")]),
        left
    );
    assert_eq!(of(&[("ratelimit", "limit=10, remaining=3, reset=7")]), left);
    assert_eq!(of(&[("ratelimit", "\"default\";r=3;t=7")]), left);
    assert_eq!(
        of(&[("ratelimit", "\"hour\";r=50;t=3000, \"second\";r=3;t=7")]),
        left
    );
    for odd in [
        "",
        "x",
        "\"a\";r=-1;t=1",
        "\"a\";r=1",
        "limit=1, remaining=, reset=1",
    ] {
        assert_eq!(of(&[("ratelimit", odd)]), None, "{odd}");
    }
    assert_eq!(of(&[("ratelimit-remaining", "0")]), None);
}
