"""Predictions for data of any size: CSV and Parquet files, each scored in small batches.

A partition's file appears in the target only once it is complete. `partitions` plans, `scoring`
predicts; `source_tables` reads, `writers` writes.
"""
