"""Flat terms: what they are made of, their canonical form, from trees and back to trees."""
