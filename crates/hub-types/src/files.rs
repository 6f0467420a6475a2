//! Models of the `files` area.
