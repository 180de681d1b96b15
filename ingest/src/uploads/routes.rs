//! The routes of uploads.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::address::{known_parameters, known_parameters_of_link};
use alluvium_core::body;
use alluvium_core::clock::{Micros, micros, rfc3339};
use alluvium_core::upload::{Upload, UploadFormat, UploadStatus, UploadStore};
use alluvium_core::{Caller, Clock, Datasets, Problem, Role, Whose};
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::UploadProblem;
use super::{Uploads, format};
use crate::ProblemAnswer;
use crate::gateway::body::Encoding;
use crate::gateway::{self, Writer};

/// The most bytes of what an upload is asked for with.
const ASKED_BYTES: usize = 16 * 1024;

/// The most bytes of a file's name.
const NAME_BYTES: usize = 255;

/// How many of the newest uploads are told of.
pub(super) const LISTED: usize = 100;

/// What all routes here take: whose the events are, which is looked at before a call comes here.
const PARAMETERS: &[&str] = &["owner"];

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
    /// Where to: a path of this server, or the address of another one, with what lets whoever has it put the content there.
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

/// Who answers about uploads, wherever they are kept.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Where they are kept.
    pub store: Arc<dyn UploadStore>,
    /// The datasets that there are.
    pub datasets: Arc<Datasets>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whose the events are when nobody is named.
    pub owner: String,
    /// How long an upload waits for its content.
    pub link_lifetime: Duration,
    /// The most bytes of a file as it is put.
    pub max_bytes: u64,
}

/// The routes under `/v1/uploads` of a node. Whoever checks a request's token puts the [`Caller`] and the [`Writer`] into its extensions.
pub fn router(uploads: Uploads) -> Router {
    let Uploads { shared } = &uploads;
    let (parts, settings) = (&shared.parts, &shared.settings);
    let desk = Desk {
        store: Arc::new(uploads.clone()),
        datasets: parts.datasets.clone(),
        clock: parts.clock.clone(),
        owner: settings.owner.clone(),
        link_lifetime: settings.link_lifetime,
        max_bytes: settings.max_bytes,
    };
    let content = Router::new().route("/v1/uploads/{id}/content", put(put_content)).with_state((desk.clone(), uploads));
    asked_of(desk).merge(content)
}

/// The routes under `/v1/uploads` where content is put elsewhere, as on AWS. As for [`router`] the request's extensions say who calls.
pub fn desk_router(desk: Desk) -> Router {
    asked_of(desk).route("/v1/uploads/{id}/content", put(content_is_elsewhere))
}

fn asked_of(desk: Desk) -> Router {
    Router::new()
        .route("/v1/uploads", post(ask).layer(DefaultBodyLimit::max(ASKED_BYTES)).get(list))
        .route("/v1/uploads/{id}", get(status).delete(take_back))
        .with_state(desk)
}

async fn ask(
    State(desk): State<Desk>,
    caller: Asking,
    writer: Option<Extension<Writer>>,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let asked = async {
        check_parameters(&uri)?;
        let asked = read(body)?;
        let owner = writer.map_or_else(|| desk.owner.clone(), |writer| writer.owner().to_owned());
        let upload = desk.ask(asked, owner).await.map_err(|problem| problem.problem())?;
        let caller = caller.as_ref().map(|Extension(caller)| caller);
        let url = desk.store.target(&upload, caller).await;
        let url = url.map_err(|error| UploadProblem::NotSigned(error.to_string()).problem())?;
        let location = HeaderValue::try_from(format!("/v1/uploads/{}", upload.id));
        let body = Json(UploadTarget { id: upload.id, url, expires: upload.expires, max_bytes: desk.max_bytes });
        let mut response = (StatusCode::CREATED, body).into_response();
        response.headers_mut().insert(LOCATION, location.expect("an id is hexadecimal digits"));
        Ok(response)
    };
    asked.await.unwrap_or_else(|problem: Problem| ProblemAnswer(problem).into_response())
}

async fn put_content(
    State((desk, uploads)): State<(Desk, Uploads)>,
    caller: Asking,
    id: Id,
    request: Request,
) -> Response {
    let (parts, mut body) = request.into_parts();
    if let Err(detail) = known_parameters_of_link(parts.uri.query(), PARAMETERS) {
        gateway::discard(body).await;
        return ProblemAnswer(bad_parameter(detail)).into_response();
    }
    let received = async {
        let id = desk.visible(caller, id).await?.id;
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

async fn content_is_elsewhere() -> Response {
    ProblemAnswer(UploadProblem::ElsewhereContent.problem()).into_response()
}

async fn status(State(desk): State<Desk>, caller: Asking, id: Id, uri: Uri) -> Response {
    if let Err(problem) = check_parameters(&uri) {
        return ProblemAnswer(problem).into_response();
    }
    match desk.visible(caller, id).await {
        Ok(upload) => Json(UploadStatus::from(upload)).into_response(),
        Err(problem) => ProblemAnswer(problem.problem()).into_response(),
    }
}

async fn list(State(desk): State<Desk>, caller: Asking, uri: Uri) -> Response {
    let listed = async {
        let named = known_parameters(uri.query(), PARAMETERS).map_err(bad_parameter)?.into_iter().next();
        let named = named.map(|(_, owner)| owner);
        let whose = match caller {
            Some(Extension(caller)) => caller.reads(named.as_deref()),
            None => Ok(named.map_or(Whose::Everybody, Whose::Of)),
        };
        let whose = whose.map_err(|error| Problem::new(403, "other-owner", error.to_string()))?;
        let owner = match &whose {
            Whose::Everybody => None,
            Whose::Of(owner) => Some(owner.as_str()),
        };
        let found = desk.store.newest(owner, LISTED).await;
        let found = found.map_err(|error| UploadProblem::not_read(&error).problem())?;
        Ok(Json(Listed { uploads: found.into_iter().map(UploadStatus::from).collect() }))
    };
    listed.await.map_or_else(|problem| ProblemAnswer(problem).into_response(), |listed| listed.into_response())
}

/// What else is said is refused, for the answer would not follow it.
fn check_parameters(uri: &Uri) -> Result<(), Problem> {
    known_parameters(uri.query(), PARAMETERS).map(drop).map_err(bad_parameter)
}

fn bad_parameter(detail: String) -> Problem {
    Problem::new(400, "bad-parameter", detail)
}

async fn take_back(State(desk): State<Desk>, caller: Asking, id: Id, uri: Uri) -> Response {
    if let Err(problem) = check_parameters(&uri) {
        return ProblemAnswer(problem).into_response();
    }
    let taken_back = async {
        let upload = desk.visible(caller, id).await?;
        desk.store.remove(&upload).await.map_err(|error| UploadProblem::of_store("remove", error))
    };
    match taken_back.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => ProblemAnswer(problem.problem()).into_response(),
    }
}

impl Desk {
    /// Makes an upload that waits for its content.
    async fn ask(&self, asked: Asked, owner: String) -> Result<Upload, UploadProblem> {
        let Some(dataset) = self.datasets.get(&asked.dataset) else {
            let known = self.datasets.names().join(", ");
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
        let told = format.or_else(|| format::of_name(name.as_deref()?));
        let Some(format) = told else {
            let problem = "`format` is missing, and `name` does not tell; expected `ndjson` or `csv`";
            return Err(UploadProblem::BadRequest(problem.to_owned()));
        };
        let now = self.clock.now_micros();
        let lifetime = micros(self.link_lifetime);
        // Nobody can guess it.
        let id = uuid::Uuid::new_v4().simple().to_string();
        let dataset = dataset.name.as_str().to_owned();
        let upload = Upload::new(id, owner, dataset, format, name, (now, now.saturating_add(lifetime)));
        let added = self.store.add(&upload).await;
        added.map(|()| upload).map_err(|error| UploadProblem::of_store("keep", error))
    }

    /// The upload of this id, if this caller may know of it (AU-1).
    async fn visible(&self, caller: Asking, id: Id) -> Result<Upload, UploadProblem> {
        let id = id.map_or_else(|_| String::new(), |Path(id)| id);
        let may = |upload: &Upload| {
            caller.as_ref().is_none_or(|caller| caller.roles().permit(Role::Admin) || caller.owner() == upload.owner)
        };
        let found = self.store.get(&id).await.map_err(|error| UploadProblem::not_read(&error))?.filter(may);
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
    body::object(&body).map_err(|error| UploadProblem::BadRequest(error.to_string()).problem())
}

/// A file says by its first bytes how it is compressed; a header that says anything that it cannot be is a mistake.
fn check_encoding(headers: &HeaderMap) -> Result<(), UploadProblem> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(()) };
    let named = value.to_str().ok().and_then(|value| Encoding::of_header(value).ok());
    named.map(|_| ()).ok_or_else(|| {
        UploadProblem::UnknownEncoding(String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect())
    })
}
