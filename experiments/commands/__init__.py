"""One file per subcommand, each with `run(words) -> exit code`."""
