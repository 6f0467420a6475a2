//! The engine that moves file bytes: downloads in ranges, uploads in parts.
