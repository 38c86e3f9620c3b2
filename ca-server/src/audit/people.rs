//! Everybody whom the log knows, read from its first record to its last.

use ca_core::tlog::leaf::Leaf;

use crate::directory::Directory;
use crate::store::{Store, StoreError};

/// Records in memory at once.
const PAGE: usize = 1024;

/// The people and groups of the whole log. `progress` hears of records read and of how many there
/// are. A record whose opening was erased is counted and passed over.
///
/// # Errors
///
/// [`StoreError`] when the store cannot be read, or holds a sign-in that does not parse.
pub fn people(
    store: &dyn Store,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Directory, StoreError> {
    let size = store.head()?.map_or(0, |head| head.size);
    let mut directory = Directory::default();
    while directory.records() < size {
        let index = directory.records();
        let rest = usize::try_from(size.saturating_sub(index)).unwrap_or(PAGE);
        let page = store.records(index, rest.min(PAGE))?;
        if page.is_empty() {
            return Err(StoreError::Damaged(format!("record {index} is missing")));
        }
        for record in page {
            let index = directory.records();
            let damaged = |what: &dyn std::fmt::Display| {
                StoreError::Damaged(format!("record {index}: {what}"))
            };
            let leaf = Leaf::decode(&record.leaf).map_err(|error| damaged(&error))?;
            let event = record.opening.as_ref().map(|one| one.event.as_slice());
            directory
                .record(&leaf, event)
                .map_err(|error| damaged(&error))?;
        }
        progress(directory.records(), size);
    }
    Ok(directory)
}
