"""Figures beside their limits, both from the same run on the same machine: quote the ratios, not the absolutes."""
