"""Runs Google's Gemma models on the CPU."""

from libgemma._core import __version__

__all__ = ["__version__"]
