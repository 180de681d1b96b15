//! The committed corpus through every check: seeds, and each input that once broke something.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use alluvium_fuzz_checks::CHECKS;

/// So that a clone stays small.
const CORPUS_BYTES: u64 = 1024 * 1024;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

fn replay(target: &str) {
    let (_, check) = CHECKS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = files(&corpus().join(target));
    assert!(inputs.len() >= 5, "{target}: a corpus of {} inputs shows nothing", inputs.len());
    for input in inputs {
        println!("{}", input.display());
        check(&std::fs::read(&input).unwrap());
    }
}

#[test]
fn every_aggregate_of_the_corpus_holds() {
    replay("aggregate");
}

#[test]
fn every_event_of_the_corpus_holds() {
    replay("event");
}

#[test]
fn every_firehose_event_of_the_corpus_holds() {
    replay("firehose");
}

#[test]
fn every_gzip_record_of_the_corpus_holds() {
    replay("gzip");
}

#[test]
fn every_hot_block_of_the_corpus_holds() {
    replay("hot_block");
}

#[test]
fn every_key_set_of_the_corpus_holds() {
    replay("key_set");
}

#[test]
fn everything_that_clients_of_postgres_say_in_the_corpus_holds() {
    replay("postgres");
}

#[test]
fn every_schema_of_the_corpus_holds() {
    replay("schema");
}

#[test]
fn every_token_of_the_corpus_holds() {
    replay("token");
}

#[test]
fn every_zstd_record_of_the_corpus_holds() {
    replay("zstd");
}

#[test]
fn the_corpus_has_a_folder_for_each_check_and_is_small() {
    let folders = files(&corpus());
    let names: Vec<_> = folders.iter().map(|folder| folder.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, CHECKS.map(|(name, _)| name));
    let bytes: u64 = folders.iter().flat_map(|folder| files(folder)).map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes < CORPUS_BYTES, "{bytes} bytes");
}
