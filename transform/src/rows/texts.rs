//! A text column as it is built: as codes of its few values, or value by value when it has many.

use ahash::AHashMap;
use arrow::array::{ArrayRef, NullBufferBuilder, StringArray, StringBuilder, UInt32Array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::take;
use arrow::error::ArrowError;
use std::sync::Arc;

/// How many different values a column may have and still be kept as codes.
const CODED_VALUES: usize = 1024;
/// The code of a row that has no value.
const NULL: u32 = u32::MAX;
/// How many short values are found without hashing them whole.
const SHORT_VALUES: usize = 64;

/// A text column, in the order in which its rows came.
#[derive(Debug)]
pub(super) enum Texts {
    /// Rows are sorted and copied as codes, which are a fraction of the texts.
    Coded(Box<Coded>),
    Plain(StringBuilder),
}

/// A finished text column whose rows can be taken in any order.
#[derive(Debug)]
pub(super) enum FinishedTexts {
    Coded { codes: Vec<u32>, values: StringArray },
    Plain(StringArray),
}

/// Texts as codes: each different value is kept once.
#[derive(Debug)]
pub(super) struct Coded {
    codes: Vec<u32>,
    values: StringBuilder,
    code_of: AHashMap<Box<str>, u32>,
    short: [Short; SHORT_VALUES],
}

/// A value of at most eight bytes, and its code.
#[derive(Debug, Clone, Copy)]
struct Short {
    word: u64,
    bytes: u32,
    code: u32,
}

impl Texts {
    pub(super) fn new() -> Self {
        let short = [Short { word: 0, bytes: u32::MAX, code: NULL }; SHORT_VALUES];
        let (values, code_of) = (StringBuilder::new(), AHashMap::new());
        Self::Coded(Box::new(Coded { codes: Vec::new(), values, code_of, short }))
    }

    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        match self {
            Self::Plain(texts) => texts.append_value(text),
            Self::Coded(coded) => match coded.code(text) {
                Some(code) => coded.codes.push(code),
                None => {
                    let mut texts = coded.write_out();
                    texts.append_value(text);
                    *self = Self::Plain(texts);
                }
            },
        }
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Plain(texts) => texts.append_null(),
            Self::Coded(coded) => coded.codes.push(NULL),
        }
    }

    /// The bytes that its rows take, and will take when they are written out.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Plain(texts) => texts.values_slice().len() + size_of_val(texts.offsets_slice()),
            Self::Coded(coded) => size_of_val(coded.codes.as_slice()) + coded.values.values_slice().len(),
        }
    }

    /// The whole column; leaves none.
    pub(super) fn finish(&mut self) -> FinishedTexts {
        match std::mem::replace(self, Self::new()) {
            Self::Plain(mut texts) => FinishedTexts::Plain(texts.finish()),
            Self::Coded(mut coded) => FinishedTexts::Coded { codes: coded.codes, values: coded.values.finish() },
        }
    }
}

impl Coded {
    /// The code of a value, a new one if it is new; `None`: there are too many.
    #[inline]
    fn code(&mut self, text: &str) -> Option<u32> {
        if text.len() > 8 {
            return self.look_up(text);
        }
        let mut word = [0; 8];
        word[..text.len()].copy_from_slice(text.as_bytes());
        let (word, bytes) = (u64::from_le_bytes(word), text.len() as u32);
        // The multiplier is 2⁶⁴ divided by the golden ratio, which spreads neighbours; the top bits are the best mixed.
        let slot = word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - SHORT_VALUES.ilog2());
        let known = self.short[slot as usize];
        if known.word == word && known.bytes == bytes {
            return Some(known.code);
        }
        let code = self.look_up(text)?;
        self.short[slot as usize] = Short { word, bytes, code };
        Some(code)
    }

    fn look_up(&mut self, text: &str) -> Option<u32> {
        if let Some(code) = self.code_of.get(text) {
            return Some(*code);
        }
        let code = self.code_of.len();
        if code == CODED_VALUES {
            return None;
        }
        self.values.append_value(text);
        self.code_of.insert(text.into(), code as u32);
        Some(code as u32)
    }

    /// The rows so far, value by value.
    #[cold]
    fn write_out(&mut self) -> StringBuilder {
        let values = self.values.finish();
        let mut texts = StringBuilder::with_capacity(self.codes.len() * 2, values.value_data().len() * 2);
        for code in &self.codes {
            texts.append_option((*code != NULL).then(|| values.value(*code as usize)));
        }
        texts
    }
}

impl FinishedTexts {
    /// The rows of these numbers, in their order.
    pub(super) fn take(&self, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Plain(texts) => take(texts, rows, None),
            Self::Coded { codes, values } => {
                let codes = || rows.values().iter().map(|row| codes[*row as usize]);
                let length = |code: u32| if code == NULL { 0 } else { values.value_length(code as usize) as usize };
                let (mut ends, mut end) = (Vec::with_capacity(rows.len() + 1), 0);
                ends.push(0);
                for code in codes() {
                    end += length(code);
                    ends.push(i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))?);
                }
                let mut bytes = Vec::with_capacity(end);
                let mut present = NullBufferBuilder::new(rows.len());
                for code in codes() {
                    if code == NULL {
                        present.append_null();
                    } else {
                        bytes.extend_from_slice(values.value(code as usize).as_bytes());
                        present.append_non_null();
                    }
                }
                let ends = OffsetBuffer::new(ends.into());
                Ok(Arc::new(StringArray::try_new(ends, Buffer::from_vec(bytes), present.finish())?))
            }
        }
    }

    /// All rows, in the order in which they came.
    pub(super) fn all(&self) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Plain(texts) => Ok(Arc::new(texts.clone())),
            Self::Coded { codes, .. } => self.take(&UInt32Array::from_iter_values(0..codes.len() as u32)),
        }
    }
}

#[cfg(test)]
mod tests;
