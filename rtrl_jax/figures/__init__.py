"""Pictures and pages of results/, made from the tables that are committed there and from nothing else."""
