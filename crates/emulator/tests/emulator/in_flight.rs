//! Calls that are lost, held, or late.

use std::time::{Duration, Instant};

use provident_emulator::{Fault, Operation, When};
use reqwest::Method;

use crate::caller::{Caller, PATIENCE, create_with, plain, start, text};

/// Long enough for an answer to come if one were to come.
const BRIEF: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_dropped_connection_leaves_no_answer_on_either_side_of_the_commit() {
    let emulator = start().await;
    for (when, clients) in [(When::BeforeCommit, 0), (When::AfterCommit, 1)] {
        let error = create_with(&emulator, Fault::Drop(when)).await.unwrap_err();
        assert!(
            error.is_request() && !error.is_connect() && !error.is_timeout(),
            "{error:?}"
        );
        assert_eq!(emulator.clients().len(), clients, "{when:?}");
    }
    let calls = emulator.calls();
    assert_eq!(
        calls
            .iter()
            .map(|call| (call.committed, call.status))
            .collect::<Vec<_>>(),
        [(false, None), (true, None)]
    );
    assert_eq!(
        Caller::of(&emulator)
            .create(plain("Storefront"))
            .await
            .status,
        201,
        "one fault, one call"
    );
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_the_callers_patience() {
    let emulator = start().await;
    let caller = Caller::with_timeout(&emulator, BRIEF);
    for (when, clients) in [(When::BeforeCommit, 0), (When::AfterCommit, 1)] {
        emulator.faults().once(Operation::Create, Fault::Hang(when));
        let error = caller
            .try_call(Method::POST, "/oauth2/clients", Some(plain("Storefront")))
            .await
            .unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(emulator.clients().len(), clients, "{when:?}");
    }
}

#[tokio::test]
async fn latency_is_per_operation() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    emulator
        .faults()
        .set_latency(Operation::Get, Duration::from_hours(1));
    let error = Caller::with_timeout(&emulator, BRIEF)
        .try_call(Method::GET, "/oauth2/clients/x", None)
        .await
        .unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(caller.create(plain("Storefront")).await.status, 201);
    emulator
        .faults()
        .set_latency(Operation::Get, Duration::from_millis(50));
    let began = Instant::now();
    assert_eq!(caller.get("nobody").await.status, 404);
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_gate_holds_calls_in_flight_on_either_side_of_the_commit() {
    let emulator = start().await;
    for (when, during) in [(When::BeforeCommit, 0), (When::AfterCommit, 3)] {
        let gate = emulator.faults().gate(Operation::Create, when);
        let caller = Caller::of(&emulator);
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let caller = caller.clone();
                tokio::spawn(async move { caller.create(plain("Held")).await.status })
            })
            .collect();
        tokio::time::timeout(PATIENCE, gate.arrived(3))
            .await
            .unwrap();
        assert_eq!(emulator.clients().len(), during, "{when:?}");
        assert!(calls.iter().all(|call| !call.is_finished()));
        assert_eq!(
            caller.get("nobody").await.status,
            404,
            "other operations pass"
        );
        gate.release();
        for call in calls {
            assert_eq!(call.await.unwrap(), 201);
        }
        assert_eq!(
            caller.create(plain("Late")).await.status,
            201,
            "the gate stays open"
        );
        for client in emulator.clients() {
            assert!(emulator.remove(&client.client_id));
        }
    }
}

#[tokio::test]
async fn the_vendor_carries_out_what_it_has_read_though_the_caller_is_gone() {
    let emulator = start().await;
    let gate = emulator
        .faults()
        .gate(Operation::Create, When::BeforeCommit);
    let caller = Caller::of(&emulator);
    let call = tokio::spawn(async move {
        caller
            .try_call(Method::POST, "/oauth2/clients", Some(plain("Storefront")))
            .await
    });
    gate.arrived(1).await;
    emulator.close_connections();
    call.await.unwrap().unwrap_err();
    assert_eq!(emulator.clients(), []);
    drop(gate);
    tokio::time::timeout(
        PATIENCE,
        emulator.until(|emulator| emulator.clients().len() == 1),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn idle_connections_can_be_closed_under_the_caller() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let gate = emulator.faults().gate(Operation::Get, When::BeforeCommit);
    let path = format!("/oauth2/clients/{}", text(&client, "clientId"));
    let call = tokio::spawn(async move { caller.try_call(Method::GET, &path, None).await });
    gate.arrived(1).await;
    emulator.close_connections();
    let error = call.await.unwrap().unwrap_err();
    assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
    gate.release();
    assert_eq!(
        Caller::of(&emulator)
            .create(plain("Storefront"))
            .await
            .status,
        201,
        "new connections are served"
    );
}
