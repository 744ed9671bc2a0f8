"""Analysis of finished runs: tables in; intervals, verdicts, figures and a report out. It never imports a trainer."""
