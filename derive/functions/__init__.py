"""The functions of the language, a record each."""
