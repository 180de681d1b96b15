//! Who asks a statement, as far as it is written for them.

use std::sync::Arc;

/// In whose words a statement is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Dialect {
    /// The engine's own.
    #[default]
    Engine,
    /// The engine's own, and what programs ask Postgres about itself: its catalogue has the names, columns and types of what the statement's
    /// reader may read, and nothing of any row. An engine without such a catalogue knows no such tables.
    Postgres(Arc<PostgresSession>),
}

/// What a connection of a client of Postgres knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PostgresSession {
    /// The name of who asks.
    pub user: String,
    /// The database that they named.
    pub database: String,
    /// The connection's number.
    pub process: i32,
    /// The settings that can be asked for, with their values, under their names in small letters.
    pub settings: Vec<(String, String)>,
}

impl PostgresSession {
    /// The value of a setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}
