"""What the backends of whole-array expressions share."""
