"""In: the name of a target. Out: its package; each holds one value TARGET."""
