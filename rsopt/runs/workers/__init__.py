"""Who samples and proves in a run: this process, other processes, or a Ray cluster."""
