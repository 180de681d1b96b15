//! A report whose windows have another length from some day on: RP-1 holds of the windows before and after.

use super::*;

const DAY: Micros = 24 * HOUR;
/// The midnight before [`World::new`].
const TODAY: Micros = 1000 * DAY;

/// The windows of the results, newest first: how many hours after midnight each begins, and how many it has.
async fn windows(reports: &Reports) -> Vec<(i64, i64)> {
    let page = reports.results("hourly", None, 1000).await.unwrap().unwrap();
    page.results.iter().map(|result| ((result.from - TODAY) / HOUR, (result.to - result.from) / HOUR)).collect()
}

fn daily(world: &World) -> Reports {
    world.open(vec![report("hourly", "1d")]).unwrap()
}

/// At 13:30, with the windows from 9:00 to 13:00.
async fn until_afternoon(world: &World) -> Reports {
    let reports = world.hourly();
    make_all(&reports).await;
    world.clock.advance(3 * HOUR);
    make_all(&reports).await;
    reports
}

#[tokio::test]
async fn shorter_windows_begin_with_the_one_that_was_due_at_first_sight() {
    let world = World::new();
    make_all(&world.hourly()).await;
    let reports = world.open(vec![report("hourly", "15m")]).unwrap();
    world.clock.advance(HOUR);
    make_all(&reports).await;
    // First seen at 10:30: from the window that had been due then on, 10:00 to 10:15.
    assert_eq!(made(&reports, "hourly").await, ["1100", "1045", "1030", "1015", "1000", "0900"]);
}

#[tokio::test]
async fn longer_windows_are_made_beside_the_shorter_ones_each_once() {
    let world = World::new();
    assert_eq!(windows(&until_afternoon(&world).await).await, [(12, 1), (11, 1), (10, 1), (9, 1)]);
    let reports = daily(&world);
    assert_eq!(status(&reports, "hourly").await.waiting, 1);
    make_all(&reports).await;
    // The day that had been due at first sight, the one before.
    assert_eq!(windows(&reports).await, [(12, 1), (11, 1), (10, 1), (9, 1), (-24, 24)]);
    world.clock.set(TODAY + DAY + 10 * MINUTE);
    make_all(&reports).await;
    let with_both = [(12, 1), (11, 1), (10, 1), (9, 1), (0, 24), (-24, 24)];
    assert_eq!(windows(&reports).await, with_both);
    let again = daily(&world);
    assert_eq!((make_all(&again).await, windows(&again).await), (0, with_both.to_vec()));
    let mut started = world.engine.started.lock().unwrap().clone();
    let runs = started.len();
    started.sort();
    started.dedup();
    assert_eq!((runs, started.len()), (6, 6), "no window was made twice");

    // And back: the hours that nobody made meanwhile are made afterwards.
    let reports = world.hourly();
    make_all(&reports).await;
    let hours = windows(&reports).await.into_iter().filter(|(_, length)| *length == 1).map(|(begins, _)| begins);
    assert_eq!(hours.collect::<Vec<_>>(), (9..24).rev().collect::<Vec<_>>());
    assert_eq!(windows(&reports).await.into_iter().filter(|(_, length)| *length == 24).count(), 2);
}

#[tokio::test]
async fn a_longer_window_that_begins_with_a_shorter_one_takes_its_place() {
    let world = World::new();
    let hourly = until_afternoon(&world).await;
    let midnight = WindowId(TODAY);
    let short = hourly.make("hourly", midnight).await.unwrap();
    let reports = daily(&world);
    world.clock.set(TODAY + DAY + 10 * MINUTE);
    world.engine.number.store(7, Ordering::SeqCst);
    make_all(&reports).await;
    assert_eq!(windows(&reports).await, [(12, 1), (11, 1), (10, 1), (9, 1), (0, 24), (-24, 24)]);
    let long = reports.open("hourly", midnight, FileFormat::Csv).await.unwrap().unwrap();
    assert_ne!(long.tag(), short.csv.sha256);
    assert_eq!(make_all(&daily(&world)).await, 0);
}

#[tokio::test]
async fn a_longer_window_is_made_and_kept_however_many_shorter_ones_begin_later() {
    let mut world = World::new();
    (world.settings.windows_kept, world.settings.catch_up) = (3, 3);
    assert_eq!(windows(&until_afternoon(&world).await).await, [(12, 1), (11, 1), (10, 1)]);
    let reports = daily(&world);
    assert_eq!(make_all(&reports).await, 0, "the day before is over earlier than the three that are kept");
    assert!(matches!(reports.make("hourly", WindowId(TODAY - DAY)).await, Err(ReportsError::TooOld { .. })));
    world.clock.set(TODAY + DAY + 10 * MINUTE);
    assert_eq!(make_all(&reports).await, 1);
    assert_eq!(windows(&reports).await, [(12, 1), (11, 1), (0, 24)]);
    let again = daily(&world);
    assert_eq!((make_all(&again).await, windows(&again).await), (0, vec![(12, 1), (11, 1), (0, 24)]));
    world.clock.advance(2 * DAY);
    assert_eq!(make_all(&again).await, 2);
    assert_eq!(windows(&again).await, [(48, 24), (24, 24), (0, 24)]);
}
