#![allow(clippy::unwrap_used)]

use super::*;

/// How wide numbers are held; they come back as they were, all of them and in part.
fn width(numbers: &[i64]) -> usize {
    let mut written = Vec::new();
    write(&mut written, numbers, None);
    let mut unread = Unread(&written);
    let held = Numbers::of(&mut unread, numbers.len()).unwrap();
    unread.ended().unwrap();
    for rows in [0..numbers.len(), 0..numbers.len() / 2, numbers.len() / 2..numbers.len()] {
        let mut read: Vec<i64> = Vec::new();
        held.add_to(&mut read, &rows, |number| number);
        assert_eq!(read, numbers[rows]);
    }
    held.width
}

#[test]
fn numbers_are_as_wide_as_the_greatest_is_above_the_least() {
    assert_eq!(width(&[]), 0);
    assert_eq!(width(&[7; 100]), 0);
    assert_eq!(width(&[i64::MIN, i64::MIN + 255]), 1);
    assert_eq!(width(&[-1, 255]), 2);
    assert_eq!(width(&[5, 65_540]), 2);
    assert_eq!(width(&[5, 65_541]), 4);
    assert_eq!(width(&[0, 3, i64::from(u32::MAX)]), 4);
    assert_eq!(width(&[0, 3, 1 << 32]), 8);
    assert_eq!(width(&[i64::MIN, 3, i64::MAX]), 8);
}

#[test]
fn whole_thousands_are_held_as_such() {
    assert_eq!(width(&[1_000_007, 7, 255_007]), 2);
    assert_eq!(width(&[255_007, 7]), 1);
    assert_eq!(width(&[255_008, 7]), 4);
}

#[test]
fn what_is_no_number_decides_nothing() {
    let mut written = Vec::new();
    write(&mut written, &[7, i64::MAX, 9], Some(&|at| at != 1));
    let held = Numbers::of(&mut Unread(&written), 3).unwrap();
    let mut read: Vec<i64> = Vec::new();
    held.add_to(&mut read, &(0..3), |number| number);
    assert_eq!((held.width, read[0], read[2]), (1, 7, 9));
}
