"""Looking at maps: pictures, plots, the report."""
