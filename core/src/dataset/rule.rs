//! Holding a value to its rule, exactly as JSON Schema has it.
//!
//! Numbers are compared by what they are worth: an integer beyond 2⁵³ with a bound that is an `f64` without rounding either,
//! `1` with `1.0` as equals. `multipleOf` divides what is written: 0.3 is a multiple of 0.1, as the crate `jsonschema` also has
//! it. Where the digits of value and divisor lie so far apart that they leave 128 bits (1e300 and 7), that crate divides the
//! binary values and may differ; here the decimals decide at any size.

use std::cmp::Ordering;

use serde_json::Number;

use super::decimal::Decimal;
use super::equality::{compare, same_number};
use super::{Bounds, ListRule, NumberRule, TextRule};

/// What a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFault {
    /// It has too few or too many characters.
    Length,
    /// It is none of the values allowed.
    NotListed,
    /// It contains no match of the pattern.
    Pattern,
    /// It is not written as its format says.
    Format,
}

/// What a number breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFault {
    /// It lies outside the bounds.
    Bounds,
    /// It is none of the values allowed.
    NotListed,
    /// It is no whole multiple of what it must be one of.
    NotMultiple,
}

impl TextRule {
    /// Holds a text to the rule.
    ///
    /// # Errors
    ///
    /// The first fault, in the order in which [`TextFault`] lists them.
    #[inline]
    pub fn check(&self, text: &str) -> Result<(), TextFault> {
        // A text has no more characters than bytes and at least a quarter as many, so most need no counting.
        if let Some(most) = self.max_chars
            && text.len() as u64 > most
            && text.chars().count() as u64 > most
        {
            return Err(TextFault::Length);
        }
        if let Some(least) = self.min_chars
            && (text.len() as u64) < least.saturating_mul(4)
            && (text.chars().count() as u64) < least
        {
            return Err(TextFault::Length);
        }
        if !self.one_of.is_empty() && !self.lists(text) {
            return Err(TextFault::NotListed);
        }
        if let Some(pattern) = &self.pattern
            && !pattern.matches(text)
        {
            return Err(TextFault::Pattern);
        }
        match self.format {
            Some(format) if !format.matches(text) => Err(TextFault::Format),
            _ => Ok(()),
        }
    }

    /// Whether a text is one of those listed. Of a few, most differ from it by their length already.
    #[inline]
    fn lists(&self, text: &str) -> bool {
        const FEW: usize = 8;
        if self.one_of.len() <= FEW {
            return self.one_of.iter().any(|allowed| allowed == text);
        }
        self.one_of.binary_search_by(|allowed| allowed.as_str().cmp(text)).is_ok()
    }
}

impl NumberRule {
    /// Holds an integer to the rule.
    ///
    /// # Errors
    ///
    /// The first fault, in the order in which [`NumberFault`] lists them.
    #[inline]
    pub fn check_integer(&self, integer: i64) -> Result<(), NumberFault> {
        if !self.bounds.contain_integer(integer) {
            return Err(NumberFault::Bounds);
        }
        if self.is_bounds_alone() {
            return Ok(());
        }
        self.check_listed(&integer.into())?;
        match self.multiple_of.as_ref() {
            Some(divisor) if !is_multiple_of_integer(integer, divisor) => Err(NumberFault::NotMultiple),
            _ => Ok(()),
        }
    }

    /// Holds a finite number to the rule. One that was sent as an integer of 64 bits is better held to it as such: beyond 2⁵³
    /// the number may be a neighbour of it.
    ///
    /// # Errors
    ///
    /// The first fault, in the order in which [`NumberFault`] lists them.
    #[inline]
    pub fn check_number(&self, number: f64) -> Result<(), NumberFault> {
        if !self.bounds.contain(number) {
            return Err(NumberFault::Bounds);
        }
        if self.is_bounds_alone() {
            return Ok(());
        }
        let Some(value) = Number::from_f64(number) else { return Err(NumberFault::NotListed) };
        self.check_listed(&value)?;
        match self.multiple_of.as_ref() {
            Some(divisor) if !Decimal::of_number(number).is_multiple_of(Decimal::of(divisor)) => {
                Err(NumberFault::NotMultiple)
            }
            _ => Ok(()),
        }
    }

    #[inline]
    fn is_bounds_alone(&self) -> bool {
        self.one_of.is_empty() && self.multiple_of.is_none()
    }

    fn check_listed(&self, value: &Number) -> Result<(), NumberFault> {
        if self.one_of.is_empty() || self.one_of.iter().any(|allowed| same_number(allowed, value)) {
            return Ok(());
        }
        Err(NumberFault::NotListed)
    }
}

fn is_multiple_of_integer(integer: i64, divisor: &Number) -> bool {
    match divisor.as_u64() {
        Some(0) => integer == 0,
        Some(divisor) => integer.unsigned_abs().is_multiple_of(divisor),
        None => Decimal::of_integer(integer).is_multiple_of(Decimal::of(divisor)),
    }
}

impl Bounds {
    /// Whether an integer lies within, compared without rounding.
    #[inline]
    pub fn contain_integer(&self, integer: i64) -> bool {
        const EXACT: u64 = 1 << 53;
        if integer.unsigned_abs() <= EXACT {
            return self.contain(integer as f64);
        }
        let lies = |bound: f64| compare(integer, bound);
        self.minimum.is_none_or(|least| lies(least) != Ordering::Less)
            && self.maximum.is_none_or(|most| lies(most) != Ordering::Greater)
            && self.exclusive_minimum.is_none_or(|below| lies(below) == Ordering::Greater)
            && self.exclusive_maximum.is_none_or(|above| lies(above) == Ordering::Less)
    }
}

impl ListRule {
    /// Whether an array of so many items is neither too short nor too long.
    #[inline]
    pub fn takes(&self, items: u64) -> bool {
        self.min_items.is_none_or(|least| items >= least) && self.max_items.is_none_or(|most| items <= most)
    }
}

#[cfg(test)]
mod tests;
