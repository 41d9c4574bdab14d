"""Variational autoencoders, correctly, in one place."""
