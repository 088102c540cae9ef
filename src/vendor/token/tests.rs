use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::grant::parse_token_response;
use super::*;

fn lifetime(expires_in: &str) -> (u64, bool) {
    let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{expires_in}}}"#);
    let grant = parse_token_response(body.as_bytes()).unwrap();
    (grant.lifetime.as_secs(), grant.stated)
}

#[test]
fn s52_no_lifetime_is_believed_blindly() {
    for (text, expected) in [
        (r#","expires_in":3600"#, (3600, true)),
        (r#","expires_in":3600.5"#, (3600, true)),
        (r#","expires_in":"900""#, (900, true)),
        (r#","expires_in":1"#, (1, true)),
        (r#","expires_in":1e300"#, (86400, true)),
        (r#","expires_in":99999999999999999999"#, (86400, true)),
        (r#","expires_in":0"#, (300, false)),
        (r#","expires_in":-1"#, (300, false)),
        (r#","expires_in":0.5"#, (300, false)),
        (r#","expires_in":null"#, (300, false)),
        (r#","expires_in":"soon""#, (300, false)),
        (r#","expires_in":[1]"#, (300, false)),
        ("", (300, false)),
    ] {
        assert_eq!(lifetime(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_bearer_token_is_not_taken_for_one() {
    for body in [
        "",
        "{}",
        "<html>",
        r#"{"access_token":""}"#,
        r#"{"access_token":"a\nb"}"#,
        r#"{"access_token":"t","token_type":"mac"}"#,
        r#"{"access_token":7}"#,
    ] {
        assert!(
            matches!(
                parse_token_response(body.as_bytes()),
                Err(TokenError::MalformedResponse(_))
            ),
            "{body}"
        );
    }
}

/// A token endpoint that counts its calls and answers each with a new token of this lifetime, or with a status.
struct Endpoint {
    calls: Arc<AtomicUsize>,
    tokens: Arc<Tokens>,
}

impl Endpoint {
    async fn start(answer: fn(usize) -> (u16, String)) -> Self {
        let observer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", observer.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = observer.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let (status, body) = answer(counted.fetch_add(1, Ordering::SeqCst));
                let text = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        let credential = Credential::Client {
            id: "admin".to_owned(),
            secret: SecretString::from("s3cret"),
        };
        let tokens = Tokens::new(
            reqwest::Client::new(),
            url,
            credential,
            Arc::new(|_, _, _| {}),
            Arc::default(),
        )
        .unwrap();
        Self {
            calls,
            tokens: Arc::new(tokens),
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn granted(&self) -> &Granted {
        match &*self.tokens {
            Tokens::Granted(granted) => granted,
            Tokens::Fixed(_) => panic!("not fetched"),
        }
    }

    // As if so much time had passed: the clock of a socket cannot be paused.
    async fn age(&self, by: Duration) {
        if let Some(cached) = self.granted().cache.lock().as_mut() {
            cached.issued_at -= by;
            cached.renew_at -= by;
            cached.ends_at -= by;
        }
        let mut refresh = self.granted().refresh.lock().await;
        if let Some(at) = &mut refresh.not_before {
            *at -= by;
        }
    }
}

fn hour(count: usize) -> (u16, String) {
    (
        200,
        format!(r#"{{"access_token":"t{count}","token_type":"bearer","expires_in":3600}}"#),
    )
}

fn zero(count: usize) -> (u16, String) {
    (
        200,
        format!(r#"{{"access_token":"t{count}","token_type":"bearer","expires_in":1}}"#),
    )
}

#[tokio::test]
async fn one_token_serves_all_calls_and_is_renewed_shortly_before_its_end() {
    let endpoint = Endpoint::start(hour).await;
    let calls = (0..50).map(|_| {
        let tokens = Arc::clone(&endpoint.tokens);
        tokio::spawn(async move { tokens.get().await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), "Bearer t0");
    }
    endpoint.age(Duration::from_mins(58)).await;
    assert_eq!(endpoint.tokens.get().await.unwrap(), "Bearer t0");
    assert_eq!(endpoint.calls(), 1);
    endpoint.age(Duration::from_secs(90)).await;
    assert_eq!(endpoint.tokens.get().await.unwrap(), "Bearer t1");
    assert_eq!(endpoint.calls(), 2);
    assert!(endpoint.tokens.expires().is_some());
}

#[tokio::test]
async fn s52_a_token_that_hardly_lives_makes_no_hot_loop() {
    let endpoint = Endpoint::start(zero).await;
    for _ in 0..20 {
        endpoint.tokens.get().await.unwrap();
        endpoint.age(Duration::from_millis(200)).await;
    }
    assert_eq!(endpoint.calls(), 1);
    endpoint.age(Duration::from_secs(5)).await;
    endpoint.tokens.get().await.unwrap();
    assert_eq!(endpoint.calls(), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_not_again_at_once() {
    let endpoint = Endpoint::start(hour).await;
    let first = endpoint.tokens.get().await.unwrap();
    endpoint.age(Duration::from_secs(10)).await;
    assert!(endpoint.tokens.drop_refused(&first));
    let second = endpoint.tokens.get().await.unwrap();
    assert_ne!(first, second);
    // A call that still had the first one does not cost the second.
    assert!(endpoint.tokens.drop_refused(&first));
    assert_eq!(endpoint.tokens.get().await.unwrap(), second);
    // One that is refused so soon is neither replaced nor taken from the other calls: the vendor may refuse it for one
    // client only.
    assert!(!endpoint.tokens.drop_refused(&second));
    assert_eq!(endpoint.tokens.get().await.unwrap(), second);
    assert_eq!(endpoint.calls(), 2);
    endpoint.age(Duration::from_secs(5)).await;
    assert!(endpoint.tokens.drop_refused(&second));
    assert_ne!(endpoint.tokens.get().await.unwrap(), second);
    assert_eq!(endpoint.calls(), 3);
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_asked_less_and_less() {
    let endpoint = Endpoint::start(|_| (503, String::new())).await;
    for _ in 0..10 {
        assert_eq!(endpoint.tokens.get().await, Err(TokenError::Status(503)));
    }
    assert_eq!(endpoint.calls(), 1);
    // An hour of calls every second.
    for _ in 0..3600 {
        endpoint.age(Duration::from_secs(1)).await;
        let _ = endpoint.tokens.get().await;
    }
    assert!(endpoint.calls() < 40, "{}", endpoint.calls());
}
