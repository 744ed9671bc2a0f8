"""The exact level: what theory predicts, measured on sampled tabular problems. One file per measurement, all numpy."""
