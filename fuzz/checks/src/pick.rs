//! Decisions taken from the front of the input, so that a fuzzer can change them byte by byte.

/// An input of which part has been used.
pub(crate) struct Pick<'a>(pub(crate) &'a [u8]);

impl<'a> Pick<'a> {
    /// The next byte; 0 when there is none left.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next two bytes as a number.
    pub(crate) fn number(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
