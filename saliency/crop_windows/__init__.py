"""From a density and wishes to crop windows; pure arithmetic."""
