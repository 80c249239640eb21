"""Sequential tests and estimates on histograms: statistics that know no house."""
