//! The routes about uploads behind API Gateway. What they answer is `ingest`'s; here is who calls.

use alluvium_core::upload::{Share, Upload, UploadStore, UploadStoreError};

use super::*;

const NOW: i64 = 1_000_000_000_000_000;

/// Uploads in memory, and whether there is room for more.
#[derive(Debug, Default)]
struct Memory(Mutex<Vec<Upload>>);

#[async_trait]
impl UploadStore for Memory {
    async fn add(&self, upload: &Upload) -> Result<(), UploadStoreError> {
        let mut uploads = self.0.lock().unwrap();
        if uploads.len() == 2 {
            return Err(UploadStoreError::TooMany { limit: 2, share: Share::OfAll });
        }
        uploads.push(upload.clone());
        Ok(())
    }

    async fn target(&self, upload: &Upload, caller: Option<&Caller>) -> Result<String, UploadStoreError> {
        Ok(format!("https://bucket.example/{}?by={}", upload.id, caller.unwrap().owner()))
    }

    async fn get(&self, id: &str) -> Result<Option<Upload>, UploadStoreError> {
        if id == "away" {
            return Err(PortError::new(alluvium_core::ports::Advice::Retry, "the table is away").into());
        }
        Ok(self.0.lock().unwrap().iter().find(|upload| upload.id == id).cloned())
    }

    async fn newest(&self, owner: Option<&str>, _: usize) -> Result<Vec<Upload>, UploadStoreError> {
        let uploads = self.0.lock().unwrap();
        Ok(uploads.iter().filter(|upload| owner.is_none_or(|owner| upload.owner == owner)).cloned().collect())
    }

    async fn remove(&self, upload: &Upload) -> Result<(), UploadStoreError> {
        self.0.lock().unwrap().retain(|other| other.id != upload.id);
        Ok(())
    }
}

/// A call of this owner; `admin` is one.
async fn call(store: &Arc<Memory>, owner: &str, method: &str, target: &str, body: Value) -> Value {
    let desk = Desk {
        store: store.clone(),
        datasets: Arc::new(Datasets::load(None, None).unwrap()),
        clock: Arc::new(ManualClock::at(NOW)),
        owner: "nobody".to_owned(),
        link_lifetime: Duration::from_secs(900),
        max_bytes: 1_000,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut event = event(method, path, if body.is_null() { body } else { body.to_string().into() }, false);
    event["rawQueryString"] = query.into();
    let roles = if owner == "admin" { "data.admin" } else { "data.write" };
    event["requestContext"]["authorizer"]["lambda"] = json!({"owner": owner, "roles": roles});
    answer(&Arc::default(), Some(desk), event, Context::default()).await
}

/// Status and the problem's name.
fn refusal(answer: &Value) -> (Value, Value) {
    (answer["statusCode"].clone(), body(answer)["type"].clone())
}

#[tokio::test]
async fn an_upload_is_its_owners_and_its_content_goes_elsewhere() {
    let store = Arc::new(Memory::default());
    let asked = json!({"dataset": "telemetry", "name": "attic.csv.gz"});
    let made = call(&store, "ann", "POST", "/v1/uploads", asked.clone()).await;
    assert_eq!(made["statusCode"], 201, "{made}");
    let target = body(&made);
    let at = format!("/v1/uploads/{}", target["id"].as_str().unwrap());
    assert_eq!(made["headers"]["location"], at);
    assert_eq!(target["url"], format!("https://bucket.example/{}?by=ann", target["id"].as_str().unwrap()));
    assert_eq!((&target["expires"], &target["max_bytes"]), (&json!("2001-09-09T02:01:40Z"), &json!(1_000)));

    for (caller, status) in [("ann", 200), ("admin", 200), ("bob", 404)] {
        let seen = call(&store, caller, "GET", &at, Value::Null).await;
        assert_eq!(seen["statusCode"], status, "{caller}: {seen}");
    }
    let theirs = call(&store, "admin", "POST", "/v1/uploads?owner=bob", asked.clone()).await;
    assert_eq!(theirs["statusCode"], 201, "{theirs}");
    for (caller, query, count) in [("ann", "", 1), ("bob", "", 1), ("admin", "", 2), ("admin", "?owner=bob", 1)] {
        let listed = body(&call(&store, caller, "GET", &format!("/v1/uploads{query}"), Value::Null).await);
        assert_eq!(listed["uploads"].as_array().unwrap().len(), count, "{caller} {query}");
    }
    let refused = |answer: Value, status: u16, kind: &str| {
        assert_eq!(refusal(&answer), (status.into(), format!("/problems/{kind}").into()), "{answer}");
    };
    refused(call(&store, "bob", "POST", "/v1/uploads?owner=ann", asked.clone()).await, 403, "other-owner");
    refused(call(&store, "bob", "GET", "/v1/uploads?owner=ann", Value::Null).await, 403, "other-owner");
    refused(call(&store, "ann", "POST", "/v1/uploads", asked.clone()).await, 429, "too-many-uploads");
    refused(call(&store, "ann", "POST", "/v1/uploads", json!({"dataset": "none"})).await, 404, "unknown-dataset");
    refused(call(&store, "ann", "PUT", &format!("{at}/content"), json!({})).await, 501, "content-elsewhere");
    refused(call(&store, "ann", "GET", "/v1/uploads/away", Value::Null).await, 503, "storage-unavailable");
    refused(call(&store, "bob", "DELETE", &at, Value::Null).await, 404, "unknown-upload");
    assert_eq!(call(&store, "ann", "DELETE", &at, Value::Null).await["statusCode"], 204);
    refused(call(&store, "ann", "GET", &at, Value::Null).await, 404, "unknown-upload");
}

#[tokio::test]
async fn where_there_are_no_uploads_there_is_no_such_route() {
    let answer = ask(&Arc::default(), event("GET", "/v1/uploads/1", Value::Null, false)).await;
    assert_eq!(answer["statusCode"], 404);
}
