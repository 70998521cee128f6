"""Flat terms: atoms, monomials and sums of monomials, their canonical form, and the ways from trees and back to trees."""
