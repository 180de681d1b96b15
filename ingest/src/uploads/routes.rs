//! The routes of uploads.

use std::sync::Arc;

use alluvium_core::address::parameters;
use alluvium_core::clock::{Micros, micros, rfc3339};
use alluvium_core::{Caller, Problem, Role, Whose};
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Uploads;
use super::problem::UploadProblem;
use super::upload::{Upload, UploadFormat, UploadStatus};
use crate::ProblemAnswer;
use crate::gateway::body::Encoding;
use crate::gateway::{self, Writer};

/// The most bytes of what an upload is asked for with.
const ASKED_BYTES: usize = 16 * 1024;

/// The most bytes of a file's name.
const NAME_BYTES: usize = 255;

/// How many of the newest uploads are told of.
pub(super) const LISTED: usize = 100;

type Asking = Option<Extension<Caller>>;
type Id = Result<Path<String>, PathRejection>;

/// What an upload is asked for with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AskedUpload)]
pub(super) struct Asked {
    /// Whose schema the events follow.
    dataset: String,
    /// How the lines are read; left out: what `name` ends in.
    #[schema(nullable = false)]
    format: Option<UploadFormat>,
    /// What the file is called: its format by its ending, and in CSV without a column `source` that of every event.
    #[schema(nullable = false, min_length = 1, max_length = 255)]
    name: Option<String>,
}

/// Where the content of an upload is to be put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadTarget {
    /// What to ask for it by.
    pub id: String,
    /// Where to: a path of this server, with what lets whoever has it put the content there, once.
    pub url: String,
    /// Until when.
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires: Micros,
    /// The most bytes that the file may have as it is put.
    pub max_bytes: u64,
}

/// The uploads that were asked for last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ListedUploads)]
pub(super) struct Listed {
    /// Newest first, 100 at the most.
    uploads: Vec<UploadStatus>,
}

/// The routes under `/v1/uploads`. Whoever checks a request's token puts the [`Caller`] and the [`Writer`] into its extensions.
pub fn router(uploads: Uploads) -> Router {
    Router::new()
        .route("/v1/uploads", post(ask).layer(DefaultBodyLimit::max(ASKED_BYTES)).get(list))
        .route("/v1/uploads/{id}", get(status).delete(take_back))
        .route("/v1/uploads/{id}/content", put(put_content))
        .with_state(uploads)
}

async fn ask(
    State(uploads): State<Uploads>,
    caller: Asking,
    writer: Option<Extension<Writer>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let asked = async {
        let asked = read(body)?;
        let owner = writer.map_or_else(|| uploads.shared.settings.owner.clone(), |writer| writer.owner().to_owned());
        let upload = uploads.ask(asked, owner).await.map_err(|problem| problem.problem())?;
        let target = format!("/v1/uploads/{}/content", upload.id);
        let caller = caller.as_ref().map(|Extension(caller)| caller);
        let url = (uploads.shared.parts.sign)("PUT", &target, caller)?;
        let max_bytes = uploads.shared.settings.max_bytes;
        let location = HeaderValue::try_from(format!("/v1/uploads/{}", upload.id));
        let body = Json(UploadTarget { id: upload.id, url, expires: upload.expires, max_bytes });
        let mut response = (StatusCode::CREATED, body).into_response();
        response.headers_mut().insert(LOCATION, location.expect("an id is hexadecimal digits"));
        Ok(response)
    };
    asked.await.unwrap_or_else(|problem: Problem| ProblemAnswer(problem).into_response())
}

async fn put_content(State(uploads): State<Uploads>, caller: Asking, id: Id, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let received = async {
        let id = uploads.visible(caller, id)?.id;
        check_encoding(&parts.headers)?;
        uploads.receive(&id, &mut body).await
    };
    match received.await {
        Ok(upload) => (StatusCode::ACCEPTED, Json(UploadStatus::from(upload))).into_response(),
        Err(problem) => {
            if problem.leaves_body_unread() {
                gateway::discard(body).await;
            }
            ProblemAnswer(problem.problem()).into_response()
        }
    }
}

async fn status(State(uploads): State<Uploads>, caller: Asking, id: Id) -> Response {
    match uploads.visible(caller, id) {
        Ok(upload) => Json(UploadStatus::from(upload)).into_response(),
        Err(problem) => ProblemAnswer(problem.problem()).into_response(),
    }
}

async fn list(State(uploads): State<Uploads>, caller: Asking, uri: http::Uri) -> Response {
    let named = match named_owner(&uri) {
        Ok(named) => named,
        Err(detail) => return ProblemAnswer(Problem::new(400, "bad-parameter", detail)).into_response(),
    };
    let whose = match caller {
        Some(Extension(caller)) => caller.reads(named.as_deref()),
        None => Ok(named.map_or(Whose::Everybody, Whose::Of)),
    };
    match whose {
        Ok(whose) => {
            let wanted = |upload: &Upload| match &whose {
                Whose::Everybody => true,
                Whose::Of(owner) => upload.owner == *owner,
            };
            let uploads = uploads.table().newest(LISTED, wanted);
            Json(Listed { uploads: uploads.into_iter().map(UploadStatus::from).collect() }).into_response()
        }
        Err(error) => ProblemAnswer(Problem::new(403, "other-owner", error.to_string())).into_response(),
    }
}

/// Whose uploads are asked for, if that is said; what else is said is refused, for the answer would not follow it.
fn named_owner(uri: &http::Uri) -> Result<Option<String>, String> {
    let mut named = None;
    for (name, value) in parameters(uri.query()).map_err(|error| error.to_string())? {
        match name.as_str() {
            "owner" if named.is_none() => named = Some(value),
            "owner" => return Err("`owner`: it is given twice; give it once".to_owned()),
            _ => {
                let name: String = name.chars().take(80).collect();
                return Err(format!("`{name}`: there is no such parameter; known: owner"));
            }
        }
    }
    Ok(named)
}

async fn take_back(State(uploads): State<Uploads>, caller: Asking, id: Id) -> Response {
    let taken_back = async {
        let id = uploads.visible(caller, id)?.id;
        uploads.table().remove(&id);
        // Whoever is at work on it finds it gone, and removes what comes after this.
        uploads.on_disk("remove", move |folder| folder.remove(&id)).await
    };
    match taken_back.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => ProblemAnswer(problem.problem()).into_response(),
    }
}

impl Uploads {
    /// Makes an upload that waits for its content.
    async fn ask(&self, asked: Asked, owner: String) -> Result<Upload, UploadProblem> {
        let shared = Arc::clone(&self.shared);
        let Some(dataset) = shared.parts.datasets.get(&asked.dataset) else {
            let known = shared.parts.datasets.names().join(", ");
            return Err(UploadProblem::UnknownDataset { name: asked.dataset.chars().take(80).collect(), known });
        };
        let Asked { format, name, .. } = asked;
        if name
            .as_ref()
            .is_some_and(|name| name.is_empty() || name.len() > NAME_BYTES || name.contains(char::is_control))
        {
            let problem = format!("`name` cannot be used; expected 1 to {NAME_BYTES} bytes of text in one line");
            return Err(UploadProblem::BadRequest(problem));
        }
        let told = format.or_else(|| UploadFormat::of_name(name.as_deref()?));
        let Some(format) = told else {
            let problem = "`format` is missing, and `name` does not tell; expected `ndjson` or `csv`";
            return Err(UploadProblem::BadRequest(problem.to_owned()));
        };
        if shared.stop.is_cancelled() {
            return Err(UploadProblem::Stopping);
        }
        self.forget_old().await;
        let now = shared.parts.clock.now_micros();
        let lifetime = micros(shared.settings.link_lifetime);
        let dataset = dataset.name.as_str().to_owned();
        let upload = Upload::new(owner, dataset, format, name, now, now.saturating_add(lifetime));
        self.table().add(upload.clone(), &shared.settings)?;
        let kept = upload.clone();
        if let Err(problem) = self.on_disk("keep", move |folder| folder.keep(&kept)).await {
            self.table().remove(&upload.id);
            return Err(problem);
        }
        Ok(upload)
    }

    /// The upload of this id, if this caller may know of it (AU-1).
    fn visible(&self, caller: Asking, id: Id) -> Result<Upload, UploadProblem> {
        let id = id.map_or_else(|_| String::new(), |Path(id)| id);
        let may = |upload: &&Upload| {
            caller.as_ref().is_none_or(|caller| caller.roles().permit(Role::Admin) || caller.owner() == upload.owner)
        };
        let found = self.table().get(&id).filter(may).cloned();
        found.ok_or_else(|| UploadProblem::Unknown(id.chars().take(80).collect()))
    }
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<Asked, Problem> {
    let body = body.map_err(|rejection| {
        let status = rejection.status().as_u16();
        Problem::new(
            status,
            "unreadable-body",
            format!("{}; expected up to {ASKED_BYTES} bytes of JSON", rejection.body_text()),
        )
    })?;
    serde_json::from_slice(&body).map_err(|error| UploadProblem::BadRequest(error.to_string()).problem())
}

/// A file says by its first bytes how it is compressed; a header that says anything that it cannot be is a mistake.
fn check_encoding(headers: &HeaderMap) -> Result<(), UploadProblem> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(()) };
    let named = value.to_str().ok().and_then(|value| Encoding::of_header(value).ok());
    named.map(|_| ()).ok_or_else(|| {
        UploadProblem::UnknownEncoding(String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect())
    })
}
