"""The confidence of crop windows: fitted to people's fixations, checked, drawn."""
