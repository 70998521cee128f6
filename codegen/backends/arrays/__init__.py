"""What the array backends share: they write each statement as an expression of whole arrays."""
