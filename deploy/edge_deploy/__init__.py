"""Carrying bundles to devices: packing, signing, activating, rolling back."""
