"""Blocks that papers share; plain torch, no Lightning."""
