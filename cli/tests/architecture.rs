//! The rooms and the direction in which they may depend on each other, asserted from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

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
        for dependency in package.dependencies.iter().filter(|dependency| known.contains(&dependency.name)) {
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
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().unwrap();
    let names: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    for (room, kept_out) in KEPT_OUT {
        let start = metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == room).unwrap();
        let mut reached = BTreeSet::from([&start.id]);
        let mut todo = vec![&start.id];
        while let Some(id) = todo.pop() {
            let node = resolve.nodes.iter().find(|node| node.id == *id).unwrap();
            for dependency in &node.deps {
                let normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
                if normal && reached.insert(&dependency.pkg) {
                    todo.push(&dependency.pkg);
                }
            }
        }
        for id in reached {
            assert!(!kept_out.contains(&names[id].as_str()), "{room} reaches {}, which it must not link", names[id]);
        }
    }
}
