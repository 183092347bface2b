"""Tables with a time column to calibrated forecasts in their own units."""
