"""Text generation with characters, bytes or words."""
