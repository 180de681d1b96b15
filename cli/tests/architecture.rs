//! The rooms and the direction in which they may depend on each other, asserted from what cargo says.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each room, and the rooms that it may import.
const ROOMS: [(&str, &[&str]); 7] = [
    ("alluvium-core", &[]),
    ("alluvium-ingest", &["alluvium-core"]),
    ("alluvium-transform", &["alluvium-core"]),
    ("alluvium-lake", &["alluvium-core"]),
    ("alluvium-query", &["alluvium-core"]),
    ("alluvium-local", &["alluvium-core", "alluvium-lake", "alluvium-transform"]),
    (
        "alluvium-cli",
        &[
            "alluvium-core",
            "alluvium-ingest",
            "alluvium-lake",
            "alluvium-local",
            "alluvium-query",
            "alluvium-transform",
        ],
    ),
];

/// What each of these crates may not reach, by name, through any chain of dependencies.
const KEPT_OUT: [(&str, &[&str]); 5] = [
    ("alluvium-core", &["tokio", "axum", "object_store", "datafusion", "deltalake-core"]),
    ("alluvium-transform", &["tokio", "axum", "object_store", "datafusion", "deltalake-core"]),
    ("alluvium-ingest", &["datafusion", "deltalake-core", "parquet"]),
    ("alluvium-query", &["datafusion", "deltalake-core", "redb"]),
    ("alluvium-lake", &["datafusion", "axum", "redb"]),
];

fn metadata() -> cargo_metadata::Metadata {
    MetadataCommand::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).exec().unwrap()
}

#[test]
fn every_room_imports_only_what_lies_before_it() {
    let metadata = metadata();
    let members: BTreeSet<_> = metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let known: BTreeSet<_> = ROOMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members, known, "a new room needs its row in this test and its paragraph in docs/architecture.md");
    for package in metadata.workspace_packages() {
        let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == package.name.as_str()).unwrap();
        // What only its tests import is not linked into it.
        let linked = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        for dependency in linked.filter(|dependency| known.contains(&dependency.name)) {
            assert!(
                allowed.contains(&dependency.name.as_str()),
                "{} imports {}, which it may not: see docs/adr/0005-crate-graph.md",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn heavy_crates_stay_out_of_the_rooms_that_do_not_need_them() {
    for (room, kept_out) in KEPT_OUT {
        // `cargo tree` resolves features for this room alone; `cargo metadata` would for the whole workspace.
        let tree = std::process::Command::new(env!("CARGO"))
            .args(["tree", "--package", room, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let reached: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(reached.contains(room) && reached.len() > 10, "{tree}");
        for heavy in kept_out {
            assert!(!reached.contains(heavy), "{room} reaches {heavy}, which it must not link");
        }
    }
}
