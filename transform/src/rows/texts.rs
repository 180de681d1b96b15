//! A text column as it is built: as codes of its few values, or value by value when it has many.

use ahash::AHashMap;
use arrow::array::{ArrayRef, DictionaryArray, StringArray, StringBuilder, UInt32Array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;
use std::sync::Arc;

use super::values::Strings;
use crate::short::ShortText;

/// How many different values a column may have and still be kept as codes.
const CODED_VALUES: usize = 1024;
/// The code of a row that has no value.
const NULL: u16 = u16::MAX;
/// The key that stands for no value.
const NO_KEY: u32 = u32::MAX;
/// How many short values are found without hashing them whole.
const SHORT_VALUES: usize = 64;

/// A text column, in the order in which its rows came.
#[derive(Debug)]
pub(super) enum Texts {
    /// Rows are sorted and copied as codes, which are a fraction of the texts.
    Coded(Box<Coded>),
    Plain(Strings),
}

/// A finished text column whose rows can be taken in any order.
#[derive(Debug)]
pub(super) enum FinishedTexts {
    Coded { codes: Vec<u16>, values: Arc<StringArray> },
    Plain(StringArray),
}

/// Texts as codes: each different value is kept once.
#[derive(Debug)]
pub(super) struct Coded {
    codes: Vec<u16>,
    /// The bytes of all rows' texts.
    text_bytes: usize,
    values: StringBuilder,
    code_of: AHashMap<Box<str>, u16>,
    short: [Short; SHORT_VALUES],
}

/// A short value and its code; the code is none when there is no value yet.
#[derive(Debug, Clone, Copy)]
struct Short {
    text: ShortText,
    code: u16,
}

impl Texts {
    pub(super) fn new() -> Self {
        let short = [Short { text: ShortText::EMPTY, code: NULL }; SHORT_VALUES];
        let (values, code_of) = (StringBuilder::new(), AHashMap::new());
        Self::Coded(Box::new(Coded { codes: Vec::new(), text_bytes: 0, values, code_of, short }))
    }

    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        match self {
            Self::Plain(texts) => texts.push(text),
            Self::Coded(coded) => match coded.code(text) {
                Some(code) => {
                    coded.codes.push(code);
                    coded.text_bytes += text.len();
                }
                None => {
                    let mut texts = coded.write_out();
                    texts.push(text);
                    *self = Self::Plain(texts);
                }
            },
        }
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Plain(texts) => texts.push_null(),
            Self::Coded(coded) => coded.codes.push(NULL),
        }
    }

    /// The bytes that its rows take, and will take when they are written out.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Plain(texts) => texts.size_bytes(),
            Self::Coded(coded) => coded.codes.len() * (size_of::<u16>() + size_of::<i32>()) + coded.text_bytes,
        }
    }

    /// The whole column; leaves none.
    ///
    /// # Errors
    ///
    /// When the texts take more than Arrow can address, 2 GiB.
    pub(super) fn finish(&mut self) -> Result<FinishedTexts, ArrowError> {
        Ok(match std::mem::replace(self, Self::new()) {
            Self::Plain(mut texts) => FinishedTexts::Plain(texts.finish()?),
            Self::Coded(mut coded) => {
                FinishedTexts::Coded { codes: coded.codes, values: Arc::new(coded.values.finish()) }
            }
        })
    }
}

impl Coded {
    /// The code of a value, a new one if it is new; `None`: there are too many.
    #[inline]
    fn code(&mut self, text: &str) -> Option<u16> {
        let Some(short) = ShortText::of(text) else { return self.look_up(text) };
        let slot = short.mixed() as usize % SHORT_VALUES;
        let known = self.short[slot];
        if known.text == short && known.code != NULL {
            return Some(known.code);
        }
        let code = self.look_up(text)?;
        self.short[slot] = Short { text: short, code };
        Some(code)
    }

    fn look_up(&mut self, text: &str) -> Option<u16> {
        if let Some(code) = self.code_of.get(text) {
            return Some(*code);
        }
        let code = self.code_of.len();
        if code == CODED_VALUES {
            return None;
        }
        self.values.append_value(text);
        self.code_of.insert(text.into(), code as u16);
        Some(code as u16)
    }

    /// The rows so far, value by value.
    #[cold]
    fn write_out(&mut self) -> Strings {
        let values = self.values.finish();
        let mut texts = Strings::with_capacity(self.codes.len() * 2, values.value_data().len() * 2);
        for code in &self.codes {
            match *code {
                NULL => texts.push_null(),
                code => texts.push(values.value(code as usize)),
            }
        }
        texts
    }
}

/// The most bytes of a value that is copied in one piece of this size.
const PIECE: usize = 16;

/// Values in a form that is quick to copy: each padded to one piece.
struct Pieces(Vec<([u8; PIECE], u32)>);

impl Pieces {
    /// `None` when a value is longer than a piece.
    fn of(values: &StringArray) -> Option<Self> {
        let piece = |text: Option<&str>| {
            let text = text.unwrap_or_default().as_bytes();
            let mut piece = [0; PIECE];
            piece.get_mut(..text.len())?.copy_from_slice(text);
            Some((piece, text.len() as u32))
        };
        values.iter().map(piece).collect::<Option<Vec<_>>>().map(Self)
    }
}

impl FinishedTexts {
    /// The rows of these numbers, in their order: as a dictionary where there are codes.
    ///
    /// # Errors
    ///
    /// When Arrow refuses them, which would be a defect.
    pub(super) fn take(&self, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Plain(texts) => take(texts, rows, None),
            Self::Coded { codes, values } => {
                dictionary(rows.values().iter().map(|row| key_of(codes[*row as usize])).collect(), values.clone())
            }
        }
    }

    /// All rows, in the order in which they came, as texts.
    ///
    /// # Errors
    ///
    /// When the texts take more than Arrow can address, 2 GiB.
    pub(super) fn all(self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Plain(texts) => Ok(Arc::new(texts)),
            Self::Coded { codes, values } => written_out(&codes.into_iter().map(key_of).collect::<Vec<_>>(), &values),
        }
    }
}

fn key_of(code: u16) -> u32 {
    if code == NULL { NO_KEY } else { code.into() }
}

/// A column of these keys into these values, which are all different.
///
/// # Errors
///
/// When there is a key without a value, which would be a defect.
pub(super) fn dictionary(keys: Vec<u32>, values: Arc<StringArray>) -> Result<ArrayRef, ArrowError> {
    let present = present(&keys);
    Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(UInt32Array::new(keys.into(), present), values)?))
}

/// Which of these keys stand for a value; `None`: all.
fn present(keys: &[u32]) -> Option<NullBuffer> {
    keys.contains(&NO_KEY).then(|| keys.iter().map(|key| *key != NO_KEY).collect())
}

fn written_out(keys: &[u32], values: &StringArray) -> Result<ArrayRef, ArrowError> {
    let (ends, bytes) = match Pieces::of(values) {
        Some(pieces) => copy_pieces(keys, &pieces),
        None => copy(keys, values),
    }?;
    Ok(Arc::new(StringArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes), present(keys))?))
}

type Copied = Result<(Vec<i32>, Vec<u8>), ArrowError>;

/// The values of these keys one after another, and where each ends.
fn copy(keys: &[u32], values: &StringArray) -> Copied {
    let (mut ends, mut bytes) = (Vec::with_capacity(keys.len() + 1), Vec::new());
    ends.push(0);
    for key in keys {
        if *key != NO_KEY {
            bytes.extend_from_slice(values.value(*key as usize).as_bytes());
        }
        ends.push(end_at(bytes.len())?);
    }
    Ok((ends, bytes))
}

/// The same for values that fit a piece: whole pieces are copied, and what is too much is cut off again.
fn copy_pieces(keys: &[u32], pieces: &Pieces) -> Copied {
    let (mut ends, mut bytes) = (Vec::with_capacity(keys.len() + 1), Vec::with_capacity(keys.len() * 8 + PIECE));
    ends.push(0);
    for key in keys {
        if *key != NO_KEY {
            let (piece, length) = &pieces.0[*key as usize];
            let end = bytes.len() + *length as usize;
            bytes.extend_from_slice(piece);
            bytes.truncate(end);
        }
        ends.push(end_at(bytes.len())?);
    }
    Ok((ends, bytes))
}

#[inline]
fn end_at(bytes: usize) -> Result<i32, ArrowError> {
    i32::try_from(bytes).map_err(|_| ArrowError::OffsetOverflowError(bytes))
}

#[cfg(test)]
mod tests;
