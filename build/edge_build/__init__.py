"""The host: from pictures of good parts to a bundle."""
