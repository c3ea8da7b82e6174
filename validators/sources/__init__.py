"""Bytes to rows: targets, dataset_info.json and data files, read as the trainer reads them."""
