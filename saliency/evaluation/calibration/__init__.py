"""How sure crop windows are: fitted to people's fixations, checked, drawn."""
