"""What a machine can mend: pure functions from a row, or an entry of dataset_info.json, to a better one."""
