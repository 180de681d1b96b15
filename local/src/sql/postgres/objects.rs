//! The objects of the catalogue, and the numbers by which its relations refer to them.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::ports::PostgresSession;
use alluvium_core::postgres::PostgresType;
use sha2::{Digest as _, Sha256};

use super::relations::{INFORMATION_SCHEMA, PG_CATALOG};
use crate::sql::catalog::SCHEMA;

/// Whoever owns the tables. The number is that of the role which sets up a Postgres.
pub(super) const OWNER: (i64, &str) = (10, "alluvium");
/// Our own.
pub(super) const USER: i64 = 16_382;
/// Our own.
pub(super) const DATABASE: i64 = 16_383;
/// `src/include/catalog/pg_tablespace.dat` of PostgreSQL.
pub(super) const TABLESPACE: (i64, &str) = (1_663, "pg_default");
/// `src/include/catalog/pg_am.dat` of PostgreSQL.
pub(super) const ACCESS_METHOD: (i64, &str) = (2, "heap");
/// The lake's number is that of `public`, the others are Postgres's: `src/include/catalog/pg_namespace.dat`.
pub(super) const NAMESPACES: [(i64, &str); 3] = [(11, PG_CATALOG), (2_200, SCHEMA), (13_000, INFORMATION_SCHEMA)];
/// The namespace of the lake's tables.
pub(super) const LAKE: i64 = NAMESPACES[1].0;

/// The first number that Postgres gives to an object of its users: `FirstNormalObjectId` in `src/include/access/transam.h`.
const FIRST: i64 = 16_384;

/// The catalogue's own relations whose numbers programs compare: `src/include/catalog` of PostgreSQL.
const RELATIONS: [(i64, &str); 9] = [
    (1_247, "pg_type"),
    (1_249, "pg_attribute"),
    (1_255, "pg_proc"),
    (1_259, "pg_class"),
    (1_262, "pg_database"),
    (2_606, "pg_constraint"),
    (2_615, "pg_namespace"),
    (2_618, "pg_rewrite"),
    (2_620, "pg_trigger"),
];

/// Types that no column of ours has and that programs name: number, name, name in SQL, length. `src/include/catalog/pg_type.dat`.
const OTHER_TYPES: [(i64, &str, &str, i16); 8] = [
    (18, "char", "\"char\"", 1),
    (19, "name", "name", 64),
    (26, "oid", "oid", 4),
    (705, "unknown", "unknown", -2),
    (1_042, "bpchar", "character", -1),
    (1_043, "varchar", "character varying", -1),
    (2_950, "uuid", "uuid", 16),
    (3_802, "jsonb", "jsonb", -1),
];

/// A type: its number, its name in `pg_type`, its name in SQL, and its length there.
pub(super) fn types() -> impl Iterator<Item = (i64, &'static str, &'static str, i16)> {
    let ours = PostgresType::ALL.into_iter();
    ours.map(|kind| (i64::from(kind.oid()), kind.name(), kind.sql_name(), kind.bytes())).chain(OTHER_TYPES)
}

/// The objects that a statement's reader may know of.
#[derive(Debug)]
pub(super) struct Objects {
    /// The lake's tables by name.
    tables: BTreeMap<String, i64>,
    user: String,
}

impl Objects {
    /// Those of the tables of these names.
    pub(super) fn new(tables: &[String], session: &PostgresSession) -> Self {
        let mut taken = BTreeSet::new();
        let sorted: BTreeSet<&String> = tables.iter().collect();
        let numbered = sorted.into_iter().map(|name| {
            let mut oid = number(name);
            while !taken.insert(oid) {
                oid += 1;
            }
            (name.clone(), oid)
        });
        Self { tables: numbered.collect(), user: session.user.clone() }
    }

    /// The lake's tables with their numbers, by name.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, i64)> {
        self.tables.iter().map(|(name, oid)| (name.as_str(), *oid))
    }

    /// The roles that there are.
    pub(super) fn roles(&self) -> Vec<(i64, &str)> {
        let user = Some((USER, self.user.as_str())).filter(|(_, user)| *user != OWNER.1);
        std::iter::once(OWNER).chain(user).collect()
    }

    /// The number of a relation, which may have its schema before its name, and quotes; `None`: there is none.
    pub(super) fn relation(&self, name: &str) -> Option<i64> {
        let name = name.replace('"', "");
        let (schema, table) =
            name.rsplit_once('.').map_or((None, name.as_str()), |(schema, table)| (Some(schema), table));
        let ours = || self.tables.get(table).copied().filter(|_| schema.is_none_or(|schema| schema == SCHEMA));
        let theirs =
            || RELATIONS.iter().find(|(_, known)| *known == table && schema.is_none_or(|schema| schema == PG_CATALOG));
        ours().or_else(|| theirs().map(|(oid, _)| *oid))
    }

    /// The name of a relation.
    pub(super) fn relation_name(&self, oid: i64) -> Option<&str> {
        let ours = self.tables().find(|(_, known)| *known == oid).map(|(name, _)| name);
        ours.or_else(|| name_of(&RELATIONS, oid))
    }
}

/// The name that goes with a number.
pub(super) fn name_of<'a>(known: &[(i64, &'a str)], oid: i64) -> Option<&'a str> {
    known.iter().find(|(number, _)| *number == oid).map(|(_, name)| *name)
}

/// The number of a table, the same on every node and after every start: programs keep it.
fn number(name: &str) -> i64 {
    let hash = Sha256::digest(name.as_bytes());
    let bits = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    // Below half of what an oid holds: some programs keep it in 32 bits with a sign.
    FIRST + i64::from(bits >> 2)
}
