"""The command line of the runner: parsing, commands, progress and history in the terminal."""
