#![allow(clippy::unwrap_used)]

use clap::Parser as _;

use super::*;

/// What the program says of a command line.
fn said(line: &str) -> String {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    explain(Cli::try_parse_from(&words).unwrap_err(), words).to_string()
}

#[test]
fn every_flag_of_the_table_says_what_the_program_lacks() {
    for (flag, commands) in FLAGS {
        for command in commands {
            for line in [format!("alluvium {command} {flag} x"), format!("alluvium --json {command} {flag}=x")] {
                let said = said(&line);
                assert!(said.contains(&format!("`{flag}`: {WITHOUT_AWS}")), "{line}: {said}");
            }
        }
    }
    for command in COMMANDS {
        let said = said(&format!("alluvium {command} --stage dev"));
        assert!(said.contains(&format!("`{command}`: {WITHOUT_AWS}")), "{said}");
    }
}

#[test]
fn what_no_build_has_is_as_unknown_as_ever() {
    for line in ["alluvium token --stage dev", "alluvium sql --stag dev", "alluvium up --lake x", "alluvium deliverr"] {
        let said = said(line);
        assert!(!said.contains("AWS"), "{line}: {said}");
    }
}
