"""Results to read and to look at: files, tables, plots, progress."""
