//! Downloads and uploads against servers that do as they are told, be it wrong.

mod download;
mod upload;
