"""The local server: TF Serving's REST and gRPC contract for notebooks, tests and laptops."""
