"""The three images: what builds them, on what base, with what bill of materials."""
