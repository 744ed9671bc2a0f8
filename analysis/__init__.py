"""What finished runs say: tables in; intervals, figures and one page out. It never imports a trainer."""
