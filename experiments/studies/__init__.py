"""One file per limitation: what is asked, what is predicted, and the runs that decide it."""
