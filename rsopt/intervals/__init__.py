"""Lower confidence bounds for the mean of bounded rows, one file each."""
