//! What every [`DataFiles`] does.
//!
//! Each function takes files that hold nothing under the folder of its own name.

use bytes::Bytes;

use crate::ports::{DataFiles, Put};

/// Runs all of them.
///
/// # Panics
///
/// When the contract is broken.
pub async fn all(files: &dyn DataFiles) {
    what_was_put_is_read_back(files).await;
    the_first_put_of_a_name_wins(files).await;
    a_missing_object_is_an_error_to_read_and_none_to_delete(files).await;
    a_deleted_name_is_free_again(files).await;
    a_path_that_is_none_is_refused(files).await;
}

/// An object comes back byte for byte, an empty one and one in new folders included.
///
/// # Panics
///
/// When it does not.
pub async fn what_was_put_is_read_back(files: &dyn DataFiles) {
    let large: Bytes = (0..300_000_u32).map(|n| n as u8).collect::<Vec<_>>().into();
    for (path, bytes) in [("read_back/a", Bytes::new()), ("read_back/deep/er/b", large)] {
        assert_eq!(
            files.put_if_absent(path, bytes.clone()).await.expect("a put of a new name"),
            Put::Written,
            "{path}"
        );
        assert_eq!(files.get(path).await.expect("a get of what was put"), bytes, "{path}");
    }
}

/// A second put says so and changes nothing.
///
/// # Panics
///
/// When it changes the object.
pub async fn the_first_put_of_a_name_wins(files: &dyn DataFiles) {
    let path = "first_wins/a";
    assert_eq!(files.put_if_absent(path, Bytes::from_static(b"first")).await.expect("a put"), Put::Written);
    assert_eq!(files.put_if_absent(path, Bytes::from_static(b"second")).await.expect("a put"), Put::AlreadyThere);
    assert_eq!(files.get(path).await.expect("a get"), Bytes::from_static(b"first"));
}

/// Reading what is not there fails, deleting it does not.
///
/// # Panics
///
/// When either does otherwise.
pub async fn a_missing_object_is_an_error_to_read_and_none_to_delete(files: &dyn DataFiles) {
    assert!(files.get("missing/a").await.is_err());
    files.delete("missing/a").await.expect("deleting a missing object");
}

/// After a delete the name can be put again.
///
/// # Panics
///
/// When it cannot.
pub async fn a_deleted_name_is_free_again(files: &dyn DataFiles) {
    let path = "deleted/a";
    files.put_if_absent(path, Bytes::from_static(b"one")).await.expect("a put");
    files.delete(path).await.expect("a delete");
    assert!(files.get(path).await.is_err(), "it was deleted");
    assert_eq!(files.put_if_absent(path, Bytes::from_static(b"two")).await.expect("a put"), Put::Written);
}

/// A path that leads out of the root, or nowhere, is refused.
///
/// # Panics
///
/// When it is not.
pub async fn a_path_that_is_none_is_refused(files: &dyn DataFiles) {
    for path in ["../outside", "a/../../outside", "a//b"] {
        assert!(files.put_if_absent(path, Bytes::from_static(b"x")).await.is_err(), "{path}");
        assert!(files.get(path).await.is_err(), "{path}");
    }
}
