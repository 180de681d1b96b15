//! What each part of a node is told of the settings.

use std::path::Path;

use alluvium_core::Datasets;
use alluvium_core::clock::{Micros, micros};
use alluvium_ingest::gateway;
use alluvium_ingest::kinesis::KinesisSettings;
use alluvium_ingest::uploads::UploadSettings;
use alluvium_lake::{CompactSettings, RetainSettings, UpkeepSettings};
use alluvium_local::committer::CommitterSettings;
use alluvium_local::delivery::DeliverySettings;
use alluvium_local::log::LogSettings;
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::pipeline::PipelineSettings;
use alluvium_local::reports::ReportsSettings;
use alluvium_local::sql::JobSettings;
use alluvium_query::authorizer::LINK_LIFETIME;
use alluvium_transform::{PseudonymKey, TransformSettings};
use anyhow::Context as _;

use crate::settings::{Secret, Settings};

/// The datasets that the settings name.
///
/// # Errors
///
/// When a schema is wrong or the folder cannot be read.
pub fn datasets(settings: &Settings) -> anyhow::Result<Datasets> {
    Ok(Datasets::load(settings.datasets.as_deref(), settings.default_dataset.as_deref())?)
}

/// The gateway's share.
pub fn gateway_settings(settings: &Settings) -> gateway::GatewaySettings {
    let limits = &settings.limits;
    gateway::GatewaySettings {
        body_bytes: limits.body_bytes,
        body_expanded_bytes: limits.body_expanded_bytes,
        event_bytes: limits.event_bytes,
        json_depth: limits.json_depth,
        events: limits.events_per_request,
        concurrent_requests: limits.concurrent_requests,
        request_time: limits.request_time,
        owner: settings.owner.clone(),
        ..gateway::GatewaySettings::default()
    }
}

/// The uploads' share.
pub fn upload_settings(settings: &Settings) -> UploadSettings {
    let (uploads, limits) = (&settings.uploads, &settings.limits);
    UploadSettings {
        max_bytes: uploads.max_bytes,
        expanded_bytes: uploads.expanded_bytes,
        stored_bytes: uploads.stored_bytes,
        unfinished: uploads.unfinished,
        unfinished_of_owner: uploads.unfinished_of_owner,
        kept: uploads.kept,
        receive_time: uploads.receive_time,
        idle_time: limits.request_time,
        link_lifetime: LINK_LIFETIME,
        owner: settings.owner.clone(),
        event_bytes: limits.event_bytes,
        ..UploadSettings::default()
    }
}

/// The Kinesis API's share; `log` is the log's folder.
pub fn kinesis_settings(settings: &Settings, log: &Path) -> KinesisSettings {
    KinesisSettings {
        stream: settings.kinesis.stream.clone(),
        shard_limits: settings.kinesis.shard_limits,
        concurrent_requests: settings.limits.concurrent_requests,
        request_time: settings.limits.request_time,
        retention: settings.log.retention,
        created: made_at(log),
        ..KinesisSettings::default()
    }
}

/// When a folder was made, as far as the file system remembers; else 1970.
fn made_at(folder: &Path) -> Micros {
    let made = std::fs::metadata(folder).and_then(|metadata| metadata.created()).ok();
    let since = made.and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    micros(since)
}

/// The key that pseudonyms are made with, if there is one.
///
/// # Errors
///
/// When it cannot be read or is none.
pub fn pseudonym_key(settings: &Settings) -> anyhow::Result<Option<PseudonymKey>> {
    let read = |secret: &Secret| -> anyhow::Result<PseudonymKey> { Ok(PseudonymKey::from_text(&secret.read()?)?) };
    settings.pseudonym_key.as_ref().map(read).transpose().context("the setting `pseudonym_key` cannot be used")
}

/// The transform's share of the settings.
///
/// # Errors
///
/// When the key for pseudonyms cannot be used.
pub fn transform_settings(settings: &Settings) -> anyhow::Result<TransformSettings> {
    Ok(TransformSettings {
        stream_owner: settings.owner.clone(),
        event_bytes: settings.limits.event_bytes,
        json_depth: settings.limits.json_depth,
        record_expanded_bytes: settings.limits.record_expanded_bytes,
        // The audit counts the log's records page by page, so here no record's fate may hang on those beside it. Batches
        // are small and memory is not a Lambda function's.
        batch_expanded_bytes: usize::MAX,
        dead_letter_original_bytes: settings.limits.dead_letter_original_bytes,
        hot_margin: settings.hot.margin,
        pseudonym_key: pseudonym_key(settings)?,
        ..TransformSettings::default()
    })
}

/// The log's share of the settings.
pub fn log_settings(settings: &Settings) -> LogSettings {
    LogSettings {
        shards: settings.log.shards,
        segment_bytes: settings.log.segment_bytes,
        max_bytes: settings.log.max_bytes,
        retention: settings.log.retention,
        ..LogSettings::default()
    }
}

/// The pipeline's share of the settings.
///
/// # Errors
///
/// When the key for pseudonyms cannot be used.
pub fn pipeline_settings(settings: &Settings) -> anyhow::Result<PipelineSettings> {
    Ok(PipelineSettings {
        log: log_settings(settings),
        transform: transform_settings(settings)?,
        delivery: DeliverySettings {
            buffer_bytes: settings.delivery.buffer_bytes,
            buffer: settings.delivery.buffer,
            concurrency: settings.delivery.concurrency,
        },
        committer: CommitterSettings { interval: settings.commit.interval, max_batches: settings.commit.max_batches },
        lake: alluvium_lake::LakeSettings { checkpoint_every: settings.commit.checkpoint_every },
        hot_cache_bytes: settings.hot.cache_bytes,
        hot_expire_every: settings.hot.expire_every,
        maintenance: maintenance_settings(settings),
    })
}

/// The maintenance's share of the settings.
pub fn maintenance_settings(settings: &Settings) -> MaintenanceSettings {
    let maintain = &settings.maintain;
    MaintenanceSettings {
        upkeep: UpkeepSettings {
            compact: CompactSettings {
                target_bytes: maintain.target_bytes,
                round_bytes: maintain.round_bytes,
                memory_bytes: maintain.memory_bytes,
            },
            retain: RetainSettings { dead_letters: maintain.dead_letter_retention },
        },
        every: maintain.every,
        vacuum_every: maintain.vacuum_every,
        compact_files: maintain.compact_files,
    }
}

/// The SQL engine's share of the settings.
pub fn sql_settings(settings: &Settings) -> alluvium_local::sql::SqlSettings {
    alluvium_local::sql::SqlSettings {
        memory_bytes: settings.sql.memory_bytes,
        keys_bytes: settings.sql.keys_bytes,
        time_limit: settings.sql.time,
        running: settings.sql.concurrency,
        statements: settings.sql.statements,
        ..alluvium_local::sql::SqlSettings::default()
    }
}

/// The reports' share of the settings.
pub fn reports_settings(settings: &Settings) -> ReportsSettings {
    ReportsSettings {
        windows_kept: settings.reports.windows_kept,
        catch_up: settings.reports.catch_up,
        result_bytes: settings.sql.result_bytes,
        ..ReportsSettings::default()
    }
}

/// The share of statements that are asked over HTTP.
pub fn job_settings(settings: &Settings) -> JobSettings {
    JobSettings {
        result_bytes: settings.sql.result_bytes,
        results_bytes: settings.sql.results_bytes,
        jobs: settings.sql.statements,
        running: settings.sql.concurrency.div_ceil(2),
        kept: settings.sql.result_kept,
    }
}
