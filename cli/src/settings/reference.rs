//! What each setting means: the source of `docs/configuration.md`.

use anyhow::Context as _;

use super::Settings;

/// One setting.
pub struct Key {
    /// Its name, with dots between tables.
    pub name: &'static str,
    /// What it does, in a sentence or two.
    pub meaning: &'static str,
}

const fn key(name: &'static str, meaning: &'static str) -> Key {
    Key { name, meaning }
}

const KEYS: &[Key] = &[
    key("listen", "Address and port of the gateway and the API."),
    key("data", "The folder that holds everything: the log, the lake and the hot index."),
    key("datasets", "A folder of `*.json` schemas, one per dataset, beside the built-in `telemetry` and `data`."),
    key(
        "default_dataset",
        "Where events go that neither a route nor their `type` sends anywhere. Not set: they become dead letters.",
    ),
    key("owner", "Whose data it is that comes in without a token, and that commands on this machine send."),
    key(
        "pseudonym_key",
        "What pseudonyms are made with: at least 32 random bytes (`openssl rand -hex 32`) as hexadecimal digits or in base64, or `file:PATH` of a file that holds them. Needed when a dataset pseudonymises properties; never printed.",
    ),
    key(
        "verbosity",
        "What is logged to standard error: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,alluvium_local=debug`.",
    ),
    key(
        "auth.required",
        "Whether calls need a bearer token, and calls of the Kinesis API a signature. `false` (`--no-auth`): anybody who reaches the port does everything; on loopback only.",
    ),
    key(
        "auth.secret",
        "What tokens are signed with by HS256: at least 32 bytes of text, or `file:PATH` of a file that holds them; never printed. Not set: the node makes one and keeps it in its folder.",
    ),
    key(
        "auth.jwks_url",
        "Where the keys are that tokens signed by RS256 or ES256 are verified with: a key set over HTTPS. Not set: there are no such tokens.",
    ),
    key("auth.issuer", "What a token's `iss` must be. Not set: anything."),
    key("auth.audience", "What a token's `aud` must be or hold. Not set: anything."),
    key(
        "auth.role_claim",
        "The claim that holds the roles `data.read`, `data.write` and `data.admin`, as text or as a list.",
    ),
    key(
        "cors.origins",
        "The origins whose web pages may call the API, such as `https://console.example.com`; `*`: all.",
    ),
    key("limits.body_bytes", "The most bytes of a request body as sent; past it 413."),
    key("limits.body_expanded_bytes", "The most bytes of a request body after gzip or zstd; past it 413."),
    key("limits.event_bytes", "The most bytes of one event; past it 413, and nothing of the request is taken."),
    key(
        "limits.json_depth",
        "The deepest nesting of an event; past it a dead letter, and 400 where it keeps a JSON array from being delimited.",
    ),
    key("limits.events_per_request", "The most events in one request; past it 413."),
    key("limits.concurrent_requests", "The most requests at a time; past it 429 with Retry-After."),
    key(
        "limits.requests_per_second",
        "The most requests in a second, of all callers; past it 429 with Retry-After. As many again may come at once.",
    ),
    key("limits.requests_per_second_of_owner", "The same of one owner."),
    key("limits.request_time", "How long a request may take, its body included; past it 408."),
    key(
        "limits.record_expanded_bytes",
        "The most bytes that a compressed record put straight into the stream may expand to; past it a dead letter.",
    ),
    key("limits.dead_letter_original_bytes", "How many bytes of the original a dead letter keeps."),
    key("uploads.max_bytes", "The most bytes of an uploaded file as sent; past it 413."),
    key(
        "uploads.expanded_bytes",
        "The most bytes of an uploaded file after gzip or zstd; past it the upload fails there.",
    ),
    key(
        "uploads.stored_bytes",
        "The most bytes of all uploaded files that are not loaded yet; past it 503 with Retry-After.",
    ),
    key(
        "uploads.unfinished",
        "The most uploads that wait for their file or are not loaded yet; past it 429 with Retry-After.",
    ),
    key("uploads.unfinished_of_owner", "The same of one owner."),
    key(
        "uploads.receive_time",
        "How long an uploaded file may take to arrive; past it 408. `limits.request_time` without a byte: likewise.",
    ),
    key("uploads.kept", "How long it can be asked what has become of an upload that has ended; of at most 1,000."),
    key("log.shards", "How many shards the log has. Fixed when the folder is made."),
    key("log.segment_bytes", "The log is cut into files of this size; whole files are removed."),
    key(
        "log.max_bytes",
        "The most bytes of the log. When what is not yet in the lake fills it, the gateway answers 503.",
    ),
    key(
        "log.retention",
        "How long the log keeps records that are in the lake, for `audit` and for rebuilding the hot index; less when it reaches `log.max_bytes`.",
    ),
    key(
        "kinesis.stream",
        "What the log is called by clients of the Kinesis API: 1 to 128 letters, digits, `_`, `.` and `-`.",
    ),
    key(
        "kinesis.shard_limits",
        "`service`: through the Kinesis API a shard takes 1 MiB and 1,000 records a second, gives 2 MiB a second, and is read five times a second. `off`: what the machine can.",
    ),
    key("delivery.buffer_bytes", "A batch is transformed when it holds this many bytes."),
    key(
        "delivery.buffer",
        "A batch is transformed when this long has passed since its first record: the most that it adds to freshness.",
    ),
    key("delivery.concurrency", "How many batches are transformed and stored at a time."),
    key("commit.interval", "How often what was stored is committed to the tables."),
    key("commit.max_batches", "The most batches in one commit; with more waiting the next follows at once."),
    key("commit.checkpoint_every", "A Delta checkpoint is written every so many commits of a table."),
    key("hot.cache_bytes", "How much of the hot index is cached in memory."),
    key("hot.margin", "How much longer than its hot retention a chunk is kept, to cover the lag of commits."),
    key("hot.expire_every", "How often expired chunks are removed from the hot index."),
    key("sql.memory_bytes", "The most memory that the statements running may take together."),
    key(
        "sql.keys_bytes",
        "The memory in which one statement keeps event keys to show each event once; with more keys it reads the key columns several times.",
    ),
    key("sql.time", "How long a statement may run."),
    key(
        "sql.concurrency",
        "How many statements run at a time; further ones wait. Half of them may come from `POST /v1/queries` and over the Postgres protocol. Callers take turns there, and one caller never has all of that half, if it is two or more.",
    ),
    key("sql.statements", "The most statements that run or wait; further ones are refused."),
    key(
        "sql.result_bytes",
        "The most bytes of the result of a statement that came by `POST /v1/queries` or the Postgres protocol, and of one file of a report's \
         result; with more it fails.",
    ),
    key("sql.results_bytes", "The most bytes of all such results together; the oldest give way."),
    key("sql.result_kept", "How long such a result can be read once its statement has ended."),
    key(
        "postgres.listen",
        "Address and port of the Postgres protocol (`--postgres`), on loopback only unless there is a certificate. Not set: nobody listens. Needs a program that was built with the feature `postgres`.",
    ),
    key(
        "postgres.certificate",
        "A PEM file with the certificate of the Postgres protocol, and behind it those between it and its root. With it every connection is encrypted. A renewed one is used within ten seconds. Not set: none is.",
    ),
    key(
        "postgres.key",
        "A PEM file with the private key of `postgres.certificate`, which nobody but the node's user may read (mode 600).",
    ),
    key("postgres.connections", "The most connections at a time, half of them of one owner; further ones are refused."),
    key("postgres.idle", "How long a connection may ask for nothing before it is ended."),
    key("maintain.every", "How often the tables are looked through for what there is to maintain."),
    key("maintain.vacuum_every", "How often files that nobody needs any more are deleted."),
    key(
        "maintain.dead_letter_retention",
        "How long dead letters are kept. Not set: for ever. A dataset's own retention stands in its schema.",
    ),
    key(
        "maintain.compact_files",
        "A table is compacted by itself when it has so many files that were not compacted before.",
    ),
    key("maintain.target_bytes", "What a compacted file is to have."),
    key("maintain.round_bytes", "How many bytes of new files one round of compaction takes."),
    key(
        "maintain.memory_bytes",
        "About how many bytes of rows are sorted in memory at a time; what is more is spilled into the data folder.",
    ),
    key(
        "reports.folder",
        "A folder of `*.sql` [reports](reports.md). Not set: `reports` in the working directory, if there is one.",
    ),
    key("reports.windows_kept", "How many results of each report are kept; older ones are deleted."),
    key(
        "reports.catch_up",
        "How many of the newest windows of a report are made afterwards, at the most, when no node ran at their time.",
    ),
];

/// Every setting, in the order of the documentation.
pub fn keys() -> &'static [Key] {
    KEYS
}

/// `docs/configuration.md`.
pub fn markdown() -> anyhow::Result<String> {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Generated by `alluvium config --markdown`; a test compares. -->\n\n\
         Settings come from `alluvium.toml` in the working directory (or the file that `--config` names), then from variables,\n\
         then from flags; the later wins. A variable is named after its key: `ALLUVIUM_LISTEN`, and with two underscores\n\
         for the dot, `ALLUVIUM_LOG__MAX_BYTES`. An unknown key is refused by name. Sizes are in bytes; durations are a whole\n\
         number and a unit: `250ms`, `5s`, `10m`, `24h`, `7d`. `alluvium config` prints the values in force and where each came from.\n\n\
         | key | default | what it does |\n|---|---|---|\n",
    );
    let defaults = values(&Settings::default())?;
    for (key, (_, default)) in keys().iter().zip(defaults) {
        let default = default.map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
        text.push_str(&format!("| `{}` | {default} | {} |\n", key.name, key.meaning));
    }
    Ok(text)
}

/// The effective value of every key, as text, in the order of [`keys`]; `None`: not set.
pub fn values(settings: &Settings) -> anyhow::Result<Vec<(&'static str, Option<String>)>> {
    let tree = toml::Value::try_from(settings).context("settings are always TOML")?;
    let value = |key: &str| {
        key.split('.').try_fold(&tree, |at, part| at.get(part)).map(|value| match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    Ok(keys().iter().map(|key| (key.name, value(key.name))).collect())
}
