//! The model `hub/welcome`, which a new Hub may be given.

use crate::error::Result;
use crate::store::Store;

pub(crate) fn welcome(_store: &Store) -> Result<()> {
    Ok(())
}
