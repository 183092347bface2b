"""Pages on which a person tries models in a browser. They need the extra `rnnapps[demo]`."""
