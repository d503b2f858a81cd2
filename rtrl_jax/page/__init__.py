"""Pages in the browser: a run while it goes on, a run that has ended, and a game to play oneself."""
