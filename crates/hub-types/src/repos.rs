//! Models of the `repos` area.
