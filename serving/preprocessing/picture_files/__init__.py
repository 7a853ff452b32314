"""Decode picture files from untrusted senders: PNG, JPEG, WebP, BMP and GIF."""
