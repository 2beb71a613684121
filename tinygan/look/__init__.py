"""To look at a game: its pictures and films, its measures, a diagnosis in plain words, and all of that on one page."""
