"""Many photos: their names, the plan of a run, its workers and its contact sheet."""
