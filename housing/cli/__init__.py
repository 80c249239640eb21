"""The commands of an operator: score files, change the champion, read the log. They print."""
