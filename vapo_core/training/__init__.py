"""One RL step and what surrounds it: collect a batch, update, pretrain values, evaluate."""
