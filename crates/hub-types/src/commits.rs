//! Models of the `commits` area.
