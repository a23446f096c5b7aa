"""What a run of many inputs is made of: its records, rows, tables, logs and files."""
