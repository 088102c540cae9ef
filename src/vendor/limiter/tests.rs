use std::sync::atomic::{AtomicUsize, Ordering};

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
    assert!(limiter.permit("shop").await.is_ok());
    assert_eq!(limiter.back_off(None), DEFAULT_PAUSE);
    let absurd = Duration::from_secs(u64::MAX);
    assert_eq!(limiter.back_off(Some(absurd)), LONGEST_PAUSE);
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
async fn pressure_halves_the_rate_and_calm_brings_it_back() {
    let limiter = limiter(100);
    let let_through = async || {
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < Duration::from_secs(1) {
            if limiter.permit("shop").await.is_ok() {
                count += 1;
            }
        }
        count
    };
    // Two answers to what was in flight together are one pressure.
    limiter.back_off(Some(Duration::from_secs(1)));
    limiter.back_off(Some(Duration::from_secs(1)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let slow = let_through().await;
    assert!((45..65).contains(&slow), "{slow}");
    tokio::time::sleep(Duration::from_secs(20)).await;
    let recovered = let_through().await;
    assert!(recovered >= 95, "{recovered}");
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
