#![allow(clippy::unwrap_used)]

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

use super::*;

/// What the other side does.
#[derive(Debug, Clone)]
enum Behaviour {
    Answers(u16, Vec<u8>),
    Breaks,
    Hangs,
}

impl HttpConnector for Behaviour {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        assert_eq!((request.method(), request.uri()), ("GET", "https://issuer.example/keys"));
        let behaviour = self.clone();
        HttpConnectorFuture::new(async move {
            match behaviour {
                Self::Answers(status, body) => Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))),
                Self::Breaks => Err(ConnectorError::io("the line is cut".into())),
                Self::Hangs => std::future::pending().await,
            }
        })
    }
}

async fn fetch(behaviour: Behaviour) -> Result<Bytes, String> {
    let connector = SharedHttpConnector::new(behaviour.clone());
    let mut source = HttpsKeySource::through(connector, "https://issuer.example/keys").unwrap();
    if let Behaviour::Hangs = behaviour {
        source.time = Duration::from_millis(1);
    }
    source.fetch().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_set_is_what_the_address_answers() {
    assert_eq!(fetch(Behaviour::Answers(200, b"{}".to_vec())).await.unwrap(), "{}");
    let largest = vec![b' '; KEY_SET_BYTES];
    assert_eq!(fetch(Behaviour::Answers(200, largest)).await.unwrap().len(), KEY_SET_BYTES);
}

#[tokio::test]
async fn any_other_answer_is_an_error_that_says_what_came() {
    for (behaviour, names) in [
        (Behaviour::Answers(301, Vec::new()), "status 301"),
        (Behaviour::Answers(204, Vec::new()), "status 204"),
        (Behaviour::Answers(500, b"{}".to_vec()), "status 500"),
        (Behaviour::Answers(200, vec![b' '; KEY_SET_BYTES + 1]), "at most 262144 bytes"),
        (Behaviour::Breaks, "the line is cut"),
        (Behaviour::Hangs, "longer than 1ms"),
    ] {
        let said = fetch(behaviour).await.unwrap_err();
        assert!(said.contains(names) && said.contains("https://issuer.example/keys"), "{said}");
    }
}

#[test]
fn an_address_is_one_of_https() {
    for url in ["http://issuer.example/keys", "issuer.example", "https://", "https://issuer example/", ""] {
        let said = HttpsKeySource::new(url).unwrap_err().to_string();
        assert!(said.contains("ALLUVIUM_AUTH__JWKS_URL"), "{url}: {said}");
    }
    assert!(HttpsKeySource::new("https://issuer.example/.well-known/jwks.json").is_ok());
}
