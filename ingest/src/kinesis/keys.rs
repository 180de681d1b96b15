//! Access keys: who may call, as what, and the secret that proves it (AU-1).

use std::fmt;

use alluvium_core::Caller;
use alluvium_core::clock::Micros;
use bytes::Bytes;
use http::request::Parts;

use super::call::Operation;
use super::exception::{Code, Exception};
use super::signature::Signed;
use super::work;

/// The access keys that calls are signed with.
pub trait AccessKeys: Send + Sync {
    /// The key of this id; `None`: there is none. Asked once for each call, before it is known to be signed rightly.
    fn key(&self, access_key_id: &str) -> Option<AccessKey>;
}

/// An access key. Its `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// What its holder signs with: AWS's secret access key.
    pub secret: String,
    /// Who its holder is.
    pub caller: Caller,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// What a call's headers say of who sends it, which its body has yet to bear out.
pub(super) struct Claim {
    signed: Signed,
    key: AccessKey,
}

impl Claim {
    /// Reads and checks what can be without the body: that the key is one of these, the signature of now, and the operation permitted
    /// to the key's holder.
    pub(super) fn of(
        keys: &dyn AccessKeys,
        operation: Operation,
        parts: &Parts,
        now: Micros,
    ) -> Result<Self, Exception> {
        let signed = Signed::of(parts)?;
        let key = keys.key(signed.access_key_id()).ok_or_else(|| {
            let id: String = signed.access_key_id().chars().take(128).collect();
            let message = format!(
                "The security token included in the request is invalid: {id:?} is no access key of this node; make one with `alluvium \
                 token --access-key`"
            );
            Exception::early(Code::UnrecognizedClient, message)
        })?;
        signed.check(now)?;
        let roles = key.caller.roles();
        if operation.is_permitted_to(roles) {
            return Ok(Self { signed, key });
        }
        let name = operation.name();
        let needed = operation.role().map_or("any role".to_owned(), |role| format!("the role `{role}`"));
        let held = if roles.is_empty() { "none".to_owned() } else { format!("`{roles}`") };
        let message =
            format!("the access key is not authorized to perform {name}: it needs {needed}, and the key has {held}");
        Err(Exception::early(Code::AccessDenied, message))
    }

    /// The caller, when the body is the one that was signed.
    pub(super) async fn verify(self, body: &Bytes) -> Result<Caller, Exception> {
        let (bytes, body) = (body.len(), body.clone());
        let (caller, verified) = work(bytes, move || {
            let verified = self.signed.verify(&self.key.secret, &body);
            (self.key.caller, verified)
        })
        .await?;
        if verified {
            return Ok(caller);
        }
        let message = "The request signature we calculated does not match the signature you provided: check the secret access key, and that \
                       nothing on the way changes the request";
        Err(Exception::new(Code::InvalidSignature, message))
    }
}
