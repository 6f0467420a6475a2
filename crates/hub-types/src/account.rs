//! Models of the `account` area.
