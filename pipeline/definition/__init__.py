"""What a pipeline is: steps, their parameters and the values given to them. Runs nothing."""
