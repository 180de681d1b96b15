//! The settings of a connection: what `SHOW` tells and `SET` takes.
//!
//! Values are always shown in the same way: UTF-8, ISO dates, UTC. A client may set what that already is, and what changes nothing.

use super::asked::SERVER_VERSION;
use super::refusal::Refusal;

/// Settings that always have this value, under their names in small letters and as clients know them. The clients are told all of them
/// when they come in.
const FIXED: [(&str, &str, &str); 9] = [
    ("server_version", "server_version", SERVER_VERSION),
    ("server_encoding", "server_encoding", "UTF8"),
    ("client_encoding", "client_encoding", "UTF8"),
    ("datestyle", "DateStyle", "ISO, MDY"),
    ("intervalstyle", "IntervalStyle", "postgres"),
    ("timezone", "TimeZone", "UTC"),
    ("integer_datetimes", "integer_datetimes", "on"),
    ("standard_conforming_strings", "standard_conforming_strings", "on"),
    ("default_transaction_read_only", "default_transaction_read_only", "on"),
];

/// Settings that are asked for and not told.
const ASKED_FOR: [(&str, &str); 13] = [
    ("search_path", "lake"),
    ("transaction_isolation", "read committed"),
    ("transaction isolation level", "read committed"),
    ("default_transaction_isolation", "read committed"),
    ("transaction_read_only", "on"),
    ("server_version_num", "160000"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("block_size", "8192"),
    ("is_superuser", "off"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("bytea_output", "hex"),
];

/// What can be set to anything and changes nothing here: how many digits a client would have, how hard a planner should try, how long a
/// statement may take (the engine has a limit of its own) and the like.
const TAKEN: [&str; 14] = [
    "extra_float_digits",
    "search_path",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction",
    "default_transaction_isolation",
    "transaction_isolation",
    "client_min_messages",
    "jit",
    "synchronous_commit",
    "row_security",
    "bytea_output",
    "geqo",
];

/// The settings of one connection.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// What the program calls itself.
    pub(super) application_name: String,
    /// The database that the client named.
    pub(super) database: String,
    /// Whether the connection is encrypted.
    pub(super) is_encrypted: bool,
}

impl Shown {
    /// What a client is told when it comes in.
    pub(super) fn told(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = FIXED.iter().map(|(_, name, value)| (*name, *value));
        fixed.chain([("is_superuser", "off"), ("in_hot_standby", "off"), ("application_name", &self.application_name)])
    }

    /// All settings with their values.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let fixed = FIXED.iter().map(|(name, _, value)| (*name, *value));
        let own = [("application_name", self.application_name.as_str()), ("ssl", self.ssl())];
        let all = fixed.chain(ASKED_FOR).chain(own).filter(|(name, _)| !name.contains(' '));
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn ssl(&self) -> &'static str {
        if self.is_encrypted { "on" } else { "off" }
    }

    /// The value of a setting.
    pub(super) fn show(&self, name: &str) -> Result<&str, Refusal> {
        let name = name.to_ascii_lowercase();
        if name == "application_name" {
            return Ok(&self.application_name);
        }
        if name == "ssl" {
            return Ok(self.ssl());
        }
        let fixed = FIXED.iter().map(|(name, _, value)| (*name, *value));
        let found = fixed.chain(ASKED_FOR).find(|(known, _)| *known == name).map(|(_, value)| value);
        found.or_else(|| (name == "time zone").then_some("UTC")).ok_or_else(|| unknown(&name))
    }

    /// Gives a setting a value; `Some`: the client is to be told.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<Option<(&'static str, String)>, Refusal> {
        let name = name.to_ascii_lowercase();
        if name == "application_name" {
            value.clone_into(&mut self.application_name);
            return Ok(Some(("application_name", value.to_owned())));
        }
        if TAKEN.contains(&name.as_str()) || name.starts_with("enable_") {
            return Ok(None);
        }
        let Some((_, known, fixed)) = FIXED.iter().find(|(known, ..)| *known == name) else {
            return Err(unknown(&name));
        };
        if is_already(&name, fixed, value) {
            return Ok(None);
        }
        let message = format!("{known} is {fixed} here and cannot be {value:?}");
        Err(Refusal::statement("22023", message))
    }
}

/// Whether a value says what a setting is in any case.
fn is_already(name: &str, fixed: &str, value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let same: &[&str] = match name {
        "client_encoding" => &["utf8", "utf-8", "unicode", "'utf8'"],
        "timezone" => &["utc", "etc/utc", "gmt", "z", "0", "+00", "+00:00", "default", "local"],
        // Only ISO tells how dates are written; the rest says how they would be read.
        "datestyle" if value.starts_with("iso") => return true,
        "standard_conforming_strings" | "default_transaction_read_only" => &["on", "true", "1", "yes"],
        _ => &[],
    };
    value == fixed.to_ascii_lowercase() || value == "default" || same.contains(&value.as_str())
}

fn unknown(name: &str) -> Refusal {
    let name: String = name.chars().take(80).collect();
    Refusal::statement("42704", format!("there is no setting {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(outcome: Result<T, Refusal>) -> Option<String> {
        match outcome {
            Err(Refusal::Statement(info)) => Some(info.code),
            _ => None,
        }
    }

    #[test]
    fn a_setting_can_be_set_to_what_it_is_and_to_nothing_else() {
        let mut shown = Shown::default();
        for (name, value) in [
            ("client_encoding", "UTF8"),
            ("CLIENT_ENCODING", "utf-8"),
            ("DateStyle", "ISO"),
            ("datestyle", "iso, dmy"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "3"),
            ("enable_seqscan", "off"),
            ("statement_timeout", "0"),
        ] {
            assert!(shown.set(name, value).is_ok_and(|told| told.is_none()), "{name}");
        }
        for (name, value, code) in [
            ("client_encoding", "LATIN1", "22023"),
            ("TimeZone", "Europe/Berlin", "22023"),
            ("datestyle", "German", "22023"),
            ("default_transaction_read_only", "off", "22023"),
            ("no_such", "1", "42704"),
        ] {
            assert_eq!(refusal(shown.set(name, value)).as_deref(), Some(code), "{name}");
        }
    }

    #[test]
    fn a_program_may_name_itself() {
        let mut shown = Shown::default();
        assert_eq!(
            shown.set("application_name", "psql").unwrap_or(None),
            Some(("application_name", "psql".to_owned()))
        );
        assert_eq!(shown.show("Application_Name").unwrap_or_default(), "psql");
        assert_eq!(shown.show("transaction isolation level").unwrap_or_default(), "read committed");
        assert_eq!(refusal(shown.show("no_such")).as_deref(), Some("42704"));
    }
}
