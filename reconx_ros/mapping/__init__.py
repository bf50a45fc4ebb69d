"""The map over time: incremental updates, persistence, provenance, export."""
