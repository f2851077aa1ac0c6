"""Signed URLs of S3 for renderers, so that their pods hold no keys: who asks, what it may have, and the counter."""
