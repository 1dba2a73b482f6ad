"""Files as a whole: written whole or not at all, hashed, read without running anything."""
