//! What must hold of the settings, each alone and one beside another.

use alluvium_core::limits;
use alluvium_ingest::KinesisSettings;

use super::{Auth, Postgres, Settings};

/// Refuses settings that a node cannot work with, and says which key it is and what would be right.
pub(super) fn check(settings: &Settings) -> anyhow::Result<()> {
    let at_least_one = [
        ("log.shards", u64::from(settings.log.shards)),
        ("delivery.concurrency", settings.delivery.concurrency as u64),
        ("delivery.buffer_bytes", settings.delivery.buffer_bytes as u64),
        ("commit.max_batches", settings.commit.max_batches as u64),
        ("limits.concurrent_requests", settings.limits.concurrent_requests as u64),
        ("sql.concurrency", settings.sql.concurrency as u64),
        ("postgres.connections", settings.postgres.connections as u64),
        ("limits.json_depth", settings.limits.json_depth as u64),
        ("maintain.every", settings.maintain.every.as_secs()),
        ("maintain.target_bytes", settings.maintain.target_bytes),
        ("maintain.round_bytes", settings.maintain.round_bytes),
        ("maintain.memory_bytes", settings.maintain.memory_bytes as u64),
        ("reports.windows_kept", settings.reports.windows_kept as u64),
        ("reports.catch_up", settings.reports.catch_up as u64),
    ];
    for (key, value) in at_least_one {
        anyhow::ensure!(value >= 1, "{key} is 0; it must be at least 1");
    }
    anyhow::ensure!(
        settings.limits.event_bytes <= limits::EVENT_BYTES,
        "limits.event_bytes is {}; a record of the stream holds events of at most {} bytes",
        settings.limits.event_bytes,
        limits::EVENT_BYTES
    );
    anyhow::ensure!(
        settings.log.segment_bytes >= 2 << 20,
        "log.segment_bytes is {}; a segment must hold at least 2 MiB (2097152), more than the largest record",
        settings.log.segment_bytes
    );
    anyhow::ensure!(
        settings.log.max_bytes >= settings.log.segment_bytes.saturating_mul(2),
        "log.max_bytes is {}; it must be at least twice log.segment_bytes ({}), or nothing can ever be trimmed",
        settings.log.max_bytes,
        settings.log.segment_bytes
    );
    crate::node::upload_settings(settings).check()?;
    anyhow::ensure!(
        settings.reports.catch_up <= settings.reports.windows_kept,
        "reports.catch_up is {}; it must be at most reports.windows_kept ({}), or results were made only to be deleted",
        settings.reports.catch_up,
        settings.reports.windows_kept
    );
    KinesisSettings { stream: settings.kinesis.stream.clone(), ..KinesisSettings::default() }.check()?;
    anyhow::ensure!(
        settings.auth.required || settings.listen.ip().is_loopback(),
        "auth.required is false (--no-auth) and listen is {}: without tokens a node listens on this machine alone, such as \
         127.0.0.1:7171",
        settings.listen
    );
    check_postgres(&settings.postgres, &settings.auth)?;
    anyhow::ensure!(!settings.owner.is_empty(), "owner is empty; name whose data it is, such as `anonymous`");
    Ok(())
}

fn check_postgres(postgres: &Postgres, auth: &Auth) -> anyhow::Result<()> {
    let Some(listen) = postgres.listen else { return Ok(()) };
    anyhow::ensure!(
        cfg!(feature = "postgres"),
        "postgres.listen (--postgres) is {listen}, and this program was built without the Postgres protocol: build it with \
         `cargo build --features postgres`"
    );
    anyhow::ensure!(
        postgres.certificate.is_some() == postgres.key.is_some(),
        "of postgres.certificate and postgres.key one is set; to encrypt, set both: the files of a certificate and of its private key"
    );
    anyhow::ensure!(
        listen.ip().is_loopback() || postgres.certificate.is_some(),
        "postgres.listen (--postgres) is {listen}: the password of that protocol is a token, and would not be encrypted; set \
         postgres.certificate and postgres.key, or listen on this machine alone, such as 127.0.0.1:5432, and put a tunnel (ssh -L) or a \
         proxy with TLS in front"
    );
    anyhow::ensure!(
        auth.required || listen.ip().is_loopback(),
        "auth.required is false (--no-auth) and postgres.listen (--postgres) is {listen}: without tokens a node listens on this machine \
         alone, such as 127.0.0.1:5432"
    );
    Ok(())
}
