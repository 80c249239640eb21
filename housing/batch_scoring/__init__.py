"""Predictions for data of any size: Parquet partitions, each scored in small batches.

A partition's file appears in the target only once it is complete.
"""
