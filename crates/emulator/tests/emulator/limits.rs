//! Vendors that limit the rate of requests, and the address families that the emulator serves.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use provident_emulator::{Emulator, LimitHeaders, LimitKind, Operation, Options, RateLimit};
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;

use crate::caller::{Caller, start, text};

#[tokio::test]
async fn a_window_lets_so_many_requests_through_and_rejects_the_rest_unread() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    emulator.set_rate_limit(Some(RateLimit {
        kind: LimitKind::FixedWindow {
            requests: 3,
            milliseconds: 3_600_000,
        },
        headers: LimitHeaders::RetryAfter,
    }));
    for _ in 0..3 {
        caller.created("Storefront").await;
    }
    let rejected = caller.create(json!({ "name": "a", "redirectUris": [], "allowedScopes": [] }));
    let rejected = rejected.await;
    assert_eq!(rejected.status, 429);
    let wait: u64 = rejected.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3590..=3600).contains(&wait), "{wait}");
    assert_eq!(emulator.commits(Operation::Create), 3);
    emulator.set_rate_limit(None);
    caller.created("Storefront").await;
}

#[tokio::test]
async fn each_form_of_header_is_sent_with_every_response() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let kind = LimitKind::TokenBucket {
        per_second: 0.001,
        burst: 2.0,
    };
    for (headers, name, first, last) in [
        (LimitHeaders::Fields, "ratelimit-remaining", "1", "0"),
        (
            LimitHeaders::Structured,
            "ratelimit",
            "\"default\";r=1;t=1",
            "\"default\";r=0;t=",
        ),
    ] {
        emulator.set_rate_limit(Some(RateLimit { kind, headers }));
        let mut seen = Vec::new();
        for status in [404, 404, 429] {
            let answer = caller.get("nobody").await;
            assert_eq!(answer.status, status);
            seen.push(answer.headers[name].to_str().unwrap().to_owned());
        }
        assert_eq!(seen[0], first);
        assert!(seen[2].starts_with(last), "{seen:?}");
    }
}

#[tokio::test]
async fn a_whole_number_may_be_written_as_a_float() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller
        .create(json!({
            "name": "a", "redirectUris": [], "allowedScopes": [],
            "rateLimitCount": 200.0, "tokenLifetimeSeconds": 3600.0,
        }))
        .await;
    assert_eq!(client.status, 201, "{}", client.text);
    let body = client.json();
    let id = text(&body, "clientId");
    let changed = caller.update(id, json!({ "rateLimitCount": 100.0 })).await;
    assert_eq!(changed.json()["rateLimitCount"], 100);
    let refused = caller.update(id, json!({ "rateLimitCount": 0.5 })).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}

#[tokio::test]
async fn an_administrators_credentials_open_the_api_and_stay_through_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options {
        state_file: Some(directory.path().join("state.json")),
        administrator: Some(("provident-admin".to_owned(), "a-secret".to_owned())),
        ..Options::default()
    };
    for _ in 0..2 {
        let emulator = Emulator::start(options()).await.unwrap();
        let caller = Caller::of(&emulator);
        let token = caller.token("provident-admin", "a-secret").await.json();
        let bearer = format!("Bearer {}", text(&token, "access_token"));
        let path = "/v2/oauth2/clients/nobody";
        let answer = caller
            .raw(Method::GET, path, &[("authorization", bearer.as_str())], "")
            .await;
        assert_eq!(answer.status, 404, "let in, and there is no such client");
        assert_eq!(caller.token("provident-admin", "wrong").await.status, 401);
        assert_eq!(emulator.clients().len(), 1);
        emulator.stop().await;
    }
}

#[tokio::test]
async fn the_unspecified_ipv6_address_serves_both_families() {
    let emulator = Emulator::start(Options {
        listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        ..Options::default()
    })
    .await
    .unwrap();
    let port = emulator.address().port();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    // Where IPv6 is off, IPv4 is all there is.
    if emulator.address().is_ipv6() {
        TcpStream::connect((Ipv6Addr::LOCALHOST, port))
            .await
            .unwrap();
    }
}
