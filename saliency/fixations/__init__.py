"""Photos with the fixations made on them, their density, and the center bias."""
