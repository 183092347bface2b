"""A trained model as a SavedModel: written whole, checked, with warm-up requests and a card."""
