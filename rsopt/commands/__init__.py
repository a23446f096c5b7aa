"""Commands of the rsopt command line, one file each."""
