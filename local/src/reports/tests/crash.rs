//! RP-1, with the power gone at each single step.

use super::files::hex;
use super::*;
use crate::disk::lossy::{Loss, LossyDisk};

/// The numbers that both files of the 9 o'clock window tell, if it has a result; that they agree with what is known of them is asserted.
async fn told(world: &World, reports: &Reports) -> Option<i64> {
    let page = reports.results("hourly", None, 10).await.unwrap().unwrap();
    let result = page.results.first()?;
    let read = |ending: &str| std::fs::read(world.results().join(format!("hourly/19720927T0900Z.{ending}"))).unwrap();
    let (csv, parquet) = (read("csv"), read("parquet"));
    assert_eq!((hex(&csv), hex(&parquet)), (result.csv.sha256.clone(), result.parquet.sha256.clone()));
    let csv = String::from_utf8(csv).unwrap();
    csv.trim_end().rsplit_once(',').unwrap().1.parse().ok()
}

#[tokio::test]
async fn wherever_the_power_goes_a_window_has_the_old_result_or_the_new_one() {
    let mut outcomes = std::collections::BTreeSet::new();
    for loss in [Loss::Everything, Loss::Some { seed: 1 }, Loss::Some { seed: 2 }] {
        for steps in 0.. {
            let mut world = World::new();
            let disk = LossyDisk::over(world.folder.path()).unwrap();
            world.disk = Arc::new(disk.clone());
            let reports = world.hourly();
            world.engine.number.store(1, Ordering::SeqCst);
            make_all(&reports).await;
            let window = reports.results("hourly", None, 1).await.unwrap().unwrap().results[0].window();
            world.engine.number.store(2, Ordering::SeqCst);
            disk.cut_power_after(steps);
            let done = reports.make("hourly", window).await.is_ok();
            drop(reports);
            world.disk = Arc::new(disk.power_loss(loss).unwrap());
            let reports = world.hourly();
            let told = told(&world, &reports).await;
            assert!(told == Some(2) || told == Some(1) && !done, "{loss:?} after {steps}: {told:?}, done: {done}");
            assert_eq!(names(&world.results().join(".drafts")), [""; 0], "{loss:?} after {steps}");
            assert_eq!(world.files("hourly").len(), 4, "{loss:?} after {steps}");
            outcomes.insert((told, done));
            if done {
                break;
            }
        }
    }
    assert!(outcomes.contains(&(Some(1), false)) && outcomes.contains(&(Some(2), false)), "{outcomes:?}");
}

#[tokio::test]
async fn a_first_result_that_was_cut_off_is_made_again() {
    for steps in 0.. {
        let mut world = World::new();
        let disk = LossyDisk::over(world.folder.path()).unwrap();
        world.disk = Arc::new(disk.clone());
        let reports = world.hourly();
        disk.cut_power_after(steps);
        make_all(&reports).await;
        let done = told(&world, &reports).await.is_some();
        drop(reports);
        world.disk = Arc::new(disk.power_loss(Loss::Everything).unwrap());
        let reports = world.hourly();
        assert!(!done || told(&world, &reports).await.is_some(), "{steps}");
        make_all(&reports).await;
        assert_eq!((told(&world, &reports).await, world.files("hourly").len()), (Some(0), 4), "{steps}");
        if done {
            break;
        }
    }
}

#[tokio::test]
async fn wherever_making_one_is_dropped_the_next_is_whole() {
    let world = World::new();
    let reports = world.hourly();
    make_all(&reports).await;
    let window = reports.results("hourly", None, 1).await.unwrap().unwrap().results[0].window();
    for polls in 1..40 {
        world.engine.number.store(1_000 + polls, Ordering::SeqCst);
        let mut making = Box::pin(reports.make("hourly", window));
        let mut done = false;
        for _ in 0..polls {
            if futures::poll!(&mut making).is_ready() {
                done = true;
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(making);
        world.engine.number.store(2_000 + polls, Ordering::SeqCst);
        reports.make("hourly", window).await.unwrap();
        assert_eq!(told(&world, &reports).await, Some(2_000 + polls));
        if done {
            break;
        }
    }
    reports.at_rest().await;
    assert_eq!(told(&world, &world.hourly()).await, told(&world, &reports).await);
}
