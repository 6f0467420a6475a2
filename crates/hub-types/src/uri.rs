//! The `hf://` grammar.
