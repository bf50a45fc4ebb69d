"""The `reconx` command."""
