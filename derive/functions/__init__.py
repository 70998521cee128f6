"""The functions of the language, one record for each function of one argument."""
