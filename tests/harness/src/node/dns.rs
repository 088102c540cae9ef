//! The part of cluster DNS that the pods need: the addresses of Services, `<name>.<namespace>.svc.cluster.local` (RFC 1035).

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use tokio::{net::UdpSocket, task::JoinHandle};

const ZONE: &str = ".svc.cluster.local";
const HEADER: usize = 12;
/// The largest message over UDP without EDNS.
const MESSAGE: usize = 512;
const TTL_SECONDS: u32 = 5;
/// Record type A, and class IN.
const ADDRESS: u16 = 1;
const INTERNET: u16 = 1;
/// An authoritative response; its code is in the lowest bits.
const RESPONSE: u16 = 0x8400;
const NO_SUCH_NAME: u16 = 3;
/// A pointer to the name in the question, which follows the header.
const SAME_NAME: u16 = 0xc00c;

/// Answers queries at port 53 of `address` until the task is aborted.
pub(super) async fn serve(address: Ipv4Addr, client: Client) -> Result<JoinHandle<()>> {
    let socket = UdpSocket::bind((address, 53))
        .await
        .with_context(|| format!("listen at port 53 of {address}"))?;
    Ok(tokio::spawn(async move {
        let mut buffer = [0; MESSAGE];
        // A client that gets no answer repeats its query.
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Some(query) = Query::parse(&buffer[..length]) else {
                continue;
            };
            let found = service(&client, &query.name).await;
            let _ = socket.send_to(&query.answer(found), from).await;
        }
    }))
}

async fn service(client: &Client, name: &str) -> Option<Ipv4Addr> {
    let (name, namespace) = name.strip_suffix(ZONE)?.split_once('.')?;
    // A namespace with a dot in it does not exist, so the API server finds nothing.
    let services = Api::<Service>::namespaced(client.clone(), namespace);
    let service = services.get_opt(name).await.ok()??;
    service.spec?.cluster_ip?.parse().ok()
}

/// One question.
#[derive(Debug)]
struct Query {
    id: [u8; 2],
    /// The question as received, to be repeated in the response.
    question: Vec<u8>,
    name: String,
    kind: u16,
}

impl Query {
    fn parse(message: &[u8]) -> Option<Self> {
        let id = message.get(..2)?.try_into().ok()?;
        let mut at = HEADER;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8(message.get(at..at + length)?.to_vec()).ok()?);
            at += length;
        }
        let kind = message.get(at..at + 2)?;
        Some(Self {
            id,
            question: message.get(HEADER..at + 4)?.to_vec(),
            name: labels.join(".").to_ascii_lowercase(),
            kind: u16::from_be_bytes(kind.try_into().ok()?),
        })
    }

    fn answer(&self, found: Option<Ipv4Addr>) -> Vec<u8> {
        let code = if found.is_some() { 0 } else { NO_SUCH_NAME };
        let address = found.filter(|_| self.kind == ADDRESS);
        let mut message = self.id.to_vec();
        for count in [RESPONSE | code, 1, u16::from(address.is_some()), 0, 0] {
            message.extend(count.to_be_bytes());
        }
        message.extend(&self.question);
        if let Some(address) = address {
            for word in [SAME_NAME, ADDRESS, INTERNET] {
                message.extend(word.to_be_bytes());
            }
            message.extend(TTL_SECONDS.to_be_bytes());
            message.extend(4_u16.to_be_bytes());
            message.extend(address.octets());
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x04shop\x02ns\x03SVC\x07cluster\x05local\0\0\x01\0\x01";

    #[test]
    fn a_question_is_read_and_answered() {
        let message = [b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0".as_slice(), QUESTION].concat();
        let query = Query::parse(&message).unwrap();
        assert_eq!(query.name, "shop.ns.svc.cluster.local");
        let head = b"\xab\xcd\x84\0\0\x01\0\x01\0\0\0\0".as_slice();
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\x60\0\x07".as_slice();
        assert_eq!(
            query.answer(Some(Ipv4Addr::new(10, 96, 0, 7))),
            [head, QUESTION, record].concat()
        );
        let none = b"\xab\xcd\x84\x03\0\x01\0\0\0\0\0\0".as_slice();
        assert_eq!(query.answer(None), [none, QUESTION].concat());
    }

    #[test]
    fn a_message_that_is_cut_off_has_no_question() {
        let message = [b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0".as_slice(), QUESTION].concat();
        for length in 0..message.len() {
            assert!(Query::parse(&message[..length]).is_none(), "{length}");
        }
    }
}
