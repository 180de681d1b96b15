//! From the bytes of one element to a scanned event.

use std::borrow::Cow;

use alluvium_core::ReasonCode;

use crate::fault::Fault;
use crate::scan::{ScanFault, scan_event, unescape};
use crate::settings::TransformSettings;
use crate::tape::{Kind, Tape};

/// The longest attribute that is taken out of an event whose attributes are not judged, in bytes.
const READABLE_BYTES: usize = 1024;

/// Checks an element's size and that it is UTF-8.
///
/// # Errors
///
/// The fault for which it becomes a dead letter.
#[inline]
pub(crate) fn text<'a>(element: &'a [u8], settings: &TransformSettings) -> Result<&'a str, Fault> {
    if element.len() > settings.event_limit() {
        return Err(too_large(element.len() as u64, settings));
    }
    simdutf8::compat::from_utf8(element).map_err(|error| {
        let detail = format!("not UTF-8 at byte {}; JSON is sent as UTF-8", error.valid_up_to());
        Fault::new(ReasonCode::NotJson, detail)
    })
}

/// Checks that a text is JSON; `tape` holds its values afterwards.
///
/// # Errors
///
/// The fault for which it becomes a dead letter.
pub(crate) fn scan(event: &str, settings: &TransformSettings, tape: &mut Tape) -> Result<(), Fault> {
    scan_event(event, settings.depth_limit(), tape).map_err(|fault| in_words(fault, settings))
}

/// Checks an element's size, UTF-8 and JSON; `tape` holds its values afterwards, and the event's text is returned.
///
/// # Errors
///
/// The fault for which it becomes a dead letter.
pub(crate) fn read_event<'a>(
    element: &'a [u8],
    settings: &TransformSettings,
    tape: &mut Tape,
) -> Result<&'a str, Fault> {
    let event = text(element, settings)?;
    scan(event, settings, tape)?;
    Ok(event)
}

/// The fault of an event of this size.
pub(crate) fn too_large(bytes: u64, settings: &TransformSettings) -> Fault {
    let detail = format!("the event has {bytes} bytes; at most {} are taken", settings.event_limit());
    Fault::new(ReasonCode::TooLarge, detail)
}

#[cold]
fn in_words(fault: ScanFault, settings: &TransformSettings) -> Fault {
    match fault {
        ScanFault::NotJson { at, expected } => {
            Fault::new(ReasonCode::NotJson, format!("not JSON: at byte {at} expected {expected}"))
        }
        ScanFault::TooDeep { at } => {
            let detail = format!("nested deeper than {} levels at byte {at}", settings.depth_limit());
            Fault::new(ReasonCode::TooDeep, detail)
        }
        ScanFault::NotAnObject(kind) => {
            let kind = match kind {
                Kind::Array => "an array",
                Kind::Text | Kind::EscapedText => "a string",
                Kind::Integer | Kind::Decimal => "a number",
                Kind::True | Kind::False => "a boolean",
                Kind::Null => "null",
                Kind::Object => "an object",
            };
            Fault::new(ReasonCode::NotAnObject, format!("the event is {kind}; expected an object"))
        }
    }
}

/// The first member of this name of the event's own object, if it is a text of a size that an attribute may have.
pub(crate) fn top_level_text<'a>(event: &'a str, tape: &Tape, name: &str) -> Option<Cow<'a, str>> {
    let (_, value) = tape.members(Tape::EVENT).find(|(key, _)| key.text(event) == name)?;
    let value = tape.token(value);
    let text = match value.kind {
        Kind::Text => Cow::Borrowed(value.text(event)),
        Kind::EscapedText => {
            let mut text = String::new();
            unescape(value.text(event), &mut text);
            Cow::Owned(text)
        }
        _ => return None,
    };
    (1..=READABLE_BYTES).contains(&text.len()).then_some(text)
}
