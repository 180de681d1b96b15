//! Statements that a node runs.

use std::io::Cursor;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use serde::Deserialize;
use serde_json::json;

use super::{Client, Refused};

/// How soon it is looked whether a statement has ended: at first, and in the end.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// What the request for the next page carries; absent: this was the last.
const NEXT: &str = "alluvium-next";

/// A statement that was started.
#[derive(Deserialize)]
struct Started {
    id: String,
}

/// How far it is.
#[derive(Deserialize)]
struct Progress {
    state: String,
}

impl Client {
    /// Runs a statement; one RecordBatch at least, so that the columns are known. Whoever may not see everybody's rows sees their own.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached or refuses the statement.
    pub async fn sql(&self, statement: &str) -> anyhow::Result<Vec<RecordBatch>> {
        let asked = json!({"sql": statement});
        match self.ask(self.http.post(self.url("/admin/sql")).body(asked.to_string())).await {
            Ok(bytes) => batches(&bytes),
            Err(error) if lacks_the_role(&error) => {
                let Started { id } = self.post_json("/v1/queries", &asked).await?;
                let path = format!("/v1/queries/{id}");
                let read = self.results(&path).await;
                // Nobody reads them once more. What cannot be given back goes by itself.
                let _given_back = self.delete(&path).await;
                read
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for a statement to end, and reads its rows.
    async fn results(&self, path: &str) -> anyhow::Result<Vec<RecordBatch>> {
        let mut pause = LOOKS.0;
        while self.get::<Progress>(path, &[]).await?.state == "running" {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOKS.1);
        }
        let mut all = Vec::new();
        let mut wanted = vec![("format", "arrow".to_owned())];
        loop {
            let url = reqwest::Url::parse_with_params(&self.url(&format!("{path}/results")), &wanted)?;
            let page = self.answer(self.http.get(url)).await?;
            all.extend(batches(&page.body)?);
            let Some(next) = page.headers.get(NEXT) else { return Ok(all) };
            wanted.truncate(1);
            wanted.push(("page", next.to_str()?.to_owned()));
        }
    }
}

fn lacks_the_role(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|Refused(problem)| problem.kind == "/problems/role-missing")
}

/// What one Arrow IPC stream holds; one RecordBatch at least.
fn batches(stream: &[u8]) -> anyhow::Result<Vec<RecordBatch>> {
    let reader = StreamReader::try_new(Cursor::new(stream), None)?;
    let schema = reader.schema();
    let mut batches = reader.collect::<Result<Vec<_>, _>>()?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    Ok(batches)
}
