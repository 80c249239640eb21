"""The command line of the runner: parser, commands, progress and the history of runs."""
