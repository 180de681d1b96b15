//! A block's content, taken apart without believing any length in it.

use super::HotBlockError;

/// What of some bytes was not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unread<'a>(pub(super) &'a [u8]);

impl<'a> Unread<'a> {
    /// The next bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], HotBlockError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(HotBlockError::Content("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// So many items of so many bytes each.
    pub(super) fn items(&mut self, items: usize, bytes: usize) -> Result<&'a [u8], HotBlockError> {
        self.take(items.checked_mul(bytes).ok_or(HotBlockError::Content("it says that it has more than there can be"))?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HotBlockError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("so many were taken"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, HotBlockError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, HotBlockError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, HotBlockError> {
        self.array().map(i64::from_le_bytes)
    }

    /// A number of four bytes, of rows, items or bytes.
    pub(super) fn count(&mut self) -> Result<usize, HotBlockError> {
        Ok(self.array().map(u32::from_le_bytes)? as usize)
    }

    /// Says that everything was read.
    pub(super) fn ended(self) -> Result<(), HotBlockError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(HotBlockError::Content("something has more bytes than belong to it"))
        }
    }
}

/// A content's parts.
pub(super) struct Content<'a> {
    pub(super) rows: usize,
    pub(super) description: &'a [u8],
    rest: Unread<'a>,
}

impl<'a> Content<'a> {
    pub(super) fn of(content: &'a [u8]) -> Result<Self, HotBlockError> {
        let mut unread = Unread(content);
        let rows = unread.count()?;
        let description_bytes = unread.count()?;
        Ok(Self { rows, description: unread.take(description_bytes)?, rest: unread })
    }

    /// The bytes of each column; there must be so many, and nothing else.
    pub(super) fn columns(&self, count: usize) -> Result<Vec<&'a [u8]>, HotBlockError> {
        let mut unread = self.rest;
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let bytes = unread.count()?;
            columns.push(unread.take(bytes)?);
        }
        unread.ended()?;
        Ok(columns)
    }
}
