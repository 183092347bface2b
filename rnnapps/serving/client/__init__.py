"""A client of either server; it imports no TensorFlow to ask by REST."""
