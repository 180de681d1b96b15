//! The rooms and the direction in which they may depend on each other, asserted from what cargo says.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panicking and is an entry point"
)]

use std::collections::BTreeSet;

use serde_json::Value;

/// Each room, and the rooms that it may import.
const ROOMS: [(&str, &[&str]); 19] = [
    ("alluvium-core", &[]),
    ("alluvium-ingest", &["alluvium-core"]),
    ("alluvium-transform", &["alluvium-core"]),
    ("alluvium-lake", &["alluvium-core"]),
    ("alluvium-query", &["alluvium-core"]),
    ("alluvium-local", &["alluvium-core", "alluvium-lake", "alluvium-transform"]),
    ("alluvium-aws", &["alluvium-core"]),
    ("alluvium-lambda-authorizer", &["alluvium-aws", "alluvium-core", "alluvium-query"]),
    ("alluvium-lambda-commit", &["alluvium-aws", "alluvium-core", "alluvium-lake", "alluvium-transform"]),
    ("alluvium-lambda-gateway", &["alluvium-aws", "alluvium-core", "alluvium-ingest"]),
    ("alluvium-lambda-hot-writer", &["alluvium-aws", "alluvium-core"]),
    ("alluvium-lambda-loader", &["alluvium-aws", "alluvium-core", "alluvium-ingest"]),
    ("alluvium-lambda-maintain", &["alluvium-aws", "alluvium-core", "alluvium-lake", "alluvium-transform"]),
    ("alluvium-lambda-query", &["alluvium-aws", "alluvium-core", "alluvium-query"]),
    ("alluvium-lambda-report", &["alluvium-aws", "alluvium-core"]),
    ("alluvium-lambda-transform", &["alluvium-aws", "alluvium-core", "alluvium-transform"]),
    ("alluvium-fuzz-checks", &["alluvium-core", "alluvium-query", "alluvium-transform"]),
    (
        "alluvium-cli",
        &[
            "alluvium-aws",
            "alluvium-core",
            "alluvium-ingest",
            "alluvium-lake",
            "alluvium-local",
            "alluvium-query",
            "alluvium-transform",
        ],
    ),
    ("alluvium-peers", &["alluvium-aws", "alluvium-core", "alluvium-ingest", "alluvium-transform"]),
];

/// What each of these crates may not reach, by name, through any chain of dependencies.
const KEPT_OUT: [(&str, &[&str]); 15] = [
    ("alluvium-core", &["tokio", "axum", "object_store", "datafusion", "deltalake-core"]),
    ("alluvium-transform", &["tokio", "axum", "object_store", "datafusion", "deltalake-core"]),
    ("alluvium-ingest", &["datafusion", "deltalake-core", "parquet"]),
    ("alluvium-query", &["datafusion", "deltalake-core", "redb"]),
    ("alluvium-lake", &["datafusion", "axum", "redb"]),
    ("alluvium-aws", &["datafusion", "deltalake-core", "axum", "parquet", "redb"]),
    ("alluvium-lambda-authorizer", &["datafusion", "deltalake-core", "parquet", "redb"]),
    ("alluvium-lambda-commit", &["datafusion", "axum", "redb"]),
    ("alluvium-lambda-gateway", &["datafusion", "deltalake-core", "parquet", "redb"]),
    ("alluvium-lambda-hot-writer", &["datafusion", "deltalake-core", "axum", "parquet", "redb"]),
    ("alluvium-lambda-loader", &["datafusion", "deltalake-core", "parquet", "redb"]),
    ("alluvium-lambda-maintain", &["datafusion", "axum", "redb"]),
    ("alluvium-lambda-query", &["datafusion", "deltalake-core", "redb"]),
    ("alluvium-lambda-report", &["datafusion", "deltalake-core", "axum", "redb"]),
    ("alluvium-lambda-transform", &["datafusion", "deltalake-core", "axum", "redb"]),
];

fn cargo(args: &[&str]) -> String {
    let output =
        std::process::Command::new(env!("CARGO")).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_room_imports_only_what_lies_before_it() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let members: BTreeSet<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let known: BTreeSet<_> = ROOMS.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, known, "a new room needs its row in this test and its paragraph in docs/architecture.md");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed) = ROOMS.iter().find(|(room, _)| *room == name).unwrap();
        // What only its tests import is not linked into it: such a dependency has a kind, an ordinary one has none.
        let linked =
            package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
        for dependency in linked.map(|dependency| dependency["name"].as_str().unwrap()) {
            let may = !known.contains(dependency) || allowed.contains(&dependency);
            assert!(may, "{name} imports {dependency}, which it may not: see docs/adr/0005-crate-graph.md");
        }
    }
}

#[test]
fn heavy_crates_stay_out_of_the_rooms_that_do_not_need_them() {
    for (room, kept_out) in KEPT_OUT {
        // `cargo tree` resolves features for this room alone; `cargo metadata` would for the whole workspace.
        let tree = cargo(&["tree", "--package", room, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        let reached: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(reached.contains(room) && reached.len() > 10, "{tree}");
        for heavy in kept_out {
            assert!(!reached.contains(heavy), "{room} reaches {heavy}, which it must not link");
        }
    }
}
