"""Any text, and more of it: characters, bytes or words, one after the other."""
