#![allow(clippy::unwrap_used)]

use super::*;

const PAGE: &str = include_str!("../../../docs/wrong-input.md");

/// The codes as they are stored, all of them: what serde says it would have taken.
fn codes() -> Vec<String> {
    let refused = serde_json::from_str::<ReasonCode>("\"no such reason\"").unwrap_err().to_string();
    let (_, expected) = refused.split_once("expected one of").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn a_code_is_stored_as_it_stands_in_the_table_and_the_page_about_wrong_input_names_it() {
    let codes = codes();
    assert!(codes.len() >= 15, "{codes:?}");
    for code in codes {
        let reason: ReasonCode = serde_json::from_str(&format!("\"{code}\"")).unwrap();
        assert_eq!(reason.as_str(), code);
        assert!(PAGE.contains(&format!("`{code}`")), "docs/wrong-input.md says nothing of `{code}`");
    }
}
