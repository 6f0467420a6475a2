//! Where the crash test ends a process. See `hub_http::fault`; without downloads there are no steps.

#[cfg(feature = "download")]
pub(crate) use hub_http::fault::step;

/// A step of a way to write.
#[cfg(not(feature = "download"))]
#[inline(always)]
pub(crate) fn step(_name: &'static str) {}
