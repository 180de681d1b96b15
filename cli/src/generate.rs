//! `alluvium generate`: made-up device events.

use alluvium_core::{Clock as _, SystemClock};
use alluvium_ingest::{Bodies, BodySettings, Generator, GeneratorSettings, Pace};

use crate::sending::{self, Destination};
use crate::{Common, Outcome, output};

/// Make up device readings, seeded, and send them to a node, or print them.
///
/// The same seed, start and shares give the same bytes. Without `--to` or `--data` the events go to standard output, one per line.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: Destination,
    /// How many events.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: u64,
    /// Everything follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    devices: u32,
    /// Events per second, in their times and, with `--paced`, in sending.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u32,
    /// Send at `--rate` instead of as fast as they are taken.
    #[arg(long)]
    paced: bool,
    /// The first event's time, RFC 3339; without it, now.
    #[arg(long, value_name = "TIME")]
    start: Option<jiff::Timestamp>,
    /// The share of events that cannot become a row, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    broken: f64,
    /// The share of events whose time lies up to 26 hours back, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    late: f64,
    /// The share of events that repeat one just before, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    duplicates: f64,
    /// Events per request.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    batch: u64,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let start = args.start.map_or_else(|| SystemClock.now_micros(), |start| start.as_microsecond());
    let generator = Generator::new(GeneratorSettings {
        seed: args.seed,
        devices: args.devices,
        start,
        rate_per_second: args.rate,
        broken_share: args.broken,
        late_share: args.late,
        duplicate_share: args.duplicates,
        events: Some(args.count),
    })?;
    let pace = if args.paced { Pace::Speed(1.0) } else { Pace::Unlimited };
    let settings = BodySettings { events: args.batch, ..BodySettings::default() };
    let bodies = Bodies::of(generator, settings, pace);
    if args.to.to.is_none() && args.to.data.is_none() {
        for body in bodies {
            output::text(&String::from_utf8_lossy(&body?.ndjson));
        }
        return Ok(Outcome::Done);
    }
    sending::send(common, &args.to, bodies, Some(args.count)).await
}
