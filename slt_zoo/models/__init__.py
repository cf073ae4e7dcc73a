"""The papers, one file each; `base` is what they share."""
