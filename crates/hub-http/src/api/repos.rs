//! Repositories: create, delete, move, settings, information.
