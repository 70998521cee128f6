"""What was generated before and need not be generated again."""
