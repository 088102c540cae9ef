//! A vendor that means harm (scenario 53): whatever it answers, memory stays flat and the call ends. A program of its own,
//! so that what it measures is its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use provident_core::vendor::error::CallError;
use provident_core::vendor::types::{ClientId, VendorClient};
use provident_operator::vendor::client::Client;
use provident_operator::vendor::http::NetworkPolicy;
use provident_operator::vendor::limiter::Limiter;
use provident_operator::vendor::token::Credential;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Calls at a time.
const CALLS: usize = 16;
/// What they may cost together, in KiB: 1 MiB of body each, the HTTP client's buffers, and the attacker's own 1 MiB each.
const MOST: u64 = 48 * 1024;

type Attack = fn(TcpStream) -> futures::future::BoxFuture<'static, ()>;

async fn server(attack: Attack) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                attack(stream).await;
            });
        }
    });
    address
}

// Ends when the other side hangs up.
async fn send_for_ever(mut stream: TcpStream, head: &str, chunk: &[u8]) {
    let _ = stream.write_all(head.as_bytes()).await;
    while stream.write_all(chunk).await.is_ok() {}
}

async fn send(mut stream: TcpStream, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    // Closed when the other side has read it, or given up.
    let _ = stream.read(&mut [0; 16]).await;
}

/// Peak resident memory since it was last asked, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn reset_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

async fn ask(address: SocketAddr) -> Vec<Result<VendorClient, CallError>> {
    let token = Credential::Token(SecretString::from("t"));
    let client = Client::new(
        &format!("http://{address}/v2"),
        token,
        &NetworkPolicy::default(),
        Arc::new(|_, _, _| {}),
        Arc::default(),
    )
    .unwrap();
    let client = Arc::new(client);
    let limiter = Limiter::new(NonZeroU32::new(1000).unwrap());
    let calls: Vec<_> = (0..CALLS)
        .map(|index| {
            let (client, limiter) = (Arc::clone(&client), limiter.clone());
            tokio::spawn(async move {
                let permit = limiter.permit(&index.to_string()).await.ok().unwrap();
                client.get(permit, &ClientId::parse("c1").unwrap()).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

async fn attacked(name: &str, attack: Attack, ends: fn(&Result<VendorClient, CallError>) -> bool) {
    let address = server(attack).await;
    let before = reset_peak();
    let start = Instant::now();
    let answers = ask(address).await;
    let (grown, took) = (peak().saturating_sub(before), start.elapsed());
    println!("{name}: {CALLS} calls at once, {grown} KiB more at the peak, {took:.1?}");
    for answer in &answers {
        assert!(ends(answer), "{name}: {:?}", answer.as_ref().err());
    }
    assert!(grown < MOST, "{name}: {grown} KiB");
    assert!(took < Duration::from_secs(40), "{name}: {took:?}");
}

fn malformed(answer: &Result<VendorClient, CallError>) -> bool {
    matches!(answer, Err(CallError::MalformedResponse(_)))
}

fn unreachable(answer: &Result<VendorClient, CallError>) -> bool {
    matches!(answer, Err(CallError::Unreachable(_)))
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s53_memory_stays_flat_and_every_call_ends() {
    // Warm: the first client loads the roots.
    ask(server(|stream| Box::pin(send(stream, b"{}"))).await).await;
    attacked(
        "1 GB of white space",
        |stream| Box::pin(send_for_ever(stream, OK, &[b' '; 16384])),
        malformed,
    )
    .await;
    attacked(
        "a body without end",
        |stream| {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = b"4000\r\n"
                .iter()
                .copied()
                .chain([b'['; 0x4000])
                .chain(*b"\r\n");
            let chunk: Vec<u8> = chunk.collect();
            Box::pin(async move { send_for_ever(stream, head, &chunk).await })
        },
        malformed,
    )
    .await;
    attacked(
        "header fields without end",
        |stream| {
            Box::pin(send_for_ever(
                stream,
                "HTTP/1.1 200 OK\r\n",
                b"x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
            ))
        },
        unreachable,
    )
    .await;
    attacked(
        "one header field without end",
        |stream| {
            Box::pin(send_for_ever(
                stream,
                "HTTP/1.1 200 OK\r\nx-filler: ",
                &[b'a'; 8192],
            ))
        },
        unreachable,
    )
    .await;
    attacked(
        "interim answers without end",
        |stream| {
            Box::pin(send_for_ever(
                stream,
                "",
                b"HTTP/1.1 103 Early Hints\r\n\r\n",
            ))
        },
        unreachable,
    )
    .await;
    bodies_that_say_much_in_little().await;
}

// One after another with the others: the peak is the process's.
async fn bodies_that_say_much_in_little() {
    attacked(
        "half a million levels of arrays",
        |stream| {
            let body = format!(
                r#"{{"clientId":"c1","x":{}{}}}"#,
                "[".repeat(500_000),
                "]".repeat(500_000)
            );
            Box::pin(async move { send(stream, body.as_bytes()).await })
        },
        Result::is_ok,
    )
    .await;
    attacked(
        "1 MiB of the smallest values",
        |stream| {
            let body = format!(
                r#"{{"clientId":"c1","allowedScopes":[{}0]}}"#,
                "[],".repeat(340_000)
            );
            Box::pin(async move { send(stream, body.as_bytes()).await })
        },
        Result::is_ok,
    )
    .await;
    attacked(
        "200,000 fields",
        |stream| {
            let body = format!(r#"{{{}"clientId":"c1"}}"#, r#""":0,"#.repeat(200_000));
            Box::pin(async move { send(stream, body.as_bytes()).await })
        },
        |answer| answer.is_ok() || malformed(answer),
    )
    .await;
    attacked(
        "a byte a second",
        |stream| {
            Box::pin(async move {
                let mut stream = stream;
                let _ = stream.write_all(OK.as_bytes()).await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            })
        },
        Result::is_err,
    )
    .await;
}
