//! How a connection begins: who asks, with which token.

use std::time::Duration;

use alluvium_core::{Caller, Role};
use futures::{SinkExt as _, StreamExt as _};
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::startup::{Authentication, NegotiateProtocolVersion, Startup};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use tokio_util::codec::Framed;

use super::Postgres;
use super::gate::Gate;
use super::messages::{Messages, Phase};
use super::refusal::Refusal;
use super::shown::Shown;
use super::tls::{Encryption, Said, Wire};

/// How long a greeting may take, the password included.
pub(super) const GREETING: Duration = Duration::from_secs(10);

/// How often a client may ask for encryption, of one kind or the other.
const ENCRYPTIONS: usize = 2;

/// A connection before it is one.
pub(super) type Greeting = Framed<Wire, Messages>;

/// Whoever has come in.
#[derive(Debug)]
pub(super) struct Who {
    /// The token, which is looked at again before each statement: it may expire meanwhile. `None`: none is asked for.
    token: Option<String>,
    caller: Option<Caller>,
}

impl Who {
    /// Whose rows are read; `None`: everybody's.
    pub(super) fn reader(&self) -> Option<&str> {
        self.caller.as_ref().filter(|caller| !caller.roles().permit(Role::Admin)).map(Caller::owner)
    }

    /// Whose token it is, if one was asked for.
    pub(super) fn owner(&self) -> Option<&str> {
        self.caller.as_ref().map(Caller::owner)
    }

    /// Whether they may go on, one statement more.
    pub(super) async fn check(&mut self, gate: &dyn Gate) -> Result<(), Refusal> {
        if let Some(token) = &self.token {
            self.caller = Some(gate.caller(token).await.map_err(|problem| Refusal::token(&problem))?);
        }
        let owner = self.caller.as_ref().map_or("", Caller::owner);
        gate.admit(owner).map_err(|problem| Refusal::pace(&problem))
    }
}

/// Lets somebody in; `None`: the connection was for something else, and that is done.
pub(super) async fn greet(
    postgres: &Postgres,
    client: &mut Greeting,
    encrypted: Said,
) -> Result<Option<(Who, Shown)>, Refusal> {
    let Some(startup) = hear(postgres, client, encrypted).await? else { return Ok(None) };
    let said = |name: &str| startup.parameters.get(name).map(String::as_str).unwrap_or_default();
    if !["", "false", "off", "no", "0"].contains(&said("replication")) {
        return Err(Refusal::connection("0A000", "there is no replication; GET /v1/{dataset}/live tells what arrives"));
    }
    let options = startup.parameters.keys().filter(|name| name.starts_with("_pq_."));
    let options: Vec<String> = options.cloned().collect();
    if startup.protocol_number_minor > 0 || !options.is_empty() {
        let negotiated = NegotiateProtocolVersion::new(Startup::PROTOCOL_VERSION_3_0, options);
        client.send(PgWireBackendMessage::NegotiateProtocolVersion(negotiated)).await?;
    }
    // "PostgreSQL Documentation", section "Message Formats": without a database it is the user's.
    let named = [said("database"), said("user"), "alluvium"].into_iter().find(|name| !name.is_empty());
    let shown = Shown {
        application_name: said("application_name").to_owned(),
        database: named.unwrap_or_default().to_owned(),
        is_encrypted: postgres.encryption.is_some(),
    };
    client.codec_mut().phase = Phase::Password;
    let who = if postgres.gate.asks() {
        let token = password(client).await?;
        let caller = postgres.gate.caller(&token).await.map_err(|problem| Refusal::token(&problem))?;
        Who { token: Some(token), caller: Some(caller) }
    } else {
        Who { token: None, caller: None }
    };
    client.codec_mut().phase = Phase::Session;
    Ok(Some((who, shown)))
}

/// The greeting, past requests for encryption.
async fn hear(postgres: &Postgres, client: &mut Greeting, mut said: Said) -> Result<Option<Startup>, Refusal> {
    for _ in 0..=ENCRYPTIONS {
        match next(client).await? {
            Some(PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresSsl(_))) => {
                match &postgres.encryption {
                    Some(encryption) if said == Said::Openly => {
                        encrypt(encryption, client).await?;
                        said = Said::Encrypted;
                    }
                    _ => client.send(PgWireBackendMessage::SslResponse(SslResponse::Refuse)).await?,
                }
            }
            Some(PgWireFrontendMessage::SslNegotiation(_)) => {
                client.send(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)).await?;
            }
            Some(PgWireFrontendMessage::CancelRequest(request)) => {
                postgres.cancels.cancel(&request);
                return Ok(None);
            }
            Some(PgWireFrontendMessage::Startup(_)) if postgres.encryption.is_some() && said == Said::Openly => {
                let message = "the password is a token, and this connection is not encrypted; set sslmode=verify-full";
                return Err(Refusal::connection("28000", message));
            }
            Some(PgWireFrontendMessage::Startup(startup)) => return Ok(Some(startup)),
            // A look whether the port is open.
            None => return Ok(None),
            Some(_) => break,
        }
    }
    Err(Refusal::connection("08P01", "expected a greeting of the Postgres protocol"))
}

/// Goes on encrypted.
async fn encrypt(encryption: &Encryption, client: &mut Greeting) -> Result<(), Refusal> {
    // What came before could have been put there by somebody else, and would be read as if it had been encrypted.
    if !client.read_buffer().is_empty() {
        return Err(Refusal::connection("08P01", "something was sent before the encryption began"));
    }
    client.send(PgWireBackendMessage::SslResponse(SslResponse::Accept)).await?;
    let open = std::mem::replace(client.get_mut(), Box::new(tokio::io::empty()));
    *client.get_mut() = encryption.begin(open).await?;
    Ok(())
}

async fn next(client: &mut Greeting) -> Result<Option<PgWireFrontendMessage>, Refusal> {
    client.next().await.transpose().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => Refusal::connection("08P01", error.to_string()),
        _ => Refusal::Gone(error),
    })
}

async fn password(client: &mut Greeting) -> Result<String, Refusal> {
    client.send(PgWireBackendMessage::Authentication(Authentication::CleartextPassword)).await?;
    let message = match next(client).await? {
        Some(PgWireFrontendMessage::PasswordMessageFamily(message)) => message.into_password().ok(),
        // Nobody was there to type it: psql hangs up and comes back with the password.
        None => return Err(Refusal::Gone(std::io::ErrorKind::UnexpectedEof.into())),
        Some(_) => None,
    };
    let password = message.map(|message| message.password).filter(|password| !password.is_empty());
    password.ok_or_else(|| Refusal::connection("28P01", "there is no password; it is the token (`alluvium token`)"))
}
