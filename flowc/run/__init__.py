"""In: a plan, and something that runs tasks. Out: a run: a coordinator that can die and be started again, and its executors."""
