"""Pictures, drawn from run folders and tables alone: a module for each kind, one style for all (`style`)."""
