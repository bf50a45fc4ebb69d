"""Training of the small model: data on disk, losses, the loop, validation."""
