//! What every [`UploadStore`] promises. Run it with a store that is empty, that has room for two unfinished uploads of an owner, and whose clock stands
//! at `now`.

use crate::Caller;
use crate::caller::Roles;
use crate::clock::Micros;
use crate::upload::{Share, Upload, UploadFormat, UploadState, UploadStore, UploadStoreError};

const LINK: Micros = 900_000_000;

fn upload(digit: char, owner: &str, created: Micros) -> Upload {
    let id = digit.to_string().repeat(32);
    let name = Some("attic.csv".to_owned());
    Upload::new(id, owner.to_owned(), "telemetry".to_owned(), UploadFormat::Csv, name, (created, created + LINK))
}

/// All of it.
///
/// # Panics
///
/// When a promise is broken.
pub async fn all(store: &dyn UploadStore, now: Micros) {
    let [first, second, of_bob] = [upload('a', "ann", now - 2), upload('b', "ann", now - 1), upload('c', "bob", now)];
    what_was_added_is_there_whole(store, &first).await;
    they_are_listed_newest_first(store, &first, &second, &of_bob).await;
    an_owner_has_a_share(store, &upload('d', "ann", now)).await;
    each_has_a_target_of_its_own(store, &first, &second).await;
    what_is_removed_is_gone(store, &first, &upload('d', "ann", now)).await;
}

async fn get(store: &dyn UploadStore, id: &str) -> Option<Upload> {
    store.get(id).await.expect("it can be read")
}

async fn newest(store: &dyn UploadStore, owner: Option<&str>, most: usize) -> Vec<String> {
    let found = store.newest(owner, most).await.expect("they can be listed");
    found.into_iter().map(|upload| upload.id).collect()
}

async fn what_was_added_is_there_whole(store: &dyn UploadStore, upload: &Upload) {
    for id in [upload.id.as_str(), "", "x", "../../etc/passwd", "\u{e4}"] {
        assert_eq!(get(store, id).await, None, "{id:?} is not there yet");
    }
    assert_eq!(newest(store, None, 9).await, [""; 0]);
    store.add(upload).await.expect("there is room");
    let there = get(store, &upload.id).await;
    assert_eq!(there.as_ref(), Some(upload));
    assert_eq!(there.map(|there| there.state), Some(UploadState::Waiting));
}

async fn they_are_listed_newest_first(store: &dyn UploadStore, first: &Upload, second: &Upload, of_bob: &Upload) {
    for upload in [second, of_bob] {
        store.add(upload).await.expect("there is room");
    }
    assert_eq!(newest(store, None, 9).await, [&*of_bob.id, &second.id, &first.id]);
    assert_eq!(newest(store, None, 2).await, [&*of_bob.id, &second.id]);
    assert_eq!(newest(store, Some("ann"), 9).await, [&*second.id, &first.id]);
    assert_eq!(newest(store, Some("eve"), 9).await, [""; 0]);
}

async fn an_owner_has_a_share(store: &dyn UploadStore, third: &Upload) {
    let refused = store.add(third).await;
    assert!(
        matches!(refused, Err(UploadStoreError::TooMany { limit: 2, share: Share::OfOwner })),
        "two are all that an owner may have: {refused:?}"
    );
    assert_eq!(get(store, &third.id).await, None, "what is refused leaves nothing");
}

async fn each_has_a_target_of_its_own(store: &dyn UploadStore, first: &Upload, second: &Upload) {
    let caller = Caller::new(&first.owner, Roles::of_text("data.write")).expect("it has a name");
    let target = async |upload| store.target(upload, Some(&caller)).await.expect("it can be signed");
    let (one, other) = (target(first).await, target(second).await);
    assert!(one.contains(&first.id) && other.contains(&second.id) && one != other, "{one} {other}");
}

async fn what_is_removed_is_gone(store: &dyn UploadStore, first: &Upload, third: &Upload) {
    for _ in 0..2 {
        store.remove(first).await.expect("it can be removed, twice as well");
        assert_eq!(get(store, &first.id).await, None);
    }
    assert!(!newest(store, None, 9).await.contains(&first.id));
    store.add(third).await.expect("there is room again");
    assert_eq!(get(store, &third.id).await.as_ref(), Some(third));
}
