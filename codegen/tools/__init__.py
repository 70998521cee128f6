"""What is built on the compiler: nothing below imports it."""
