"""Tools that are built on the compiler. The compiler imports none of them."""
