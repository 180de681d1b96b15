//! The response to an invocation.

use alluvium_core::limits;

use super::{InvocationError, Place};

const BEGIN: &[u8] = b"{\"records\":[";
const BEFORE_ID: &[u8] = b"{\"recordId\":\"";
const AFTER_ID: &[u8] = b"\",\"result\":\"Dropped\"}";
const END: &[u8] = b"]}";

/// The response that says of every record that nothing is left to do with it. An id is given back as it was escaped.
///
/// # Errors
///
/// When it would be larger than a response may be.
pub(super) fn dropped(event: &[u8], ids: &[Place]) -> Result<Vec<u8>, InvocationError> {
    let of_ids: usize = ids.iter().map(|id| id.len() + BEFORE_ID.len() + AFTER_ID.len() + 1).sum();
    let bytes = BEGIN.len() + of_ids.saturating_sub(1) + END.len();
    if bytes > limits::INVOCATION_BYTES {
        return Err(InvocationError::ResponseTooLarge { records: ids.len(), bytes });
    }
    let mut response = Vec::with_capacity(bytes);
    response.extend_from_slice(BEGIN);
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            response.push(b',');
        }
        response.extend_from_slice(BEFORE_ID);
        response.extend_from_slice(&event[id.start as usize..id.end as usize]);
        response.extend_from_slice(AFTER_ID);
    }
    response.extend_from_slice(END);
    debug_assert_eq!(response.len(), bytes);
    Ok(response)
}
