"""What all experiments share: storage, stages, names, intervals, tables."""
